"""What docs/settings.md and the programs' --help say of flags."""
import os
import re
import subprocess

from support import PROGRAMS

DOCS = "docs/settings.md"
ROW = re.compile(r"^\| `--([a-z0-9-]+)` \| `(\w+)` \| `([^`]*)` \|", re.M)
FLAG = re.compile(r"^  --([a-z0-9-]+)(?: .*)?\n(?:      [^\[].*\n)+      \[(\w+), default: (.*)\]$",
                  re.M)
NAME = re.compile(r'`((?:metrics_sidecar_\w+|reason=|\{)[^`]*)`')


def documented():
    """The text of docs/settings.md, in parts that follow their programs' names."""
    with open(DOCS, encoding="utf-8") as f:
        return re.split(r"^## (\S+)$", f.read(), flags=re.M)


def told(name="metrics-sidecar"):
    """What a program's --help says."""
    return subprocess.run([os.path.join(PROGRAMS, name), "--help"], capture_output=True, text=True,
                          check=True).stdout


def flags():
    """The sidecar's flags by their names."""
    return [flag for flag, _, _ in FLAG.findall(told())]


def metrics_at_limits():
    """Each flag with the metrics of its last column, "at the limit": a name, with labels where the
    page says by them what happened. `reason="…"` is one of the rejected events, `{…}` one of the
    last name."""
    found = []
    parts = documented()
    for line in parts[parts.index("metrics-sidecar") + 1].splitlines():
        if not line.startswith("| `--"):
            continue
        flag, name = line.split("`")[1][2:], ""
        for text in NAME.findall(line.rsplit(" | ", 1)[1]):
            # One that is there only when it has happened.
            if text == '{overflow="true"}':
                continue
            if text.startswith("reason="):
                text = "metrics_sidecar_events_rejected_total{%s}" % text
            elif text.startswith("{"):
                text = name.split("{")[0] + text
            name = text
            found.append((flag, name))
    return found
