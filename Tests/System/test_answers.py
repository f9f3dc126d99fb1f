#!/usr/bin/env python3
"""Nine usual mistakes, and how long it takes until the reason is on the screen.

    Tests/System/run answers
"""
import os
import select
import shutil
import subprocess
import time
from unittest import TestCase, main

from support import PROGRAMS
from support.checks import check, wait_for
from support.looking import rejected
from support.pair import Pair
from support.sidecar import Sidecar

RULES = """{"families": [
  {"action": "drop", "events": [{"event": "debug.*"}]},
  {"name": "level", "type": "gauge", "merge": "sum", "client": "pid", "help": "x",
   "events": [{"event": "level"}]},
  {"name": "sent_total", "type": "counter", "help": "x",
   "events": [{"event": "sent", "scale": -1}]},
  {"name": "asked_total", "type": "counter", "help": "x", "exemplar": "trace_id",
   "events": [{"event": "asked"}]}
]}"""
# What is wrong, what is sent, and what the answer has.
MISTAKES = [
    ("wrong type", ["orders:1|x"], "unknown_type orders:1|x"),
    ("tags without #", ["orders:1|c|kind:web"], "tag_like_field orders:1|c|kind:web"),
    ("a tag with =", ["orders:1|c|#kind=web"], "equals_in_tag orders:1|c|#kind=web"),
    ("over a limit", [f"many:1|c|#id:{i}" for i in range(40)], "overflow many:1|c|#id:39"),
    ("dropped by a rule", ["debug.x:1|c"], "dropped_by_rules debug.x:1|c"),
    ("name clash", ["paid:1|c", "paid_total:1|g"], "type_conflict paid_total:1|g"),
]


def answer(words, expected, program=os.path.join(PROGRAMS, "metrics-sidecar"), **how):
    """Runs what you type; the seconds until it shows what is expected."""
    start = time.monotonic()
    with subprocess.Popen([program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **how) as program:
        try:
            text = b""
            while expected.encode() not in text:
                ready, _, _ = select.select([program.stdout], [], [], 20)
                check(ready, f"{words} has said {text} and no more")
                piece = os.read(program.stdout.fileno(), 65536)
                check(piece, f"{words} says only {text}")
                text += piece
            return time.monotonic() - start
        finally:
            program.terminate()


class Answers(TestCase):
    def test_mistakes(self):
        """Each is told by one command, with the line and the reason, in less than ten seconds."""
        table = []
        with Sidecar("--max-series", "30", rules=RULES) as sidecar:
            listen = ["--listen", f"127.0.0.1:{sidecar.metrics}"]
            for what, lines, expected in MISTAKES:
                sidecar.send(*lines)
                table.append((what, "tail --rejected",
                              answer(["tail", "--rejected", *listen], expected)))
            table.append(("wrong path", "emit", answer(
                ["emit", "a:1|c", "--statsd-socket", sidecar.path("stat.sock")],
                "there is no such socket")))
            if os.getuid() == 0:
                table.append(("wrong permissions", "emit", self.denied(sidecar)))
        with Pair() as pair:
            start = time.monotonic()
            pair.start_app("--workers", "1")
            wait_for(lambda: "nobody listens on" in self.log(pair), "the App's log")
            table.append(("wrong path, the App", "its log", time.monotonic() - start))
        for what, where, seconds in table:
            check(seconds < 10, f"{what}: {seconds:.1f} s")
            print(f"  {what:20}  1 step: {where:16}  {seconds:.2f} s")

    def denied(self, sidecar):
        """Another user writes to a socket of mode 0660."""
        os.chmod(sidecar.folder, 0o755)
        program = shutil.copy(os.path.join(PROGRAMS, "metrics-sidecar"), sidecar.path("program"))
        os.chmod(program, 0o755)
        return answer(["emit", "a:1|c", "--statsd-socket", sidecar.path("statsd.sock")],
                      "permission denied; run with the socket's group", program,
                      user=65534, group=65534, extra_groups=[])

    def log(self, pair):
        with open(pair.path("log"), encoding="utf-8") as file:
            return file.read()

    def test_limits(self):
        """Lines that count, but whose value, client or exemplar is lost, and lines beyond
        --max-series are shown with their socket, new or known, and while somebody looks."""
        with Sidecar("--max-series", "30", "--max-gauge-clients", "2", "--max-exemplars", "0",
                     rules=RULES) as sidecar:
            # tail begins with the last ten.
            sidecar.send(*(f"level:1|g|#pid:{i}" for i in range(2)), "asked:1|c", *(
                f"many:1|c|#id:{i}" for i in range(40)))
            sidecar.send("sent:1|c", "sent:2|c", "asked:1|c|#trace_id:1", "level:1|g|#pid:2")
            wanted = {("value_out_of_range", "sent:1|c"), ("value_out_of_range", "sent:2|c"),
                      ("exemplar_limit", "asked:1|c|#trace_id:1"),
                      ("client_limit", "level:1|g|#pid:2"), ("overflow", "many:1|c|#id:39")}

            def found():
                return {(e["reason"], e["line"]) for e in rejected(sidecar)["lines"]
                        if e["socket"] == "statsd" and e["time"] and e["count"]}
            wait_for(lambda: wanted <= found(), f"{wanted} among the refused lines")
            for reason, line in wanted:
                answer(["tail", "--rejected", "--name", line.split(":")[0], "--listen",
                        f"127.0.0.1:{sidecar.metrics}"], f"statsd {reason} {line}")
            check(all(e["meaning"] for e in rejected(sidecar)["reasons"]), "words for each")
            total = sum(v for k, v in sidecar.values().items() if k.startswith("many_total"))
            check(total == 40, f"{total} of 40 events count")


if __name__ == "__main__":
    main()
