#!/usr/bin/env python3
"""Compares docs/settings.md with what both programs say of their flags. Standard library.

    python3 .ci/settings.py --programs dist/linux-amd64
"""
import argparse
import os
import re
import subprocess

from checks import check

DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "settings.md")
ROW = re.compile(r"^\| `--([a-z0-9-]+)` \| `(\w+)` \| `([^`]*)` \|", re.M)
FLAG = re.compile(r"^  --([a-z0-9-]+)(?: .*)?\n(?:      [^\[].*\n)+      \[(\w+), default: (.*)\]$", re.M)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", required=True)
    programs = parser.parse_args().programs
    with open(DOCS) as f:
        parts = re.split(r"^## (\S+)$", f.read(), flags=re.M)
    wrong, count = [], 0
    for name in ("metrics-sidecar", "simple-server"):
        text = subprocess.run([os.path.join(programs, name), "--help"], capture_output=True, text=True,
                              check=True).stdout
        told, written = set(FLAG.findall(text)), set(ROW.findall(parts[parts.index(name) + 1]))
        if len(told) < 3 or len(told) != len(re.findall(r"\[\w+, default: ", text)):
            wrong.append(f"{name}: its --help cannot be read")
        wrong += [f"{name} has --{flag} [{variable}, default: {default}], docs/settings.md has not"
                  for flag, variable, default in sorted(told - written)]
        wrong += [f"docs/settings.md has --{flag} [{variable}, default: {default}], {name} has not"
                  for flag, variable, default in sorted(written - told)]
        count += len(told)
    check(not wrong, "\n" + "\n".join(wrong))
    print(f"{count} flags are as docs/settings.md has them")


if __name__ == "__main__":
    main()
