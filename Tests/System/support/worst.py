"""What tests of the worst turns share: rows with what each takes, and their table in
docs/worst.md, which WRITE=1 writes anew."""
import re
from unittest import TestCase

from support import ROOT, setting
from support.checks import check
from support.sidecar import Sidecar
from support.stall import Stall

TRIES = setting("TRIES", 3)
ONLY = setting("ONLY", "")
WRITE = setting("WRITE", 0)
MOST = setting("MOST", 100)  # Milliseconds of CPU; a slow machine is given more.
# In proportion to what somebody who may write the rules puts into them.
UNBOUNDED = ["a changed file of 5,000 rules, with 10,000 series"]
TABLE = ROOT / "docs/worst.md"


def section(text, title):
    """The rows of a section's table in a text, and where they are."""
    found = re.search(rf"^## {re.escape(title)}\n(?:.*\n)*?\| ---: \| --- \|\n((?:\|.*\n)*)", text,
                      re.MULTILINE)
    check(found, "docs/worst.md has no section", title)
    return found


class WorstCase(TestCase):
    def setUp(self):
        self.rows = []

    def tearDown(self):
        for name, milliseconds in self.rows:
            print(f"  {milliseconds:8.1f} ms  {name}")

    def measure(self, name, act, *flags, before=None, rules=None):
        """One row, of a sidecar made for it; where another program may have had a part in it, the
        least of the tries."""
        if ONLY and ONLY not in name:
            return
        least = 1e9
        for _ in range(TRIES):
            with Sidecar(*flags, rules=rules) as sidecar:
                prepared = before(sidecar) if before else None
                with Stall(sidecar.metrics, sidecar.process.pid) as stall:
                    kept = act(sidecar)
                check(sidecar.process.poll() in (None, 0),
                      "the sidecar ended: " + sidecar.output())
            del prepared, kept
            least = min(least, stall.milliseconds)
            if least < MOST * 0.6:
                break
        self.rows.append((name, least))

    def judge(self, title):
        """Each row that is bounded is below the most, and the table in the documents has just
        these."""
        slow = [(name, round(took, 1)) for name, took in self.rows
                if took >= MOST and name not in UNBOUNDED]
        check(not slow, "these hold the loop for 100 ms of CPU or more:", slow)
        if ONLY:
            return
        text = TABLE.read_text(encoding="utf-8")
        if WRITE:
            rows = "".join(f"| {took:.1f} | {name} |\n" for name, took in self.rows)
            start, end = section(text, title).span(1)
            TABLE.write_text(text[:start] + rows + text[end:], encoding="utf-8")
            return
        told = re.findall(r"^\| [\d.]+ \| (.*) \|$", section(text, title)[1], re.MULTILINE)
        check(told == [name for name, _ in self.rows],
              "docs/worst.md lacks or has too many of:",
              sorted({name for name, _ in self.rows} ^ set(told)), "(write it with WRITE=1)")
