"""A sidecar and an App as real processes, requests that are counted, and what a process takes."""
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from support import PROGRAMS
from support.checks import free_port, wait_for

RULES = "chart/files/rules.json"
PATHS = [b"/", b"/health", b"/bye"]


class Pair:
    """A sidecar and an App in a folder of their own."""

    def __init__(self, programs=PROGRAMS, rules=RULES):
        self.programs, self.rules = programs, rules
        self.folder = tempfile.mkdtemp(prefix="verify-")
        self.api = free_port()
        self.metrics = free_port()
        self.sidecar = self.app = None
        self.log = open(os.path.join(self.folder, "log"), "wb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self.app, self.sidecar):
            if process and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def start_sidecar(self, *flags, wait=True, environment=None, preexec_fn=None):
        self.sidecar = subprocess.Popen(
            [os.path.join(self.programs, "metrics-sidecar"), "--listen",
             f"127.0.0.1:{self.metrics}",
             "--events-socket", self.path("events.sock"), "--statsd-socket",
             self.path("statsd.sock"),
             "--state", self.path("state"), "--rules", self.rules, *flags],
            stdout=self.log, stderr=self.log, preexec_fn=preexec_fn,
            env={**os.environ, **(environment or {})})
        if wait:
            wait_for(lambda: self.get(self.metrics, "/-/ready") is not None, "the sidecar")

    def start_app(self, *flags, wait=True, environment=None, preexec_fn=None):
        self.app = subprocess.Popen(
            [os.path.join(self.programs, "simple-server"), "--listen", f"127.0.0.1:{self.api}",
             "--events-socket", self.path("events.sock"), *flags],
            stdout=self.log, stderr=self.log, preexec_fn=preexec_fn,
            env={**os.environ, **(environment or {})})
        if wait:
            wait_for(lambda: listening(self.api), "the App")

    def get(self, port, path):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                answer = b""
                while chunk := s.recv(65536):
                    answer += chunk
                return answer
        except OSError:
            return None

    def values(self):
        answer = self.get(self.metrics, "/metrics")
        if not answer:
            return {}
        body = answer.split(b"\r\n\r\n", 1)[1].decode()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in body.splitlines() if line and line[0] != "#"}

    def total(self):
        return self.values().get("server_requests_total", -1)


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Load(threading.Thread):
    """Sends pipelined requests on one connection and counts the answers exactly.

    What the App has counted it hands to the kernel before it answers, as long as a socket's buffer
    has room: some hundred turns. With a `pause` in seconds between two batches, a sidecar that gets
    no processor for a moment does not fall so far behind."""

    def __init__(self, port, seed, reconnect=False, paths=PATHS, pause=0):
        super().__init__(daemon=True)
        self.pause = pause
        self.port, self.random, self.reconnect = port, random.Random(seed), reconnect
        self.paths = paths
        self.sent = self.answered = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.converse()
            except OSError:
                pass
            if not self.reconnect:
                return
            time.sleep(0.01)

    def converse(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            pending = b""
            while not self.stopping.is_set():
                count = self.random.randint(1, 8)
                batch = b"".join(
                    b"GET " + self.random.choice(self.paths) + b" HTTP/1.1\r\nHost: x\r\n\r\n"
                    for _ in range(count))
                self.sent += count
                s.sendall(batch)
                waiting = count
                while waiting:
                    chunk = s.recv(65536)
                    if not chunk:
                        raise OSError("closed")
                    pending += chunk
                    while (end := pending.find(b"\r\n\r\n")) >= 0:
                        length = int(re.search(rb"Content-Length: (\d+)", pending[:end]).group(1))
                        if len(pending) < end + 4 + length:
                            break
                        pending = pending[end + 4 + length:]
                        self.answered += 1
                        waiting -= 1
                if self.pause:
                    time.sleep(self.pause)


@contextlib.contextmanager
def loaded(pair, count=4, **how):
    """Load on so many connections at once, ended with the block."""
    loads = [Load(pair.api, seed, **how) for seed in range(count)]
    for load in loads:
        load.start()
    try:
        yield loads
    finally:
        for load in loads:
            load.stopping.set()
        for load in loads:
            load.join(20)


def resident(process):
    with open(f"/proc/{process.pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


def cpu(process):
    with open(f"/proc/{process.pid}/stat") as f:
        fields = f.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
