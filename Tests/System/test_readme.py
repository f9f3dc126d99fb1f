#!/usr/bin/env python3
"""Runs README.md's sessions against `make run` and compares what is printed.

    Tests/System/run readme

In a ```console block, a line that starts with "$ " is a command, and what follows it is what it has
to print, to the letter. The ports are those of the README, so they must be free.
"""
import os
import re
import shutil
import signal
import subprocess
import urllib.request
from unittest import TestCase, main

from support.checks import check, wait_for

READY = ["http://127.0.0.1:8081/openapi.json", "http://127.0.0.1:8000/-/ready"]


def answers(url):
    try:
        return urllib.request.urlopen(url, timeout=2).status == 200
    except OSError:
        return False


def sessions(text):
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


class Readme(TestCase):
    def test_sessions(self):
        """Each command of README.md prints what it says, while `make run` runs."""
        shutil.rmtree(".run", ignore_errors=True)
        subprocess.run(["make", "build"], check=True, stdout=subprocess.DEVNULL)
        run = subprocess.Popen(["make", "run"], start_new_session=True)
        try:
            wait_for(lambda: run.poll() is not None or all(map(answers, READY)), "make run", 120)
            check(run.poll() is None, "make run has ended")
            done = 0
            with open("README.md") as f:
                for command, expected in sessions(f.read()):
                    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True,
                                           timeout=20).stdout
                    check(found.rstrip("\n") == expected.rstrip("\n"),
                          f"$ {command}\nREADME.md says:\n{expected}\nit printed:\n{found}")
                    done += 1
            print(f"  README.md: {done} commands print what it says")
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGINT)
                run.wait(20)
            shutil.rmtree(".run", ignore_errors=True)


if __name__ == "__main__":
    main()
