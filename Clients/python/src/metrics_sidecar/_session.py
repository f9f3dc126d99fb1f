"""The client's end of a session, without a socket: lines in, bytes out, acknowledgements in.

What must stay true: a line is in one frame, which keeps its number until it is acknowledged, through
any number of connections; frames go out in the order of their numbers.
"""
from __future__ import annotations

import os
from collections import deque


class Session:
    """One client life. `output` is what to send next."""

    #: Frames that may wait for their acknowledgement, and what one may hold.
    WINDOW = 32
    FRAME_BYTES = 60_000

    def __init__(self) -> None:
        self.output = bytearray()
        self._input = bytearray()
        self._is_connected = False
        self._begin([])

    def _begin(self, payloads: list[bytes]) -> None:
        self.id = os.urandom(16).hex()
        self.acknowledged = 0
        self._frames = deque(enumerate(payloads, 1))
        self._number = len(payloads)
        self._is_greeted = False

    @property
    def has_room(self) -> bool:
        return len(self._frames) < self.WINDOW

    @property
    def is_settled(self) -> bool:
        """Whether everything that was added is acknowledged."""
        return not self._frames

    def add(self, lines: list[bytes]) -> None:
        """Makes frames of the lines. A line is shorter than a frame."""
        frame: list[bytes] = []
        size = 0
        for line in lines:
            if size + len(line) > self.FRAME_BYTES and frame:
                self._add(b"\n".join(frame))
                frame, size = [], 0
            frame.append(line)
            size += len(line) + 1
        if frame:
            self._add(b"\n".join(frame))

    def _add(self, payload: bytes) -> None:
        self._number += 1
        self._frames.append((self._number, payload))
        if self._is_connected:
            self.output += self._sequenced(self._number, payload)

    def connected(self) -> None:
        """A new connection: it begins with who we are, then all that is not acknowledged."""
        self._is_connected, self._is_greeted = True, False
        self._input.clear()
        self.output[:] = _framed(b"_session|" + self.id.encode())
        for number, payload in self._frames:
            self.output += self._sequenced(number, payload)

    def disconnected(self) -> None:
        self._is_connected = False
        self.output.clear()

    def received(self, data: bytes) -> bool:
        """Takes what the sidecar has sent.

        False where the sidecar does not know this session any more: call `renew`, and connect again.
        """
        self._input += data
        while len(self._input) >= 4:
            size = int.from_bytes(self._input[:4], "little")
            if len(self._input) < 4 + size:
                break
            kind, _, number = bytes(self._input[4:4 + size]).partition(b"|")
            del self._input[:4 + size]
            if kind == b"_ack" and number.isdigit() and not self._acknowledge(int(number)):
                return False
        return True

    def _acknowledge(self, number: int) -> bool:
        if not self._is_greeted:
            self._is_greeted = True
            if number < self.acknowledged:
                return False
        self.acknowledged = max(self.acknowledged, number)
        while self._frames and self._frames[0][0] <= number:
            self._frames.popleft()
        return True

    def renew(self, first: list[bytes]) -> None:
        """Becomes a new session that begins with the lines `first`, then what was not acknowledged."""
        payloads = [payload for _, payload in self._frames]
        self._begin([])
        self.disconnected()
        self.add(first)
        for payload in payloads:
            self._add(payload)

    @staticmethod
    def _sequenced(number: int, payload: bytes) -> bytes:
        return _framed(b"_seq|%d\n%s" % (number, payload))


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data
