#!/usr/bin/env python3
"""Public mapping files of statsd_exporter: convert-rules carries each over, and lines that its
mappings are made for give the same samples as in statsd_exporter.

    Tests/System/run mappings MAPPINGS=FOLDER [STATSD_EXPORTER=statsd_exporter] [SEED=1]

FOLDER has the files, which are not part of this repository; docs/migrate.md names them.
`timer_type` is called `observer_type` for the exporter, which no longer knows the old word.
"""
import os
import pathlib
import random
import re
import re._parser as parser
import shutil
import string
import subprocess
import tempfile
from unittest import TestCase, main

import yaml

from support import PROGRAMS, setting
from support.checks import check
from support.sidecar import Sidecar
from support.statsd_exporter import samples, their_samples

FOLDER = setting("MAPPINGS", "")
EXPORTER = setting("STATSD_EXPORTER", shutil.which("statsd_exporter") or "")
SEED = setting("SEED", 1)
TYPES = {"counter": "c", "gauge": "g", "observer": ["ms", "h", "d"], "timer": ["ms", "h", "d"]}
# One name in several mappings, each with labels, buckets and a time to live of its own.
SEVERAL = """\
defaults: {observer_type: histogram, ttl: 1h}
mappings:
- {match: took.*, name: took, help: Took, match_metric_type: observer,
   histogram_options: {buckets: [2, 3]}, labels: {what: "$1"}}
- {match: took.*.*, name: took, help: Took, match_metric_type: observer, ttl: 5m,
   histogram_options: {buckets: [1, 4]}, labels: {what: "$1", where: "$2"}}
- {match: took.*.*.*, name: took, help: Took, match_metric_type: observer, labels: {why: "$3"}}
- {match: sized.*, name: sized, match_metric_type: observer, observer_type: summary,
   summary_options: {quantiles: [{quantile: 0.5, error: 0.1}]}, labels: {what: "$1"}}
- {match: sized.*.*, name: sized, match_metric_type: observer, observer_type: summary,
   summary_options: {max_age: 1m}, labels: {where: "$2"}}
"""
WORDS = ["web", "db-1", "my_dag", "a", "2xx", "time", "total"]


class Draw(random.Random):
    def word(self):
        return self.choice(WORDS)

    def matched(self, pattern):
        """A text that a regex matches, as its parsed form says."""
        return "".join(self.part(op, value) for op, value in pattern).lstrip("\0")

    def part(self, op, value):
        match str(op):
            case "LITERAL":
                return chr(value)
            case "ANY":
                return self.choice("ab_.1")
            case "NOT_LITERAL":
                return self.choice([c for c in "ab_" if ord(c) != value])
            case "IN":
                return self.choice([c for c in string.printable[:95] if re.fullmatch(
                    "[a-zA-Z0-9_-]", c) and self.within(value, c)])
            case "SUBPATTERN":
                return self.matched(value[-1])
            case "BRANCH":
                return self.matched(self.choice(value[1]))
            case "MAX_REPEAT" | "MIN_REPEAT":
                low, high, inner = value
                if str(inner[0][0]) == "ANY" and len(inner) == 1:
                    return self.word() if high > 1 else self.matched(inner)
                return "".join(self.matched(inner)
                               for _ in range(self.randint(low, min(high, low + 3))))
            case "AT":
                return ""
        raise ValueError(f"{op} in a regex")

    def within(self, items, char):
        found = False
        for op, value in items:
            if str(op) == "LITERAL":
                found |= ord(char) == value
            elif str(op) == "RANGE":
                found |= value[0] <= ord(char) <= value[1]
            elif str(op) == "CATEGORY":
                found |= bool(re.fullmatch({"CATEGORY_DIGIT": r"\d", "CATEGORY_WORD": r"\w"}[
                    str(value)], char))
        return found != (str(items[0][0]) == "NEGATE")

    def lines(self, mappings, defaults):
        """Some events for each mapping: of the types that it takes, one type for each name, since
        the first event of a name decides its type."""
        lines = []
        types = {}
        names = {mapping.get("name") for mapping in mappings}
        for mapping in mappings:
            match = mapping["match"]
            # Where both are used, statsd_exporter answers scrapes with 500.
            if re.sub("_(sum|count|bucket)$", "", mapping.get("name", "")) in names - {
                    mapping.get("name")}:
                continue
            is_regex = mapping.get("match_type", defaults.get("match_type")) == "regex"
            kind = mapping.get("match_metric_type", "")
            guess = ("observer" if re.search("time|duration|_ms|delay", match)
                     else self.choice(["counter", "gauge", "observer"]))
            kind = types.setdefault(mapping.get("name"), kind or guess)
            for number in range(4):
                if is_regex:
                    name = self.matched(parser.parse(match))
                else:
                    name = re.sub(r"\*", lambda _: self.word(), match)
                tags = self.choice(["", "", "|#zone:x"])
                lines.append(f"{name}:{number + 1}|{self.choice(TYPES[kind])}{tags}")
        return lines + ["no.such-name:2|c", "another.name:7|g", "a.time:250|ms"]


class Mappings(TestCase):
    def test_mappings(self):
        """Each file is carried over, and gives what statsd_exporter gives."""
        if not EXPORTER:
            return print("  NOT RUN: statsd_exporter is not installed")
        with tempfile.TemporaryDirectory(prefix="mappings-") as folder:
            path = pathlib.Path(folder) / "several.yaml"
            path.write_text(SEVERAL)
            self.same([path])
        self.same(sorted(pathlib.Path(FOLDER).glob("*.y*ml")) if FOLDER else [])

    def same(self, paths):
        for path in paths:
            text = path.read_text()
            read = yaml.safe_load(text)
            mappings = read["mappings"]
            lines = Draw(SEED).lines(mappings, read.get("defaults") or {})
            made = subprocess.run([os.path.join(PROGRAMS, "convert-rules"), path],
                                  capture_output=True, text=True)
            told = [line.split(": ", 2)[-1] for line in made.stderr.splitlines()]
            check(made.returncode == 0 or all(" is left out: a window" in line for line in told),
                  path.name, made.stderr)
            with Sidecar(rules=made.stdout) as sidecar:
                for start in range(0, len(lines), 50):
                    sidecar.unix("statsd.sock").send("\n".join(lines[start:start + 50]).encode())
                sidecar.send("last.line:1|c")
                sidecar.expect({"last_line": 1})
                ours = samples(sidecar.page())
            want = their_samples(
                EXPORTER, text.replace("timer_type:", "observer_type:"),
                "\n".join([*lines, "last.line:1|c", ""]), "\nlast_line 1\n")
            differ = {key: (value, ours.get(key)) for key, value in want.items()
                      if ours.get(key) != value}
            differ |= {key: (None, value) for key, value in ours.items() if key not in want}
            check(not differ, path.name, differ)
            regexes = sum("match_type" in mapping for mapping in mappings)
            print(f"  {path.name}: {len(mappings)} mappings, {regexes} of them with a match_type, "
                  f"{len(lines)} lines, {len(want)} samples are the same; told: {told}")


if __name__ == "__main__":
    main()
