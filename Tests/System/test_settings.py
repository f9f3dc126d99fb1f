#!/usr/bin/env python3
"""Compares docs/settings.md with what both programs say of their flags; each limit names its counter.
Each command has help of its own, and one line for a wrong flag.
Standard library.

    python3 Tests/System/test_settings.py --programs dist/linux-amd64
"""
import argparse
import os
import re
import subprocess

from support.checks import check

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..", "docs", "settings.md")
ROW = re.compile(r"^\| `--([a-z0-9-]+)` \| `(\w+)` \| `([^`]*)` \|", re.M)
FLAG = re.compile(r"^  --([a-z0-9-]+)(?: .*)?\n(?:      [^\[].*\n)+      \[(\w+), default: (.*)\]$", re.M)


NAME = re.compile(r'`((?:metrics_sidecar_\w+|reason=|\{)[^`]*)`')


def documented():
    """The text of docs/settings.md, in parts that follow their programs' names."""
    with open(DOCS, encoding="utf-8") as f:
        return re.split(r"^## (\S+)$", f.read(), flags=re.M)


def told(programs, name="metrics-sidecar"):
    """What a program's --help says."""
    return subprocess.run([os.path.join(programs, name), "--help"], capture_output=True, text=True,
                          check=True).stdout


def flags(programs):
    """The sidecar's flags by their names."""
    return [flag for flag, _, _ in FLAG.findall(told(programs))]


def metrics_at_limits():
    """Each flag with the metrics of its last column, "at the limit": a name, with labels where the page
    says by them what happened. `reason="…"` is one of the rejected events, `{…}` one of the last name."""
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


def wrong_commands(programs, name):
    """What is wrong with the help of a program's commands, and with what they say to a wrong flag."""
    program = os.path.join(programs, name)
    commands = re.findall(r"^  %s \[?([a-z-]+)" % name, told(programs, name), re.M)
    wrong = [] if len(commands) > 3 else [f"{name} --help lists {commands}"]
    for command in commands:
        asked = subprocess.run([program, command, "--help"], capture_output=True, text=True)
        if asked.returncode or not re.search(
                r"^Example:\n  .*%s.*\n\nExit codes:\n  0  .+\n(?:  \d  .+\n)+\nFlags:\n" % name,
                asked.stdout, re.M):
            wrong.append(f"{name} {command} --help has no example, exit codes and flags")
        if command != "serve" and len(FLAG.findall(asked.stdout)) > 4:
            wrong.append(f"{name} {command} --help lists flags of other commands")
        refused = subprocess.run([program, command, "--no-such-flag"], capture_output=True, text=True)
        if refused.returncode != 2 or refused.stdout or refused.stderr != (
                f"{name}: unknown flag --no-such-flag: '{name} {command} --help' lists the flags\n"):
            wrong.append(f"{name} {command} --no-such-flag: {refused}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", required=True)
    programs = parser.parse_args().programs
    parts = documented()
    wrong, count = [], 0
    for name in ("metrics-sidecar", "simple-server"):
        text = told(programs, name)
        said, written = set(FLAG.findall(text)), set(ROW.findall(parts[parts.index(name) + 1]))
        if len(said) < 3 or len(said) != len(re.findall(r"\[\w+, default: ", text)):
            wrong.append(f"{name}: its --help cannot be read")
        wrong += [f"{name} has --{flag} [{variable}, default: {default}], docs/settings.md has not"
                  for flag, variable, default in sorted(said - written)]
        wrong += [f"docs/settings.md has --{flag} [{variable}, default: {default}], {name} has not"
                  for flag, variable, default in sorted(written - said)]
        count += len(said)
        wrong += wrong_commands(programs, name)
    counted = {flag for flag, _ in metrics_at_limits()}
    wrong += [f"docs/settings.md names no counter for --{flag}" for flag in flags(programs)
              if flag.startswith("max-") and flag not in counted]
    check(not wrong, "\n" + "\n".join(wrong))
    print(f"{count} flags are as docs/settings.md has them; "
          f"{len(counted)} name what counts at their limit")


if __name__ == "__main__":
    main()
