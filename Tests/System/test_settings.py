#!/usr/bin/env python3
"""Compares docs/settings.md with what both programs say of their flags; each limit names its
counter. Each command has help of its own, and one line for a wrong flag.

    Tests/System/run settings
"""
import os
import re
import subprocess
from unittest import TestCase, main

from support import PROGRAMS
from support.checks import check
from support.flags import FLAG, ROW, documented, flags, metrics_at_limits, told


def wrong_commands(name):
    """What is wrong with the help of a program's commands, and with what they say to a wrong
    flag."""
    program = os.path.join(PROGRAMS, name)
    commands = re.findall(r"^  %s \[?([a-z-]+)" % name, told(name), re.M)
    wrong = [] if len(commands) > 3 else [f"{name} --help lists {commands}"]
    for command in commands:
        asked = subprocess.run([program, command, "--help"], capture_output=True, text=True)
        if asked.returncode or not re.search(
                r"^Example:\n  .*%s.*\n\nExit codes:\n  0  .+\n(?:  \d  .+\n)+\nFlags:\n" % name,
                asked.stdout, re.M):
            wrong.append(f"{name} {command} --help has no example, exit codes and flags")
        if command != "serve" and len(FLAG.findall(asked.stdout)) > 4:
            wrong.append(f"{name} {command} --help lists flags of other commands")
        refused = subprocess.run([program, command, "--no-such-flag"], capture_output=True,
                                 text=True)
        if refused.returncode != 2 or refused.stdout or refused.stderr != (
                f"{name}: unknown flag --no-such-flag: '{name} {command} --help' lists the "
                f"flags\n"):
            wrong.append(f"{name} {command} --no-such-flag: {refused}")
    return wrong


class Settings(TestCase):
    def test_flags(self):
        """docs/settings.md has each flag, its variable and its default; each limit names its
        counter."""
        parts = documented()
        wrong, count = [], 0
        for name in ("metrics-sidecar", "simple-server"):
            text = told(name)
            said, written = set(FLAG.findall(text)), set(ROW.findall(parts[parts.index(name) + 1]))
            if len(said) < 3 or len(said) != len(re.findall(r"\[\w+, default: ", text)):
                wrong.append(f"{name}: its --help cannot be read")
            wrong += [
                f"{name} has --{flag} [{variable}, default: {default}], docs/settings.md has not"
                      for flag, variable, default in sorted(said - written)]
            wrong += [
                f"docs/settings.md has --{flag} [{variable}, default: {default}], {name} has not"
                      for flag, variable, default in sorted(written - said)]
            count += len(said)
            wrong += wrong_commands(name)
        counted = {flag for flag, _ in metrics_at_limits()}
        wrong += [f"docs/settings.md names no counter for --{flag}" for flag in flags()
                  if flag.startswith("max-") and flag not in counted]
        check(not wrong, "\n" + "\n".join(wrong))
        print(f"  {count} flags are as docs/settings.md has them; "
              f"{len(counted)} name what counts at their limit")


if __name__ == "__main__":
    main()
