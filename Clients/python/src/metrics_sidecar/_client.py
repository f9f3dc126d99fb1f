"""The client that counts exactly once: what it does about threads, forks and the end of a process."""
from __future__ import annotations

import _socket  # the kernel's sockets, whatever gevent and others have put in their place
import atexit
import logging
import os
import select
import signal
import sys
import threading
import time
import weakref
from collections import deque
from typing import Any, Protocol

from . import _lines
from ._observations import Observations
from ._session import Session

log = logging.getLogger("metrics_sidecar")


class Source(Protocol):
    """Something else that counts, and gives its lines when there is room for them."""

    def first(self) -> list[bytes]:
        """What a new session begins with; and all gauges are due again."""

    def take(self) -> list[bytes]:
        """Lines of what has changed since, up to some 60 KB. They are the session's from now on."""

    def forked(self) -> None:
        """This process is a child now: what the parent has not sent is the parent's."""


class SessionClient:
    """Counts in the sidecar, exactly once, over its events socket.

        client = SessionClient("/run/metrics/events.sock")
        client.count("jobs.done", tags={"queue": "mail"})

    Nothing here waits for the sidecar. What was counted goes out twice a second, in a thread of its
    own; while the sidecar is away, sums stay here, so memory grows with the number of series and not
    with time. Safe from any thread, greenlet or signal handler. A forked child has a session of its
    own and nothing of its parent's. At the end of the interpreter, and at SIGTERM where nobody else
    handles it, what is left goes out, within `exit_timeout` seconds; two where no sidecar has ever
    answered this process. `handle_sigterm=False` leaves SIGTERM as it is.

    A process that is killed takes with it what it had not handed over: half a second's counts.
    """

    def __init__(
        self, path: str = "/run/metrics/events.sock", *, interval: float = 0.5,
        max_series: int = 10_000, exit_timeout: float = 10.0, threads: bool = True,
        handle_sigterm: bool = True,
    ) -> None:
        self.path = path
        #: Series that were refused because `max_series` wait already.
        self.dropped = 0
        self._interval = interval
        self._max_series = max_series
        self._exit_timeout = exit_timeout
        self._has_threads = threads
        self._sources: list[Source] = []
        self._queue: deque[tuple[str, str, str, float]] = deque()
        self._gauges: dict[tuple[str, str], float] = {}
        self._absent_since = 0.0
        self._is_absence_told = False
        self._is_closed = False
        self._reset()
        _clients.add(self)
        _end_with_process(handle_sigterm)

    def _reset(self) -> None:
        """As after a fork: a session, locks and sums of its own."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._session = Session()
        self._is_new = True
        self._socket: _socket.socket | None = None
        self._queue.clear()
        self._sums: dict[tuple[str, str], float] = {}
        self._due_gauges: dict[tuple[str, str], float] = {}
        self._observations: dict[tuple[str, str], Observations] = {}
        self._retry_at = 0.0
        self._pause = 0.01
        self._was_answered = False
        self._ticked_at = 0.0

    # What is counted

    def count(self, name: str, value: float = 1, tags: _lines.Tags = None) -> None:
        """Adds to a counter; `value` is not negative."""
        if not 0 <= value < float("inf"):
            raise ValueError(f"a counter cannot grow by {value}")
        self._put("c", name, tags, value)

    def gauge(self, name: str, value: float, tags: _lines.Tags = None) -> None:
        """Sets a gauge. It is sent again to a sidecar that has lost its state."""
        self._put("g", name, tags, value)

    def observe(self, name: str, value: float, tags: _lines.Tags = None) -> None:
        """Gives a histogram or summary one value; a time is in seconds."""
        if not abs(value) < float("inf"):
            raise ValueError(f"{value} cannot be observed")
        self._put("d", name, tags, value)

    def _put(self, kind: str, name: str, tags: _lines.Tags, value: float) -> None:
        if type(tags) is not str:
            tags = _lines.tags(tags)
        self._queue.append((kind, name, tags, value))
        if self._thread is None:
            self.start()
        if len(self._queue) > 10_000 and self._lock.acquire(blocking=len(self._queue) > 100_000):
            try:
                self._fold()
            finally:
                self._lock.release()

    def _fold(self) -> None:
        """Adds up what waits in the queue. With the lock."""
        while self._queue:
            try:
                kind, name, tags, value = self._queue.popleft()
            except IndexError:
                return
            key = name, tags
            table = {"c": self._sums, "g": self._due_gauges, "d": self._observations}[kind]
            if key not in table and not self._has_room(kind, key, table):
                continue
            if kind == "c":
                self._sums[key] = self._sums.get(key, 0) + value
            elif kind == "g":
                self._gauges[key] = self._due_gauges[key] = value
            else:
                found = self._observations.setdefault(key, Observations())
                found.values.append(value)
                if len(found.values) > Observations.EACH:
                    found.fold()

    def _has_room(self, kind: str, key: tuple[str, str], table: dict) -> bool:
        count = len(self._gauges) if kind == "g" and key not in self._gauges else len(table)
        if count < self._max_series:
            return True
        self.dropped += 1
        if self.dropped == 1:
            log.warning("more than %d series wait for %s: others are dropped until some have gone",
                        self._max_series, self.path)
        return False

    # When it goes out

    def add_source(self, source: Source) -> None:
        with self._lock:
            self._sources.append(source)
            self._is_new = True

    def start(self) -> None:
        """Starts the thread that flushes, if there is none: the first event does."""
        if not self._has_threads or self._is_closed:
            return self.tick()
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="metrics-sidecar", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is ending, or may have no more threads
                    return
                self._thread = thread

    def _run(self) -> None:
        wake, pid = self._wake, self._pid
        while not wake.wait(self._interval) and pid == os.getpid():
            self.flush()

    def tick(self) -> None:
        """Where there are no threads: flushes, if the last time is long enough ago."""
        now = time.monotonic()
        if now - self._ticked_at >= self._interval:
            self._ticked_at = now
            self.flush()

    def flush(self) -> bool:
        """Hands what was counted to the kernel, as far as it takes it; does not wait.

        Returns True when everything is acknowledged.
        """
        with self._lock:
            return self._flush()

    def close(self, timeout: float = 10) -> bool:
        """Ends the client, at the latest after `timeout` seconds; True when everything was counted.

        It must not be used any more, but in a forked child.
        """
        self._wake.set()
        self._is_closed = True
        is_settled = self._drain(timeout)
        with self._lock:
            self._disconnect()
        return is_settled

    def _drain(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        self._retry_at, self._pause = 0.0, 0.01
        while True:
            # In a signal handler, the lock may be the interrupted code's.
            if not self._lock.acquire(timeout=max(0.01, end - time.monotonic())):
                return False
            try:
                if self._flush():
                    return True
                socket = self._socket
            finally:
                self._lock.release()
            left = end - time.monotonic()
            if left <= 0:
                return False
            if socket is None:
                time.sleep(min(left, 0.01))
            else:
                select.select([socket.fileno()], [], [], min(left, 0.05))

    # With the lock

    def _flush(self) -> bool:
        if self._pid != os.getpid():  # a fork that Python was not told of
            self._forked()
        self._fold()
        is_drained = self._fill()
        try:
            if self._socket is None and not self._session.is_settled:
                self._connect()
            if self._socket is not None:
                self._exchange()
        except OSError:
            self._disconnect()
            self._note_absence()
        return is_drained and self._session.is_settled

    def _fill(self) -> bool:
        """Makes frames of what waits, as far as the window lets; whether that was all."""
        if self._is_new:
            self._is_new = False
            self._session.add([line for source in self._sources for line in source.first()])
        while self._session.has_room:
            lines = self._own_lines()
            if not lines:
                for source in self._sources:
                    lines += source.take()
            if not lines:
                return True
            self._session.add(lines)
        return not (self._sums or self._due_gauges or self._observations)

    def _own_lines(self) -> list[bytes]:
        lines: list[bytes] = []
        while len(lines) < 400 and (self._sums or self._due_gauges or self._observations):
            if self._sums:
                (name, tags), value = self._sums.popitem()
                lines.append(_lines.event(_lines.name(name), _lines.number(value), "c", tags))
            elif self._due_gauges:
                (name, tags), value = self._due_gauges.popitem()
                lines.append(_lines.event(_lines.name(name), _lines.number(value), "g", tags))
            else:
                (name, tags), found = self._observations.popitem()
                lines += found.take(_lines.name(name), tags)
        return lines

    def _connect(self) -> None:
        if time.monotonic() < self._retry_at:
            return
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._socket.setblocking(False)
        path = "\0" + self.path[1:] if self.path.startswith("@") else self.path
        self._socket.connect(path)
        self._session.connected()

    def _disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._session.disconnected()
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, 1)

    def _exchange(self) -> None:
        assert self._socket is not None
        output = self._session.output
        try:
            while output:
                del output[:self._socket.send(output)]
        except BlockingIOError:
            pass
        try:
            while True:
                data = self._socket.recv(65_536)
                if not data:
                    raise ConnectionResetError
                if not self._session.received(data):
                    return self._renew()
                self._pause = 0.01
                self._was_answered = True
                self._note_presence()
        except BlockingIOError:
            pass

    def _renew(self) -> None:
        """The sidecar has lost its state, or has forgotten this session."""
        first = [line for source in self._sources for line in source.first()]
        self._session.renew(first)
        self._due_gauges = {**self._gauges, **self._due_gauges}
        self._disconnect()
        self._retry_at = 0.0

    # What people are told

    def _note_absence(self) -> None:
        now = time.monotonic()
        self._absent_since = self._absent_since or now
        if now - self._absent_since > 2 and not self._is_absence_told:
            self._is_absence_told = True
            log.warning("nothing listens on %s: metrics stay in this process until a sidecar does",
                        self.path)

    def _note_presence(self) -> None:
        if self._is_absence_told:
            log.warning("the sidecar listens on %s again", self.path)
        self._absent_since, self._is_absence_told = 0.0, False

    # Forks, and the end

    def _forked(self) -> None:
        """In the child: the socket, the session and all that waits are the parent's."""
        if self._socket is not None:
            self._socket.close()
        self._reset()
        self._gauges.clear()
        self._is_closed = False
        for source in self._sources:
            source.forked()

    def _exit(self) -> None:
        if self._pid == os.getpid() and not self._is_closed:
            self._drain(self._exit_timeout if self._was_answered else min(2, self._exit_timeout))


_clients: "weakref.WeakSet[SessionClient]" = weakref.WeakSet()
_frozen: list[SessionClient] = []


def _before_fork() -> None:
    # No other thread is amid a flush when the memory is copied.
    _frozen[:] = sorted(_clients, key=id)
    for client in _frozen:
        client._lock.acquire()
    _finish_with_multiprocessing()


def _after_fork_in_parent() -> None:
    for client in _frozen:
        client._lock.release()
    _frozen.clear()


def _after_fork_in_child() -> None:
    for client in _frozen:
        client._forked()
    _frozen.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child)


def _flush_all() -> None:
    for client in list(_clients):
        client._exit()


_is_registered = False
_is_with_multiprocessing = False


def _end_with_process(handles_sigterm: bool) -> None:
    """Has `_flush_all` called at the end of the interpreter and at SIGTERM, once for all clients."""
    global _is_registered
    if _is_registered:
        return
    _is_registered = True
    atexit.register(_flush_all)
    if not handles_sigterm:
        return
    signal.signal = _signal
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except ValueError:  # not the main thread: the program's own way to end calls atexit
        pass


_original_signal = signal.signal


def _signal(number: int, handler: Any) -> Any:
    """`signal.signal`, where the default for SIGTERM flushes first.

    Servers put their handler in its place, and at their end the default back, and raise the signal
    again: uvicorn does, and no atexit is called then.
    """
    if number == signal.SIGTERM and handler is signal.SIG_DFL:
        handler = _terminated
    before = _original_signal(number, handler)
    return signal.SIG_DFL if before is _terminated else before


def _terminated(number: int, frame: object) -> None:
    _flush_all()
    _original_signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _finish_with_multiprocessing() -> None:
    """A child of multiprocessing ends without atexit: it calls its own finalizers."""
    global _is_with_multiprocessing
    util = sys.modules.get("multiprocessing.util")
    if util is None or _is_with_multiprocessing:
        return
    _is_with_multiprocessing = True
    util.register_after_fork(
        _Finisher.one, lambda _: util.Finalize(None, _flush_all, exitpriority=-100))


class _Finisher:
    """multiprocessing keeps what it is given by a weak reference."""

    one: "_Finisher"


_Finisher.one = _Finisher()
