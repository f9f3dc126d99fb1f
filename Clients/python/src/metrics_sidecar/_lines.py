"""Lines of the event protocol, as bytes: docs/protocol.md of metrics-sidecar has their grammar."""
from __future__ import annotations

from typing import Iterable, Mapping, Sequence, Union

Tags = Union[str, Mapping[str, object], Iterable[tuple[str, object]], None]

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "|": "\\p", ",": "\\c"})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "|": "\\p"})
# What would end a name, and with it misread the rest of the line.
_NAME_BREAKS = str.maketrans(dict.fromkeys(":|\n", "_"))
_TAG_BREAKS = str.maketrans(dict.fromkeys(":|\n,#", "_"))


def name(text: str) -> str:
    """The name as a line can have it: a colon, a bar or a newline becomes an underscore."""
    return text.translate(_NAME_BREAKS)


def tags(pairs: Tags) -> str:
    """`k:v,k:v` of a mapping or of pairs; text is taken as it is.

    A comma, a bar, a newline and a backslash in a value are escaped. A declared family has the
    value as it was; in others the escape itself shows, since StatsD has none.
    """
    if not pairs:
        return ""
    if isinstance(pairs, str):
        return pairs
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return ",".join(f"{str(key).translate(_TAG_BREAKS)}:{str(value).translate(_ESCAPES)}"
                    for key, value in items)


def number(value: float) -> str:
    """The shortest text that is read as the same number."""
    whole = int(value) if value == value and abs(value) < 1e15 else None
    return str(whole) if whole is not None and whole == value else repr(float(value))


def event(family: str, value: str, kind: str, tag_text: str = "", more: str = "") -> bytes:
    """One event: `more` is further fields, each with its bar."""
    behind = f"|#{tag_text}" if tag_text else ""
    return f"{family}:{value}|{kind}{behind}{more}".encode()


def declaration(
    family: str, kind: str, documentation: str, bounds: Sequence[float] = (), merge: str = ""
) -> bytes:
    """`_family|…`: what a family is that no rule makes."""
    line = f"_family|{family}|{kind}|{documentation.translate(_HELP_ESCAPES)}"
    if bounds:
        line += "|b:" + ",".join(number(bound) for bound in bounds)
    if merge:
        line += "|m:" + merge
    return line.encode()


def series(family: str, tag_text: str = "") -> bytes:
    """`_series|…`: a series that is shown before its first event."""
    return (f"_series|{family}" + (f"|#{tag_text}" if tag_text else "")).encode()


def removal(family: str, tag_text: str = "") -> bytes:
    """`_remove|…`: this client's part in a series of a gauge ends."""
    return (f"_remove|{family}" + (f"|#{tag_text}" if tag_text else "")).encode()
