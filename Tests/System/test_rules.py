#!/usr/bin/env python3
"""Rules on a real sidecar: reloads under load, bad files, converted mapping files. Standard
library.

    Tests/System/run rules
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from unittest import TestCase, main

from support import PROGRAMS
from support.checks import check, wait_for
from support.pair import cpu
from support.sidecar import Sidecar
from support.statsd_exporter import samples, their_samples

RELOADS = 60
BAD = '{"families": [{"name": "x", "type": "counts"},\n {"nam": 1}]}'
BAD_LINES = ['line 1, column 37: "type" is counter', 'line 2, column 10: unknown name "nam"']


def family(name, events, **more):
    return {"name": name, "type": "counter", "events": [{"event": e} for e in events], **more}


class Ruled(Sidecar):
    """A sidecar with a rules file that can be written anew."""

    def __init__(self, rules, *flags):
        self.rules_folder = tempfile.mkdtemp(prefix="rules-")
        self.rules = os.path.join(self.rules_folder, "rules.json")
        self.write(rules)
        super().__init__("--rules", self.rules, *flags)

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        shutil.rmtree(self.rules_folder)

    def write(self, rules):
        with open(self.rules + ".new", "w") as f:
            f.write(rules if isinstance(rules, str) else json.dumps(rules))
        os.rename(self.rules + ".new", self.rules)

    def ask(self, method, path):
        with socket.create_connection(("127.0.0.1", self.metrics), timeout=60) as s:
            s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
                      "Connection: close\r\n\r\n".encode())
            answer = b""
            while chunk := s.recv(65536):
                answer += chunk
        head, body = answer.split(b"\r\n\r\n", 1)
        return int(head.split()[1]), body.decode()

    def page(self, path="/metrics"):
        """Under load it waits longer than the others' page does."""
        try:
            return self.ask("GET", path)[1]
        except (OSError, IndexError, ValueError):
            return None

    def reloads(self, result):
        return self.values().get(f'metrics_sidecar_reloads_total{{result="{result}"}}')


class Sender(threading.Thread):
    """Sends lines until it is stopped; `sent` counts those that the kernel took."""

    def __init__(self, sidecar, name, kind):
        super().__init__(daemon=True)
        self.socket = sidecar.unix(name, kind)
        self.lines = b"".join(b"work:1|c|#n:%d\n" % (n % 50) for n in range(100))
        self.sent, self.stopping = 0, threading.Event()

    def run(self):
        while not self.stopping.is_set():
            self.socket.sendall(self.lines)
            self.sent += 100
            time.sleep(0.001)
        self.socket.close()


MAPPING = """\
defaults:
  observer_type: histogram
  histogram_options: {buckets: [0.1, 0.5, 1]}
mappings:
- match: "shop.*.orders"       # the first match ends the search
  match_metric_type: counter
  name: "orders_total"
  labels: {shop: "$1", env: prod}
- match: "shop.*.*"
  name: "shop_${2}"
  labels:
    shop: $1
- match: took.*
  name: took
  observer_type: summary
  labels: {what: "${1}"}
- match: debug.*
  name: dropped
  action: drop
- match: ^api\\.([^.]+)\\.v2\\.(.*)$
  match_type: regex
  name: api_calls
  labels: {path: "${2}", method: "${1}"}
- match: '(?i)(\\w+)_(?:(\\d{1,3})|(?P<word>[a-z]+?))s?$'
  match_type: regex
  name: counted_$2
  labels: {what: "$1", word: "${word}", whole: "$0"}
"""
LINES = """\
shop.berlin.orders:2|c
shop.berlin.orders:3|c|#kind:new
shop.rome.orders:1|g
shop.rome.visitors:5|c
shop.rome.seconds:0.3|h
shop.rome.wait:300|ms
took.lunch:2|h
took.lunch:4|h
debug.x:1|c
debug.x.y:1|c
api.get.v2.users.all:3|c
api.get.v3.users.all:3|c
some.other-thing:4|c|#a:b
some.level:4|g
other.time:250|ms
other.h:0.7|d
x.job_42s:2|c
x.y_Jobs:3|c
"""


class Rules(TestCase):
    def test_reloads_lose_nothing(self):
        """60 reloads under load, good and bad ones in turn: every event counts once, in each
        family."""
        some = {"families": [family("all_total", ["work"]),
                             family("by_n_total", ["work"], labels=["n"], help="One")]}
        more = {"families": [family("by_n_total", ["work"], labels=["n"], help="Two"),
                             family("late_total", ["work"]), family("all_total", ["*"])]}
        with Ruled(some) as sidecar:
            senders = [Sender(sidecar, "statsd.sock", socket.SOCK_DGRAM),
                       Sender(sidecar, "events.sock", socket.SOCK_STREAM)]
            for each in senders:
                each.start()
            good = bad = 0
            for number in range(RELOADS):
                before = [each.sent for each in senders]
                wait_for(lambda: all(each.sent > before[i] + 1000 for i,
                                     each in enumerate(senders)),
                         "the senders")
                if number % 5 == 4:
                    sidecar.write(BAD)
                    status, text = sidecar.ask("POST", "/-/reload")
                    check(status == 400 and "line 1, column" in text,
                          f"a bad file: {status} {text}")
                    bad += 1
                    continue
                sidecar.write(more if number % 2 else some)
                good += 1
                if number % 3:
                    status, text = sidecar.ask("POST", "/-/reload")
                    check((status, text) == (200, "reloaded\n"),
                          f"a reload answers {status} {text}")
                else:
                    sidecar.process.send_signal(signal.SIGHUP)
                    wait_for(lambda: sidecar.reloads("ok") == good, "the reload by SIGHUP")
            for each in senders:
                each.stopping.set()
            for each in senders:
                each.join(60)
            sent = sum(each.sent for each in senders)
            wait_for(lambda: sidecar.values().get("all_total") == sent, f"all_total {sent}")
            values = sidecar.values()
            total = sum(value for name, value in values.items() if name.startswith("by_n_total{"))
            check(total == sent, f"by_n_total has {total} of {sent}")
            check(0 < values["late_total"] < sent,
                  "late_total counted before it was there, or never")
            check((sidecar.reloads("ok"), sidecar.reloads("failed")) == (good, bad),
                  "reloads miscounted")
            print(f"  {good} reloads and {bad} refused ones: {sent} sent = counted")

    def test_bad_files(self):
        """A bad file keeps the rules, is answered with every mistake, logged and counted."""
        with Ruled({"families": [family("a_total", ["a"])]}) as sidecar:
            sidecar.write(BAD)
            status, text = sidecar.ask("POST", "/-/reload")
            check(status == 400, f"answered {status}")
            for line in BAD_LINES:
                check(line in text, f"{line!r} is not in {text!r}")
            values = sidecar.values()
            check(values["metrics_sidecar_config_last_reload_successful"] == 0, "called successful")
            os.remove(sidecar.rules)
            status, text = sidecar.ask("POST", "/-/reload")
            check(status == 400 and "cannot read the rules file" in text, f"{status} {text}")
            status, text = sidecar.ask("GET", "/-/reload")
            check(status == 405, f"GET is answered {status}")
            sidecar.unix("statsd.sock").send(b"a:2|c")
            sidecar.expect({"a_total": 2, 'metrics_sidecar_reloads_total{result="failed"}': 2})
            check("The rules stay as they were" in sidecar.output(), "the log says nothing")
            sidecar.write({"families": [family("b_total", ["a"])]})
            check(sidecar.ask("POST", "/-/reload")[0] == 200, "the mended file is refused")
            sidecar.unix("statsd.sock").send(b"a:3|c")
            sidecar.expect({"a_total": 2, "b_total": 3,
                            "metrics_sidecar_config_last_reload_successful": 1})
            sidecar.write(BAD)
            told = subprocess.run([sidecar.program, "check-rules", sidecar.rules],
                                  capture_output=True,
                                  text=True)
            check(told.returncode == 1 and all(line in told.stderr for line in BAD_LINES),
                  f"check-rules: {told.returncode} {told.stderr}")
            started = subprocess.run(sidecar.arguments(), capture_output=True, text=True,
                                     timeout=60)
            check(started.returncode == 2 and BAD_LINES[0] in started.stderr,
                  f"a start with a bad file: {started.returncode} {started.stderr}")

    def test_same_again(self):
        """1,000 rules, reloaded a thousand times by requests in one write and by signals: what has
        not changed is not parsed again."""
        rules = {"families": [family(f"f{n}_total", [f"e{n}"]) for n in range(1000)]}
        with Ruled(rules) as sidecar:
            before = cpu(sidecar.process)
            request = b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
            with socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=60) as s:
                s.sendall(request * 1000)
                answer = b""
                while answer.count(b"HTTP/1.1 200") < 1000:
                    answer += (chunk := s.recv(65536))
                    check(chunk, "the connection ends")
            for _ in range(1000):
                sidecar.process.send_signal(signal.SIGHUP)
            taken = cpu(sidecar.process) - before
            check(taken < 5, f"{taken:.1f} s of CPU for reloads that change nothing")
            check(sidecar.reloads("ok") > 1000, "reloads are not counted")
            sidecar.write({"families": rules["families"][1:]})
            check(sidecar.ask("POST", "/-/reload")[0] == 200, "a changed file")
            sidecar.send("e0:1|c")
            sidecar.expect({"e0_total": 1})
            print(f"  2,000 reloads of 1,000 rules: {taken:.2f} s of CPU")

    def test_supervised(self):
        """--supervise: SIGHUP of the parent reaches the worker, and the next worker has the rules
        too."""
        with Ruled({"families": [family("a_total", ["x"])]}, "--supervise") as sidecar:
            sidecar.write({"families": [family("b_total", ["x"])]})
            sidecar.process.send_signal(signal.SIGHUP)
            wait_for(lambda: sidecar.values().get("b_total") == 0, "the new family")
            sidecar.unix("statsd.sock").send(b"x:2|c")
            sidecar.expect({"a_total": 0, "b_total": 2})
            pid = sidecar.process.pid
            with open(f"/proc/{pid}/task/{pid}/children") as f:
                os.kill(int(f.read().split()[0]), signal.SIGKILL)
            sidecar.unix("statsd.sock").send(b"x:3|c")
            wait_for(lambda: sidecar.values().get("b_total") == 5, "the next worker")

    def test_features(self):
        """Captures in names, other tags, constants, scale, types and separators, on a real
        process."""
        rules = {"separator": ".", "match": "first", "families": [
            {"name": "${1}_requests_total", "type": "counter", "constants": {"path": "$2"},
             "events": [{"event": "*.requests.**", "types": "counter"}]},
            {"action": "drop", "events": [{"event": "debug.*"}]},
            {"name": "sent_bytes_total", "type": "counter", "constants": {"env": "none"},
             "honor_labels": True, "other_tags": {"except": "tmp*"},
             "events": [{"event": "kb", "scale": 1024}]},
            {"name": "own_$1", "type": "event", "events": [{"event": "own.*"}]}]}
        with Ruled(rules) as sidecar:
            sidecar.unix("statsd.sock").send(
                b"web.requests.a.b:2|c\ndebug.x:1|c\ndebug.x.y:1|c\n"
                b"kb:2|c|#env:test,tmp1:x,z:1\nkb:1|c\n"
                b"own.g:7|g\nown.c:3|c\nown.h:0.2|h")
            sidecar.expect({
                'web_requests_total{path="a.b"}': 2, "debug_x_y_total": 1,
                'sent_bytes_total{env="test",z="1"}': 2048, 'sent_bytes_total{env="none"}': 1024,
                "own_g": 7, "own_c": 3, "own_h_count": 1,
                'metrics_sidecar_events_rejected_total{reason="dropped_by_rules"}': 1})

    def test_converted(self):
        """convert-rules: the same lines make the same page as in statsd_exporter."""
        with tempfile.TemporaryDirectory(prefix="convert-") as folder:
            mapping = os.path.join(folder, "mapping.yaml")
            with open(mapping, "w") as f:
                f.write(MAPPING)
            program = os.path.join(PROGRAMS, "convert-rules")
            made = subprocess.run([program, mapping], capture_output=True, text=True)
            check(made.returncode == 0 and not made.stderr, f"{made.returncode} {made.stderr}")
            with open(mapping, "a") as f:
                f.write("- match: (a\n  match_type: regex\n  name: x\n")
            partly = subprocess.run([program, mapping], capture_output=True, text=True)
            check(partly.returncode == 3 and "the mapping is left out" in partly.stderr,
                  f"{partly.returncode} {partly.stderr}")
            check(partly.stdout == made.stdout, "the rest is not carried over")
            moved = subprocess.run([os.path.join(PROGRAMS, "metrics-sidecar"), "convert-rules",
                                    mapping], capture_output=True, text=True)
            check(moved.returncode == 2 and "a program of its own" in moved.stderr, moved)
            for words, code in (["--help"], 0), (["--version"], 0), ([], 2), (["a", "b"], 2), \
                    (["--nothing"], 2), ([folder + "/none"], 1):
                asked = subprocess.run([program, *words], capture_output=True, text=True)
                check(asked.returncode == code and bool(asked.stdout) == (code == 0)
                      and bool(asked.stderr) == (code != 0), asked)
            with Ruled(made.stdout) as sidecar:
                sidecar.unix("statsd.sock").send(LINES.encode())
                wait_for(lambda: "other_h_count 1.0" in (sidecar.page() or ""), "the lines")
                ours = samples(sidecar.page())
            check(ours["orders_total", (("env", "prod"), ("shop", "berlin"))] == 2, "orders_total")
            if not shutil.which("statsd_exporter"):
                print("  NOT RUN beside statsd_exporter: it is not installed")
                return
            theirs = their_samples("statsd_exporter", MAPPING, LINES, "other_h_count 1")
            missing = {key: value for key, value in theirs.items() if ours.get(key) != value}
            extra = {key: value for key, value in ours.items() if key not in theirs}
            check(not missing and not extra, f"missing or other: {missing}; more: {extra}")
            print(f"  {len(ours)} samples are statsd_exporter's")


if __name__ == "__main__":
    main()
