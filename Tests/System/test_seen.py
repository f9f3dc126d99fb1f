#!/usr/bin/env python3
"""Why a number is not there, and what costs so much: what the sidecar tells people who look.

    Tests/System/run seen
"""
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import termios
import time
from unittest import TestCase, main

from support import PROGRAMS
from support.checks import awake, check, free_port, missing, wait_for
from support.looking import Limited, Terminal, command, rejected
from support.memory import Limit
from support.pair import Pair
from support.sidecar import Sidecar, Wire, frame

REJECTED = "metrics_sidecar_events_rejected_total"
SUSPICIOUS = "metrics_sidecar_events_suspicious_total"


class Rejected(TestCase):
    def test_lines(self):
        """Each way in: the line, its reason in words, the socket, the time and how often."""
        with Sidecar() as sidecar:
            check(rejected(sidecar) == {"rejected": 0, "suspicious": 0, "reasons": [], "lines": []},
                  "nothing is refused at the start")
            sidecar.send("orders:1|x", "good:1|c", "orders:1|x")
            sidecar.send_udp(b":1|c")
            sidecar.send_tcp(b"level:high|g\n")
            Wire(sidecar).send(frame("orders:1|c", "orders:2|g", "minus:-1|c"))
            with sidecar.unix("spectator.sock") as s:
                s.send(b"q:a:1")
            with sidecar.unix("statsd.sock") as s:
                s.send(b"long:1|c|#v:" + b"x" * 9000)
                s.send(b"bytes\xff\x00<b>:y|c")
            wait_for(lambda: rejected(sidecar)["rejected"] == 8, "eight refused lines")
            found = {(e["reason"], e["socket"], e["line"]): e for e in rejected(sidecar)["lines"]}
            for key in [("unknown_type", "statsd", "orders:1|x"), ("no_name", "udp", ":1|c"),
                        ("bad_value", "tcp", "level:high|g"),
                        ("unknown_type", "spectator", "q:a:1"),
                        ("negative_count", "events", "minus:-1|c"),
                        ("line_too_long", "statsd", "long:1|c|#v:" + "x" * 244),
                        ("bad_value", "statsd", "bytes\ufffd\0<b>:y|c")]:
                check(key in found, f"{key} is not in {list(found)}")
                check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found[key]["time"]),
                      f"its time is {found[key]['time']}")
            long = found["line_too_long", "statsd", "long:1|c|#v:" + "x" * 244]
            check(long["cut"] is True, "a long line is cut")
            check(found["unknown_type", "statsd", "orders:1|x"]["count"] == 3, "of that reason")
            answer = rejected(sidecar)
            values = sidecar.values()
            for reason in answer["reasons"]:
                name = f'{REJECTED}{{reason="{reason["reason"]}"}}'
                check(values[name] == reason["count"], f"{name} is {values[name]}, not {reason}")
                check(len(reason["meaning"]) > 20, f"{reason} says nothing")
            check([e["times"] for e in answer["lines"] if e["line"] == "orders:1|x"] == [2], answer)

    def test_hundred(self):
        """The last hundred lines, the newest first; the same line in a row is one of them."""
        with Sidecar() as sidecar:
            sidecar.send(*(f"bad{i}:1|x" for i in range(250)), *["same:1|x"] * 40)
            wait_for(lambda: rejected(sidecar)["rejected"] == 290, "290 refused lines")
            lines = rejected(sidecar)["lines"]
            check([e["line"] for e in lines]
                  == ["same:1|x"] + [f"bad{i}:1|x" for i in range(249, 150, -1)], lines)
            check([e["times"] for e in lines] == [40] + [1] * 99, "times")
            check(all(e["count"] == 290 for e in lines), "count")
            answer, _ = sidecar.get("/api/v1/rejected", method="POST")
            check(answer.status == 405, f"POST is answered {answer.status}")

    def test_suspicious(self):
        """Lines that count and look like a mistake: their number, and the likely meaning."""
        lines = {"orders:1|c|kind:web": "tag_like_field", "paid:1|c|#kind=web": "equals_in_tag",
                 "left;kind=web:1|c": "tags_in_name", 'gone{kind="web"}:1|c': "tags_in_name",
                 "depth:2|g|kind=web": "tag_like_field"}
        fine = ["a:1|c|#kind:web=x", "b:1|c|@0.5|#k:v|c:ci-1|T1656581400",
                "c:1|c|e:it-false|card:low", "d,kind=web:1|c", "e#kind=web:1|c",
                "f[kind=web]:1|c", "g:1|d|x:trace_id:1f", "h:1|c|z"]
        with Sidecar() as sidecar:
            sidecar.send(*lines, *fine)
            with sidecar.unix("spectator.sock") as s:
                s.send(b"c:requests,status=200:1")
            wait_for(lambda: rejected(sidecar)["suspicious"] >= 5, "five suspicious lines")
            answer = rejected(sidecar)
            shown = {e["line"]: e["reason"] for e in answer["lines"]}
            check(shown == lines, f"shown are {shown}")
            check(all(r["counted"] and "ount" in r["meaning"] for r in answer["reasons"]), answer)
            sidecar.expect({"orders_total": 1, "paid_total": 1, "a_total{kind=\"web=x\"}": 1,
                            "depth": 2, "left_kind_web_total": 1,
                            SUSPICIOUS + '{reason="tag_like_field"}': 2,
                            SUSPICIOUS + '{reason="equals_in_tag"}': 1,
                            SUSPICIOUS + '{reason="tags_in_name"}': 2})
            values = sidecar.values()
            check(not any(v for k, v in values.items() if k.startswith(REJECTED)), "refused")
            check(answer["rejected"] == 0, "none is refused")

    def test_pushes(self):
        """Refused pushes, with the sentence that they were answered with."""
        with Sidecar("--push", "--max-push-size", "1KiB") as sidecar:
            for body in [b"no metric at all here\n", b"x" * 3000]:
                c = http.client.HTTPConnection("127.0.0.1", sidecar.metrics, timeout=10)
                c.request("PUT", "/metrics/job/a", body)
                c.getresponse().read()
            reasons = [(e["reason"], e["socket"]) for e in rejected(sidecar)["lines"]]
            check(reasons == [("push_too_large", "http"), ("push_rejected", "http")],
                  f"refused are {rejected(sidecar)}")


class Log(TestCase):
    def test_start(self):
        """One line says what is listened on, which rules there are and what the state has."""
        rules = '{"families": [{"name": "jobs_total", "type": "counter", "help": "x", ' \
            '"events": [{"event": "jobs"}]}]}'
        with Sidecar("--push", rules=rules) as sidecar:
            line, = (line for line in sidecar.output().splitlines() if "Serving" in line)
            for part in [f"http://127.0.0.1:{sidecar.metrics}/metrics",
                         "events " + sidecar.path("events.sock"),
                         "statsd " + sidecar.path("statsd.sock"),
                         f"udp 127.0.0.1:{sidecar.udp}", f"tcp 127.0.0.1:{sidecar.tcp}",
                         "spectator " + sidecar.path("spectator.sock"), "pushes",
                         sidecar.path("rules.json") + " (1 families)",
                         sidecar.path("state") + " (0 series came back)"]:
                check(part in line, f"{part} is not in {line}")
            sidecar.send("a:1|c|#k:1", "a:1|c|#k:2")
            sidecar.expect({'a_total{k="2"}': 1})
            sidecar.stop()
            sidecar.start()
            check("(3 series came back)" in sidecar.output(), sidecar.output())
            check("container" not in sidecar.output(), "a warning where there is no limit")

    def test_levels(self):
        """Each level leaves something out: debug tells of each client and each refused line, and
        how many such lines it leaves out."""
        seen = {}
        for level in ("debug", "info", "warning", "error"):
            with Sidecar("--log-level", level) as sidecar:
                sidecar.send("orders:1|x", *(f"bad{i}:1|x" for i in range(500)))
                wire = Wire(sidecar)
                wire.send(b"GET / HTTP/1.1\r\n\r\n")
                check(wire.answers(1) == ["closed"], "a request of HTTP")
                wait_for(lambda: rejected(sidecar)["rejected"] == 501, "501 refused lines")
                if level == "debug":
                    time.sleep(1.05)  # the next second has room for the next line
                    sidecar.send("last:1|x")
                    wait_for(lambda: "last:1|x" in sidecar.output(), "a refused line in the log")
                sidecar.process.terminate()
                sidecar.process.wait(10)
                seen[level] = sidecar.output()
        check("[DEBUG] statsd: refused (unknown_type): orders:1|x" in seen["debug"], seen["debug"])
        check("[DEBUG] events.sock: a client has come, 1 are here" in seen["debug"], seen["debug"])
        check("a client has gone, 0 are here" in seen["debug"], seen["debug"])
        left = int(re.search(r"\[DEBUG\] (\d+) refused lines were left out",
                             seen["debug"]).group(1))
        shown = seen["debug"].count(": refused (")
        check(shown + left == 502 and left > 300, f"{shown} lines are shown and {left} left out")
        check("DEBUG" not in seen["info"] and "[INFO] Serving" in seen["info"], seen["info"])
        check("INFO" not in seen["warning"] and "[WARNING] events.sock: closed" in seen["warning"],
              seen["warning"])
        check(seen["error"] == "", f"at error: {seen['error']}")

    def test_outage(self):
        """The App says once that its events wait and on which path, again when the reason changes,
        and that the sidecar is back."""
        with Pair() as pair:
            def output():
                with open(pair.path("log"), encoding="utf-8") as file:
                    return file.read()
            pair.start_app("--workers", "2")
            path = pair.path("events.sock")
            wait_for(lambda: f"nobody listens on {path}: there is no such socket" in output(),
                     "the App's warning")
            for _ in range(30):
                pair.get(pair.api, "/bye")
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(path)
            wait_for(lambda: f"nobody listens on {path}: is the sidecar running?" in output(),
                     "the other reason")
            time.sleep(1.5)  # more tries, of which nothing is said
            pair.start_sidecar()
            wait_for(lambda: "The sidecar is back" in output(), "the sidecar is back")
            found = re.search(f"back on {path}: (\\d+) events that waited", output())
            check(int(found.group(1)) >= 31, found.group(0))
            wait_for(lambda: pair.values().get("bye_request_total") == 30, "all requests")
            check(output().count("Events wait") == 2 and output().count("is back") == 1, output())


class Memory(TestCase):
    def test_container(self):
        """What the limits allow beside what the container has: one warning with the flags to lower
        where it does not fit, and both as gauges."""
        bound, has = "metrics_sidecar_memory_bound_bytes", "metrics_sidecar_memory_limit_bytes"
        for name, flags, fits in [("fits", [], True),
                                  ("exceeds", ["--max-series", "100000"], False)]:
            with Limit(64 << 20, "seen-" + name) as limit:
                if not limit.folder:
                    return missing("control groups of version 1")
                with Limited(limit, *flags) as sidecar:
                    values = sidecar.values()
                    check(values[has] == 64 << 20, f"the container has {values[has]}")
                    check((values[bound] <= values[has]) == fits, f"it may take {values[bound]}")
                    warnings = re.findall(r"\[WARNING\] The limits allow.*", sidecar.output())
                    check(len(warnings) == (not fits), sidecar.output())
                    check(fits or all(part in warnings[0] for part in [
                        "has 64 MiB", "--max-exposition-size", "--max-series"]), warnings)
        return None


class Following(TestCase):
    def test_pipe(self):
        """tail into a pipe: lines with what became of them, by name, and how many were left out."""
        with Sidecar() as sidecar:
            with subprocess.Popen(command(sidecar, "tail", "--name", "ord*"), text=True,
                                  stdout=subprocess.PIPE) as tail:
                wait_for(lambda: "metrics_sidecar_http_connections 1" in sidecar.page(), "its look")
                time.sleep(0.5)
                sidecar.send("orders:1|c|#kind:web", "other:1|c", "orders:1|x", "ord\x1b[31m:1|c",
                             "orders,kind=web:1|c")
                Wire(sidecar).send(frame("orders:2|c"))
                sidecar.send_tcp(b"orders:3|c\n")
                with sidecar.unix("spectator.sock") as s:
                    s.send(b"c:orders:1")
                lines = [tail.stdout.readline() for _ in range(8)]
                found = sorted(line.split(" ", 1)[1].rstrip("\n") for line in lines)
                check(found == sorted([
                    "statsd ok orders:1|c|#kind:web", "statsd unknown_type orders:1|x",
                    "unknown_type: There is no such type: it is c, g, ms, h, d or s.",
                    "statsd ok ord\\x1b[31m:1|c", "statsd ok orders,kind=web:1|c",
                    "events ok orders:2|c", "tcp ok orders:3|c", "spectator ok c:orders:1"]), found)
                sidecar.send(*["orders:1|c"] * 5000)
                shown, left = 0, 0
                while shown + left < 5000:
                    line = tail.stdout.readline()
                    more = re.match(r"# (\d+) more lines came", line)
                    left += int(more.group(1)) if more else 0
                    shown += line.endswith(" statsd ok orders:1|c\n")
                check(left > 3000 and shown >= 250, f"{shown} are shown, {left} left out")
                tail.terminate()
            sidecar.expect({"orders_total": 5000 + 2 + 3 + 1})

    def test_nobody(self):
        """Nothing answers: one line, and 1."""
        for name in ("tail", "top"):
            ended = subprocess.run(
                [os.path.join(PROGRAMS, "metrics-sidecar"), name, "--listen",
                 f"127.0.0.1:{free_port()}"], capture_output=True, text=True, timeout=20)
            check(ended.returncode == 1 and ended.stdout == "" and "the sidecar running" in
                  ended.stderr and ended.stderr.count("\n") == 1, ended)

    def test_refused(self):
        """tail --rejected on a terminal: what was refused before is there at once, with its
        meaning, in colours and cut at the terminal's width; Ctrl-C ends it."""
        with Sidecar() as sidecar:
            sidecar.send("orders:1|x", "a:1|c|#kind=web", "long:1|y|#" + "k:v," * 40)
            wait_for(lambda: rejected(sidecar)["rejected"] == 2, "the refused lines")
            with Terminal(*command(sidecar, "tail", "--rejected"), columns=110) as terminal:
                terminal.shows("statsd unknown_type orders:1|x")
                terminal.shows("There is no such type")
                terminal.shows("equals_in_tag")
                screen = terminal.read()
                check(re.search(r"^.{109}…$", screen, re.M), screen)
                check(b"\x1b[31m" in terminal.raw and b"\x1b[33m" in terminal.raw, "no colours")
                sidecar.send("later:1|z", "fine:1|c")
                terminal.shows("later:1|z")
                check("fine" not in terminal.read(), "a line that counts")
                terminal.key("\x03")
                wait_for(lambda: terminal.process.poll() is not None, "its end by Ctrl-C")

    def test_idle(self):
        """Nobody looks: a sidecar that was looked at sleeps again."""
        with Sidecar() as sidecar:
            check(sidecar.page("/api/v1/tail?viewer=7") == "", "something")
            sidecar.send("a:1|c")
            wait_for(lambda: "statsd ok a:1|c" in sidecar.page("/api/v1/tail?viewer=7"), "a line")
            wakes, seconds = awake(sidecar.process.pid)
            check(wakes < 10, f"it woke {wakes} times in {seconds} s")
            for number in range(1, 9):
                sidecar.page(f"/api/v1/tail?viewer={100 + number}")
            answer, _ = sidecar.get("/api/v1/tail?viewer=99")
            check(answer.status == 503, f"the ninth viewer is answered {answer.status}")
            answer, _ = sidecar.get("/api/v1/tail")
            check(answer.status == 400, f"one without a number is answered {answer.status}")


class Mistakes(TestCase):
    def answered(self, what, sidecar, *wanted):
        """By one command, started after the mistake: how long until its screen has the answer."""
        start = time.monotonic()
        with Terminal(*command(sidecar, "tail", "--rejected"), columns=200) as terminal:
            for text in wanted:
                terminal.shows(text)
        print(f"  {what}: 1 command, {time.monotonic() - start:.2f} s")

    def test_lines(self):
        """Eight usual mistakes: the answer is on the screen after one command, or in the App's log
        before any. Times are told, and decide nothing."""
        rules = '{"families": [{"action": "drop", "events": [{"event": "debug.*"}]}]}'
        for what, lines, wanted in [
                ("wrong type", ["orders:1|x"], ["unknown_type", "no such type"]),
                ("tags without #", ["orders:1|c|kind:web"], ["tag_like_field", "behind |#"]),
                ("tags with =", ["orders:1|c|#kind=web"], ["equals_in_tag", "behind a colon"]),
                ("over a limit", [f"level:1|g|#user:u{i}" for i in range(9)],
                 ["series_limit", "--max-series"]),
                ("dropped by a rule", ["debug.orders:1|c"], ["dropped_by_rules", "A rule drops"]),
                ("name clash", ["orders:1|c", "orders_total:1|g"],
                 ["type_conflict", "another type"])]:
            with Sidecar("--max-series", "5", rules=rules) as sidecar:
                sidecar.send(*lines)
                wait_for(lambda: rejected(sidecar)["lines"], what)
                self.answered(what, sidecar, *wanted)

    def test_sockets(self):
        """The other two, a wrong path and a socket without permission: the App says so itself."""
        with Pair() as pair:
            os.chmod(pair.folder, 0o755)
            pair.start_sidecar("--socket-mode", "0600")
            log = pair.path("log")
            for what, flags, how, wanted in [
                    ("wrong path", ["--events-socket", pair.path("other.sock")], {},
                     f"nobody listens on {pair.path('other.sock')}"),
                    ("wrong permissions", [], {"preexec_fn": lambda: os.setuid(65532)},
                     f"this user may not write to {pair.path('events.sock')}")]:
                start = time.monotonic()
                pair.start_app(*flags, **how)
                wait_for(lambda: wanted in pathlib.Path(log).read_text("utf-8"), what)
                print(f"  {what}: 0 commands, {time.monotonic() - start:.2f} s")
                pair.app.kill()
                pair.app.wait()


class Top(TestCase):
    def test_table(self):
        """top --once and into a pipe: families by series, and the tag with the most values."""
        with Sidecar() as sidecar:
            sidecar.send(*(f"orders:1|c|#region:r{i % 5},user:u{i}" for i in range(300)),
                         *(f"wait:5|ms|#queue:q{i}" for i in range(3)), "level:3|g")
            sidecar.expect({"metrics_sidecar_series": 304})
            table = subprocess.run(command(sidecar, "top", "--once"), capture_output=True,
                                   text=True, timeout=20).stdout.splitlines()
            check(re.match(r"304 of 10000 series in 3 families, 0 events/s, 0 refused",
                           table[0]), table)
            rows = {line.split()[0]: line.split() for line in table[2:]}
            check(list(rows) == ["orders_total", "wait_seconds", "level"], table)
            check(rows["orders_total"][1:3] == ["counter", "300"], table)
            check(rows["orders_total"][5:] == ["user", "(300", "values)"], table)
            check(rows["wait_seconds"][1:3] == ["histogram", "3"], table)
            check(rows["wait_seconds"][5:] == ["queue", "(3", "values)"], table)
            check(rows["level"][1:4] == ["gauge", "1", "-"], table)
            text = sidecar.page()
            lines = [line for line in text.splitlines()
                     if re.match(r"(# \w+ )?orders_total[ {]", line)]
            size = sum(len(line) + 1 for line in lines)
            check(int(rows["orders_total"][4]) == size, f"{rows} has not {size} bytes")

    def test_screen(self):
        """top on a terminal: a screen that is looked at again, sorted by keys, follows the
        terminal's size, and gives the terminal back."""
        with Sidecar() as sidecar:
            sidecar.send(*(f"family{i:02}:1|c|#a:{j}" for i in range(40) for j in range(i + 1)))
            sidecar.expect({"metrics_sidecar_series": 820})
            with Terminal(*command(sidecar, "top")) as terminal:
                terminal.shows("family39_total")
                terminal.shows("q quit")
                check(b"\x1b[?1049h" in terminal.raw, "not on a screen of its own")
                check("family01" not in terminal.read(), "more rows than there is room for")
                terminal.key("\x1b[6~")
                terminal.shows("family01_total")
                terminal.key("b")
                wait_for(lambda: "family01" not in terminal.read(), "its first rows again")
                terminal.resize(60, 12)
                os.kill(terminal.process.pid, signal.SIGWINCH)
                wait_for(lambda: terminal.read().endswith("quit") and len(
                    terminal.read().splitlines()) <= 12, "its new height")
                widths = [len(line) for line in terminal.read().splitlines()]
                check(max(widths) <= 60, f"lines of {widths} columns")
                for _ in range(3):
                    sidecar.send(*["busy:1|c"] * 200)
                    time.sleep(1)
                terminal.key("e")
                terminal.shows("busy_total")
                terminal.key("\x03")
                wait_for(lambda: terminal.process.poll() is not None, "its end by Ctrl-C")
                check(terminal.process.returncode == 0, f"it ends with {terminal.process}")
                terminal.read()
                check(terminal.raw.rstrip().endswith(b"\x1b[?25h\x1b[?1049l"), terminal.raw[-80:])
                check(termios.tcgetattr(terminal.follower) == terminal.before, "other settings")


if __name__ == "__main__":
    main()
