"""Counts exactly once, over the events socket: the session protocol of docs/protocol.md.

    events = SessionClient("/run/metrics/events.sock")
    events.count("jobs.done", tags="queue:mail")
    events.flush()              # never waits; call it once a second, or after each job
    events.close(timeout=10)    # waits until everything is acknowledged

An increment is in one place: a sum that no frame has taken, or a frame that is not acknowledged,
which keeps its number until the sidecar has it, through any number of connections. Threads may
share a client. After a fork the parent keeps what it has counted; the child's client starts empty,
with a session of its own.
"""
import contextlib
import os
import socket
import threading
import time
import weakref


class SessionClient:
    LINES, WINDOW = 200, 32  # lines of a frame; frames that wait for an acknowledgement

    def __init__(self, path="/run/metrics/events.sock"):
        self.path, self.socket = path, None
        self._start()
        _clients.add(self)

    def count(self, name, value=1, tags=""):
        with self.lock:
            self.sums[name, tags] = self.sums.get((name, tags), 0) + value

    def flush(self):
        """Hands what was counted to the kernel, as far as it takes it. True when all is counted."""
        with self.lock:
            return self._flush()

    def close(self, timeout=10):
        end = time.monotonic() + timeout
        while not (done := self.flush()) and time.monotonic() < end:
            time.sleep(0.002)
        return done

    def _start(self):
        """Makes it empty. At a fork the lock may be held, by a thread that the child has not."""
        if self.socket:
            self.socket.close()
        self.lock, self.sums, self.socket = threading.Lock(), {}, None
        self.output, self.input, self.retry_at, self.pause = b"", b"", 0.0, 0.01
        self._begin([])

    def _flush(self):
        while self.sums and len(self.frames) < self.WINDOW:
            self._add([f"{name}:{self.sums.pop((name, tags))}|c{'|#' + tags if tags else ''}"
                       for name, tags in list(self.sums)[:self.LINES]])
        try:
            if not self.socket and self.frames and time.monotonic() >= self.retry_at:
                self._connect()
            if self.socket:
                self._exchange()
        except OSError:
            self._disconnect()
        return not self.sums and not self.frames

    def _begin(self, lines):
        """A new session, which takes over what an old one has left."""
        self.session, self.acknowledged = os.urandom(16).hex(), 0
        self.frames = [(number, each) for number, each in enumerate(lines, 1)]
        self.number = len(lines)

    def _add(self, lines):
        self.number += 1
        self.frames.append((self.number, lines))
        if self.socket:
            self.output += self._frame(f"_seq|{self.number}", *lines)

    @staticmethod
    def _frame(*lines):
        data = "\n".join(lines).encode()
        return len(data).to_bytes(4, "little") + data

    def _connect(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.connect(self.path)
        self.is_new, self.input = True, b""
        self.output = self._frame(f"_session|{self.session}") + b"".join(
            self._frame(f"_seq|{number}", *lines) for number, lines in self.frames)

    def _disconnect(self):
        self.socket.close()
        self.socket, self.output = None, b""
        self.retry_at, self.pause = time.monotonic() + self.pause, min(self.pause * 2, 1)

    def _exchange(self):
        with contextlib.suppress(BlockingIOError):
            self.output = self.output[self.socket.send(self.output):] if self.output else b""
        with contextlib.suppress(BlockingIOError):
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError
            self.input += data
        while len(self.input) >= 4 + (size := int.from_bytes(self.input[:4], "little")) > 4:
            kind, number = self.input[4:4 + size].split(b"|")
            self.input = self.input[4 + size:]
            if kind == b"_ack":
                self._acknowledge(int(number))

    def _acknowledge(self, number):
        if self.is_new and number < self.acknowledged:  # the sidecar has lost its state
            self._begin([lines for _, lines in self.frames])
            raise ConnectionResetError
        self.is_new, self.pause, self.acknowledged = False, 0.01, number
        self.frames = [frame for frame in self.frames if frame[0] > number]


_clients = weakref.WeakSet()
os.register_at_fork(after_in_child=lambda: [client._start() for client in _clients])
