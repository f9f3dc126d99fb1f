"""Observations that wait to be sent, in bounded memory."""
from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import Optional, Sequence

from . import _lines


class Observations:
    """The values of one series: each by itself, up to `EACH` of them, then as means of what lies
    between two bounds, with how many they stand for. Counts, buckets and the sum stay exact.

    Without bounds, values within 5 % of each other become one; `bounds=()` makes one of all.
    """

    EACH = 256
    _FACTOR = math.log(1.05)

    __slots__ = ("values", "_bins", "_bounds")

    def __init__(self, bounds: Optional[Sequence[float]] = None) -> None:
        self.values: list[float] = []
        self._bins: dict[tuple[int, int], list[float]] = {}
        self._bounds = bounds

    def __bool__(self) -> bool:
        return bool(self.values or self._bins)

    def clear(self) -> None:
        self.values.clear()
        self._bins.clear()

    def fold(self) -> None:
        """Makes room in `values`: a few steps in C for each bin, whatever their number."""
        values = self.values
        values.sort()
        start = 0
        while start < len(values):
            key, edge = self._bin(values[start])
            # At least one, should an edge be rounded below it.
            end = max(start + 1, bisect_right(values, edge, start))
            part = values[start:end]
            found = self._bins.get(key)
            if found is None:
                self._bins[key] = [len(part), sum(part), part[0], part[-1]]
            else:
                found[0] += len(part)
                found[1] += sum(part)
                found[2] = min(found[2], part[0])
                found[3] = max(found[3], part[-1])
            start = end
        values.clear()

    def _bin(self, value: float) -> tuple[tuple[int, int], float]:
        """The bin of a value, and the greatest one that lies in it."""
        if self._bounds is not None:
            index = bisect_left(self._bounds, value)
            return (0, index), self._bounds[index] if index < len(self._bounds) else math.inf
        if value == 0 or not math.isfinite(value):
            return (0, 0), value
        step = math.floor(math.log(abs(value)) / self._FACTOR)
        if value > 0:
            return (1, step), math.exp((step + 1) * self._FACTOR) * (1 - 1e-12)
        return (-1, step), -math.exp(step * self._FACTOR)

    def take(self, family: str, tag_text: str) -> list[bytes]:
        """The lines of all that waits, which is then gone."""
        lines = []
        if self._bounds == ():
            self.fold()
        for start in range(0, len(self.values), 64):
            packed = ":".join(_lines.number(value) for value in self.values[start:start + 64])
            lines.append(_lines.event(family, packed, "d", tag_text))
        for count, total, least, greatest in self._bins.values():
            # Rounding must not take the mean out of its bucket.
            mean = min(max(total / count, least), greatest)
            rate = f"|@{1 / count!r}" if count > 1 else ""
            lines.append(_lines.event(family, _lines.number(mean), "d", tag_text, rate))
        self.clear()
        return lines
