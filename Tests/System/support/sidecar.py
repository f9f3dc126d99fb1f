"""A sidecar alone as a real process with every way in, and clients that say just what they are
told."""
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from support import PROGRAMS
from support.checks import check, free_port, wait_for


class Sidecar:
    """A sidecar in a folder of its own, with every way in; `rules` is the text of a rules file."""

    # What its processes are started with, beside their arguments.
    popen = {}

    def __init__(self, *flags, rules=None, programs=PROGRAMS):
        self.folder = tempfile.mkdtemp(prefix="sidecar-")
        self.program = os.path.join(programs, "metrics-sidecar")
        self.metrics, self.udp, self.tcp = free_port(), free_port(), free_port()
        self.flags = flags
        self.process = None
        self.log = open(self.path("log"), "wb")
        if rules:
            with open(self.path("rules.json"), "w", encoding="utf-8") as f:
                f.write(rules)
            self.flags += ("--rules", self.path("rules.json"))
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.log.close()
        shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def arguments(self):
        return [self.program, "--listen", f"127.0.0.1:{self.metrics}",
                "--events-socket", self.path("events.sock"),
                "--statsd-socket", self.path("statsd.sock"),
                "--statsd-udp", f"127.0.0.1:{self.udp}", "--statsd-tcp", f"127.0.0.1:{self.tcp}",
                "--spectator-socket", self.path("spectator.sock"),
                "--state", self.path("state"), *self.flags]

    def start(self):
        self.process = subprocess.Popen(self.arguments(), stdout=self.log, stderr=self.log,
                                        **self.popen)
        wait_for(lambda: self.page("/-/ready") is not None or self.process.poll() is not None,
                 "the sidecar")
        check(self.process.poll() is None, "the sidecar ended: " + self.output())

    def run(self):
        """Starts it in the foreground where it has to end by itself; how it did."""
        return subprocess.run(self.arguments(), capture_output=True, text=True, timeout=60)

    def stop(self):
        """Has it end by itself if it can; whether it did well is `process.returncode`."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def worker(self):
        """The process that works, under --supervise; None while there is none."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            children = f.read().split()
        return int(children[0]) if children else None

    def kill_worker(self):
        """Kills it by SIGKILL, and waits until another has taken over and answers."""
        victim = self.worker()
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: self.worker() not in (None, victim), "the next worker")
        wait_for(self.page, "its answer")

    def output(self):
        with open(self.path("log"), errors="replace") as f:
            return f.read()

    def page(self, path="/metrics"):
        try:
            with socket.create_connection(("127.0.0.1", self.metrics), timeout=5) as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                answer = b""
                while chunk := s.recv(65536):
                    answer += chunk
                return answer.split(b"\r\n\r\n", 1)[1].decode()
        except (OSError, IndexError):
            return None

    def values(self):
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in (self.page() or "").split("\n") if line and line[0] != "#"}

    def expect(self, expected, seconds=5):
        """Waits until every series has its value exactly; what differs is the failure's text."""
        end = time.monotonic() + seconds
        while True:
            values = self.values()
            wrong = {name: (values.get(name), value) for name, value in expected.items()
                     if values.get(name) != value}
            if not wrong:
                return values
            if time.monotonic() > end:
                raise AssertionError(f"(is, should be) {wrong}")
            time.sleep(0.02)

    def unix(self, name, kind=socket.SOCK_DGRAM):
        s = socket.socket(socket.AF_UNIX, kind)
        s.connect(self.path(name))
        return s

    def send(self, *lines):
        """Lines to statsd.sock, as many to a datagram as fit into 8,000 bytes."""
        with self.unix("statsd.sock") as s:
            batch = b""
            for line in lines:
                line = line.encode() + b"\n"
                if len(batch) + len(line) > 8000:
                    s.send(batch)
                    batch = b""
                batch += line
            if batch:
                s.send(batch)

    def get(self, path="/metrics", method="GET", **fields):
        """The answer to a request with these header fields, `accept_encoding` for one: its head and
        its body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics, timeout=20)
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in fields.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body

    def send_udp(self, data):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(data, ("127.0.0.1", self.udp))

    def send_tcp(self, data):
        with socket.create_connection(("127.0.0.1", self.tcp), timeout=5) as s:
            s.sendall(data)


def frame(*lines):
    data = "\n".join(lines).encode()
    return len(data).to_bytes(4, "little") + data


class Wire:
    """A client of events.sock that says just what it is told to."""

    def __init__(self, sidecar):
        self.socket = sidecar.unix("events.sock", socket.SOCK_STREAM)
        self.socket.settimeout(5)

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))
        return self

    def answers(self, count):
        """The text of so many frames; "closed" where the connection ends."""
        texts = []
        while len(texts) < count:
            head = self.socket.recv(4, socket.MSG_WAITALL)
            if len(head) < 4:
                return texts + ["closed"]
            texts.append(self.socket.recv(int.from_bytes(head, "little"),
                                          socket.MSG_WAITALL).decode())
        return texts


class Session:
    """A client that counts exactly once, in the fewest lines."""

    def __init__(self, path):
        self.path = path
        self.name = secrets.token_hex(16)
        self.waiting = []
        self.number = 0
        self.socket = None

    def put(self, *lines):
        self.number += 1
        self.waiting.append((self.number, frame(f"_seq|{self.number}", *lines)))

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(self.path)
        self.socket.sendall(frame(f"_session|{self.name}"))
        self.acknowledged(self.answer())
        for _, whole in self.waiting:
            self.socket.sendall(whole)

    def answer(self):
        head = self.socket.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            raise OSError("closed")
        text = self.socket.recv(int.from_bytes(head, "little"), socket.MSG_WAITALL)
        return int(text.split(b"|")[1])

    def acknowledged(self, number):
        self.waiting = [(sent, whole) for sent, whole in self.waiting if sent > number]

    def flush(self):
        """Until everything is acknowledged, or `OSError` where the sidecar has gone."""
        if self.socket is None:
            self.connect()
        while self.waiting:
            self.acknowledged(self.answer())

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None
