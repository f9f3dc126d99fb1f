#!/usr/bin/env python3
"""check-rules --test: what a sidecar makes of lines, without one.

    Tests/System/run rule_tests
"""
import os
import re
import subprocess
from unittest import TestCase, main

from support.checks import check
from test_rules import Ruled, family


class RuleTests(TestCase):
    def ask(self, sidecar, test):
        return subprocess.run([sidecar.program, "check-rules", sidecar.rules, "--test", test],
                              capture_output=True, text=True)

    def test_cases(self):
        """check-rules --test: what the cases expect is what a sidecar has of the same lines; each
        difference is told with its line, and a file that cannot be read, too."""
        lines = [b"work:2|c|#n:1", b"work:3|c|#n:2", b"other.thing:0.5|d", b"level:-2|g",
                 b"bad:1|x", b"debug.x:1|c", b"odd:1|c|kind:web", b"declared:1|c"]
        rules = {"families": [family("by_n_total", ["work"], labels=["n"], help="One"),
                              {"action": "drop", "events": [{"event": "debug.*"}]}]}
        with Ruled(rules) as sidecar:
            with sidecar.unix("statsd.sock") as s:
                for line in lines:
                    s.send(line)
            sidecar.expect({"declared_total": 1})
            page = [line for line in sidecar.page().splitlines()
                    if not re.match(r"(# \w+ )?(process|metrics_sidecar)_", line)]
            notes = ["! unknown_type bad:1|x", "! dropped_by_rules debug.x:1|c",
                     "? tag_like_field odd:1|c|kind:web"]
            test = os.path.join(sidecar.folder, "rules.test")

            def told(*expected):
                with open(test, "wb") as f:
                    f.write(b"== All\n" + b"\n".join(lines) + b"\n--\n")
                    f.write("\n".join(expected).encode())
                return self.ask(sidecar, test)
            good = told(*page, *notes)
            check(good.returncode == 0 and "cases: 1" in good.stdout, good)
            check(told("...").returncode == 0, "... allows all")
            first = len(lines) + 3
            for wrong in range(len(page)):
                if page[wrong].startswith("#"):
                    continue
                other = page[:wrong] + [page[wrong] + "1"] + page[wrong + 1:]
                found = told(*other, *notes)
                check(found.returncode == 1 and f"{test}: line {first + wrong}: All\n  expected  "
                      f"{page[wrong]}1\n  actual    {page[wrong]}\n" in found.stderr, found)
                less = told(*page[:wrong], *page[wrong + 1:], *notes)
                check(less.returncode == 1 and f"actual    {page[wrong]}\n" in less.stderr, less)
            check(told(*page, *notes[1:]).returncode == 1, "a refused line is not expected")
            for path, code in (test + "none", 1), ("", 0):
                asked = self.ask(sidecar, path)
                check(asked.returncode == code, asked)


if __name__ == "__main__":
    main()
