#!/usr/bin/env python3
"""Counts allocations by valgrind: warm, a request, an event and a scraped line have none.

    Tests/System/run allocations [RELEASE=.build/release]

Each program runs twice, the second time with more of the same work; the counts must not differ.
"""
import os
import re
import signal
import socket
import subprocess
import tempfile
from unittest import TestCase, main

from support import ROOT, setting
from support.checks import check, free_port, wait_for

# The normal form: valgrind cannot count what a static program allocates.
RELEASE = str(ROOT / setting("RELEASE", ".build/release"))
LINES = [b"jobs.done:1|c|#queue:mail", b"wait:0.25|d|@0.5", b"temperature:21.5|g", b"load:12|ms"]


def connect(port, path):
    """A connection to a port or a socket file, once the program has come up, slowly, under
    valgrind."""
    found = []

    def try_it():
        try:
            if path:
                found.append(socket.socket(socket.AF_UNIX))
                found[-1].connect(path)
            else:
                found.append(socket.create_connection(("127.0.0.1", port), timeout=20))
            return True
        except OSError:
            return False
    wait_for(try_it, "the program to listen under valgrind")
    return found[-1]


def ask(s, path):
    s.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += s.recv(65536)
    head, body = answer.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"Content-Length: +(\d+)", head).group(1))
    while len(body) < length:
        body += s.recv(65536)
    return body


def allocations(command, port, work):
    """What valgrind counts for a run of `command` during which `work` is done."""
    with tempfile.NamedTemporaryFile(mode="r") as log:
        process = subprocess.Popen(["valgrind", "--tool=memcheck", "--undef-value-errors=no",
                                    f"--log-file={log.name}", *command], stdout=subprocess.DEVNULL)
        try:
            with connect(port, None) as s:
                work(s)
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
            told = log.read()
            check(code == 0, f"{command[0]} ended with {code}: {told}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        return int(re.search(r"total heap usage: ([\d,]+) allocs", told).group(1).replace(",", ""))


def app(programs, folder, count):
    """Requests to each endpoint, one that is unknown and one with a method that is not allowed."""
    port = free_port()

    def work(s):
        for n in range(count):
            for path in (b"/", b"/health", b"/bye", b"/nothing"):
                ask(s, path)
    return allocations([f"{programs}/simple-server", "--listen", f"127.0.0.1:{port}", "--workers",
                        "1", "--events-socket", ""], port, work)


def hand_over(s, path, frames, series):
    """Sends frames to the events socket, until the page has `series` at what they add up to."""
    with connect(0, path) as e:
        for n, frame in enumerate(frames):
            e.sendall(len(frame).to_bytes(4, "little") + frame)
            if n % 50 == 0:
                ask(s, b"/-/healthy")
    wait_for(lambda: series.encode() in ask(s, b"/metrics"), f"the page to have {series}")


def events(programs, folder, count):
    """Frames of known events on the events socket."""
    port, path = free_port(), f"{folder}/events.sock"

    def work(s):
        hand_over(s, path, [b"\n".join(LINES * 4)] * count,
                  f"jobs_done_total{{queue=\"mail\"}} {count * 4}.0")
    return allocations(sidecar(programs, folder, port, path), port, work)


def traced(programs, folder, count):
    """Frames of events of a known series, each with a trace of its own that becomes an exemplar."""
    port, path = free_port(), f"{folder}/events.sock"
    with open(f"{folder}/rules.json", "w") as f:
        f.write('{"families": [{"name": "jobs_done_total", "type": "counter", "labels": ["queue"],'
                '"exemplar": "trace_id", "events": [{"event": "jobs.done"}]}]}')

    def work(s):
        frames = (b"\n".join(b"jobs.done:1|c|#queue:mail,trace_id:%032x" % (16 * n + i)
                             for i in range(16)) for n in range(count))
        hand_over(s, path, frames, f"jobs_done_total{{queue=\"mail\"}} {count * 16}.0")
    return allocations([*sidecar(programs, folder, port, path), "--rules", f"{folder}/rules.json"],
                       port, work)


def scrape(programs, folder, count):
    """One scrape of so many series; making them allocates, so the same run without it is taken
    off."""
    def run(scrapes):
        port, path = free_port(), f"{folder}/events.sock"

        def work(s):
            with connect(0, path) as e:
                for n in range(2000):
                    line = b"orders:%d|c|#shop:%d" % (n + 1, n)
                    e.sendall(len(line).to_bytes(4, "little") + line)
            wait_for(lambda: b"metrics_sidecar_series 2000" in ask(s, b"/metrics"), "all series")
            query = b"/metrics?name[]=orders_total" if count else b"/metrics?name[]=none_total"
            for _ in range(scrapes):
                ask(s, query)
        return allocations(sidecar(programs, folder, port, path), port, work)
    return run(30) - run(10)


def sidecar(programs, folder, port, path):
    if os.path.exists(f"{folder}/state"):
        os.unlink(f"{folder}/state")
    return [f"{programs}/metrics-sidecar", "--listen", f"127.0.0.1:{port}", "--events-socket", path,
            "--statsd-socket", "", "--state", f"{folder}/state"]


class Allocations(TestCase):
    def test_warm(self):
        """Warm, a request, an event, one with a trace and a scraped line allocate nothing."""
        with tempfile.TemporaryDirectory(prefix="allocations-") as folder:
            # valgrind does not read the newest debug information.
            for name in ("simple-server", "metrics-sidecar"):
                subprocess.run(["strip", "-o", f"{folder}/{name}", f"{RELEASE}/{name}"],
                               check=True)
            for what, measure, less, more, unit in (
                    ("request", app, 200, 700, 4), ("event", events, 200, 700, 16),
                    ("event with a trace", traced, 200, 700, 16)):
                low, high = measure(folder, folder, less), measure(folder, folder, more)
                each = (high - low) / ((more - less) * unit)
                print(f"  {what}: {low} allocations, {high} with {(more - less) * unit} more: "
                      f"{each:.4f} each",
                      flush=True)
                check(each <= 0.005, f"a warm {what} allocates")
            none, lines = (scrape(folder, folder, n) for n in (0, 1))
            each = (lines - none) / 20 / 2000
            print(f"  scraped line: {lines - none} allocations more for 20 pages of 2000: "
                  f"{each:.4f} each")
            check(each <= 0.005, "a scraped line allocates")


if __name__ == "__main__":
    main()
