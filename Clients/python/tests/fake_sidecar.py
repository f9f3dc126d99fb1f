"""A sidecar as far as a session sees it, in a thread: applies frames once, and says what it has."""
import collections
import os
import shutil
import socket
import struct
import tempfile
import threading
import time


class FakeSidecar:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="fake-sidecar-")
        self.path = os.path.join(self.folder, "events.sock")
        self.lock = threading.Lock()
        self.forget()
        self.listener = None
        self.connections = []

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder)

    def forget(self):
        """Loses its state."""
        with self.lock:
            self.positions = {}
            self.counters = collections.Counter()
            self.gauges = {}
            self.observations = collections.Counter()
            self.sums = collections.Counter()
            self.others = []

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def stop(self):
        """Dies: what it has applied it keeps, its socket and connections are gone."""
        if self.listener is None:
            return
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = None
        os.unlink(self.path)
        for each in self.connections:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connections = []

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection):
        data, session = b"", None
        try:
            while True:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
                while len(data) >= 4 and len(data) >= 4 + (size := struct.unpack("<I", data[:4])[0]):
                    frame, data = data[4:4 + size], data[4 + size:]
                    with self.lock:
                        session = self._frame(frame, session, connection)
        except (OSError, AssertionError):
            pass
        finally:
            connection.close()

    def _frame(self, frame, session, connection):
        first, _, rest = frame.partition(b"\n")
        kind, _, text = first.partition(b"|")
        if kind == b"_session":
            assert session is None and not rest
            session = text
            self.positions.setdefault(session, 0)
        else:
            assert kind == b"_seq" and int(text) <= self.positions[session] + 1, "a gap"
            if int(text) == self.positions[session] + 1:
                for line in rest.split(b"\n"):
                    self._line(line.decode())
                self.positions[session] = int(text)
        answer = b"_ack|%d" % self.positions[session]
        connection.sendall(struct.pack("<I", len(answer)) + answer)
        return session

    def _line(self, line):
        if line.startswith("_"):
            self.others.append(line)
            return
        head, _, fields = line.partition("|")
        name, *values = head.split(":")
        kind, *fields = fields.split("|")
        tags = next((field[1:] for field in fields if field[0] == "#"), "")
        rate = next((float(field[1:]) for field in fields if field[0] == "@"), 1)
        key = f"{name}{{{tags}}}" if tags else name
        for value in map(float, values):
            if kind == "c":
                self.counters[key] += value
            elif kind == "g":
                self.gauges[key] = value
            else:
                self.observations[key] += round(1 / rate)
                self.sums[key] += value * round(1 / rate)

    def await_(self, holds, what):
        """Waits until it holds."""
        end = time.monotonic() + 20
        while True:
            with self.lock:
                if holds():
                    return
                state = (dict(self.counters), self.gauges, dict(self.observations))
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not come: {state}")
            time.sleep(0.01)
