#!/usr/bin/env python3
"""Regular expressions of rules beside the reference, RE2 itself (PyPI's google-re2, over bytes).

    Tests/System/run regex SEED=4 PATTERNS=600 INPUTS=60
"""
import json
import os
import re
import subprocess
import tempfile
from unittest import TestCase, main

import re2

from support import PROGRAMS, dice, setting
from support.checks import check
from support.sidecar import Sidecar

PATTERNS = setting("PATTERNS", 600)
INPUTS = setting("INPUTS", 60)
LETTERS = "ab1._-AB"
ATOMS = ["a", "b", "1", r"\.", ".", "_", "-", "A", r"\d", r"\w", r"\W", r"\D", r"\s", r"\S",
         "[ab]", "[^.]", "[a-b1-3]", "[^a-]", "[[:alpha:]]", "[[:^digit:]]", r"[\w.]", r"[^\W_]",
         "[]a]", r"\x61", r"\Qa.\E", r"\141", r"[\x41-\x42-]", "(?i:a)", "(?i)b", "(?s:.)",
         "(?U:a*)"]
AFTER = ["", "", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,3}", "{2,}", "{1,}?",
         "{0,2}?", "{0}", "{,2}"]
EDGES = ["^", "$", r"\b", r"\B", r"\A", r"\z"]
# Where the two differ as they should: repetitions are counted by what they take, classes are ASCII.
GARBAGE = r"ab1.*+?()[]{}|^$\dQEbxAz,-:<>Pi0"


def pattern(chance, depth=3):
    """A random expression, most often a sound one."""
    parts = []
    for _ in range(chance.randint(1, 4)):
        roll = chance.random()
        if roll < 0.12:
            parts.append(chance.choice(EDGES))
            continue
        if roll < 0.4 and depth:
            inner = pattern(chance, depth - 1)
            atom = chance.choice(["(%s)", "(%s)", "(?:%s)", "(?P<g%d>%%s)" % chance.randrange(
                10**6)]) % inner
        else:
            atom = chance.choice(ATOMS)
        parts.append(atom + chance.choice(AFTER))
    text = "".join(parts)
    if chance.random() < 0.25 and depth:
        text += "|" + (pattern(chance, depth - 1) if chance.random() < 0.9 else "")
    return text


def compiled(text):
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    try:
        return re2.compile(text.encode("latin-1"), options)
    except re2.error:
        return None


def rules(patterns, form="(%s)"):
    """A family for each, a line each; what it takes as a whole is its first label."""
    families = []
    for number, text in enumerate(patterns):
        groups = compiled(text).groups + 1 if form == "(%s)" else 0
        families.append(json.dumps({
            "name": f"m{number}", "type": "counter", "labels": ["n"],
            "constants": {f"g{group}": "${%d}" % group for group in range(1, groups + 1)},
            "events": [{"regex": form % text}]}))
    return '{"families": [\n' + ",\n".join(families) + "\n]}\n"


def refused(patterns):
    """Which of them check-rules refuses."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(rules(patterns, "%s"))
        file.flush()
        done = subprocess.run([os.path.join(PROGRAMS, "metrics-sidecar"), "check-rules", file.name],
                              capture_output=True, text=True)
        check(done.returncode in (0, 1), done)
        wrong = [line for line in done.stderr.splitlines() if '"regex", byte' not in line]
        check(not wrong, wrong[:3])
        return {int(line) - 2 for line in re.findall(r": line (\d+), column", done.stderr)}


class Regex(TestCase):
    def test_syntax(self):
        """What RE2 refuses is refused, and what it takes is taken."""
        chance = dice()
        known = set()
        for batch in range(0, PATTERNS * 3, 900):
            texts = ["".join(chance.choice(GARBAGE) for _ in range(chance.randint(1, 7)))
                     for _ in range(900)]
            texts += [pattern(chance) for _ in range(90)]
            # Classes of Unicode are RE2's alone: rules match bytes.
            texts = [text for text in texts if r"\P" not in text]
            ours = refused(texts)
            for number, text in enumerate(texts):
                theirs = compiled(text) is None
                check(theirs == (number in ours),
                      f"{text!r} is {'refused' if theirs else 'taken'} by RE2 alone")
                known.add(theirs)
        check(known == {True, False}, "only one kind was tried")
        print(f"  {batch + 900} random texts are expressions here where they are for RE2")

    def test_matches(self):
        """Random expressions and names: the same matches, and each group has what RE2 gives it."""
        chance = dice()
        patterns = []
        while len(patterns) < PATTERNS:
            text = pattern(chance)
            found = compiled(f"({text})")
            if found and found.groups < 12:
                patterns.append(text)
        names = {"".join(chance.choice(LETTERS) for _ in range(chance.randint(1, 12)))
                 for _ in range(INPUTS)}
        names = sorted(names)
        expected = {}
        for number, text in enumerate(patterns):
            regex = compiled(f"({text})")
            for place, name in enumerate(names):
                match = regex.search(name.encode())
                if match:
                    expected[f"m{number}", place] = tuple(
                        (group or b"").decode() for group in match.groups())
        with Sidecar("--max-series", "1000000", "--max-families", "10000",
                     rules=rules(patterns)) as sidecar:
            with sidecar.unix("statsd.sock") as client:
                for place, name in enumerate(names):
                    client.send(f"{name}:1|c|#n:{place}".encode())
            # A scrape reads first what the socket holds.
            page = sidecar.page()
        found = {}
        for family, text in re.findall(r"(?m)^(m\d+)\{(.*)\} 1\.0$", page):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', text))
            if "n" in labels:
                groups = compiled(f"({patterns[int(family[1:])]})").groups
                found[family, int(labels["n"])] = tuple(
                    labels.get(f"g{group}", "") for group in range(1, groups + 1))
        for key in sorted(expected.keys() | found.keys()):
            check(expected.get(key) == found.get(key),
                  f"{patterns[int(key[0][1:])]!r} on {names[key[1]]!r}: RE2 has "
                  f"{expected.get(key)}, here it is {found.get(key)}")
        print(f"  {len(patterns)} expressions on {len(names)} names: {len(expected)} matches, each "
              "group as RE2 has it")


if __name__ == "__main__":
    main()
