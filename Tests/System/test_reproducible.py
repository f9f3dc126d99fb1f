#!/usr/bin/env python3
"""The same sources give the same bytes: the programs of dist/, and those that a copy in a folder of
another name and length gives.

    Tests/System/run reproducible
"""
import hashlib
import pathlib
import shutil
import subprocess
import tempfile
from unittest import TestCase, main

from support import PROGRAMS, ROOT
from support.checks import check


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Reproducible(TestCase):
    def test_same_bytes(self):
        """A build elsewhere gives the same programs, to the byte."""
        here = pathlib.Path(PROGRAMS)
        with tempfile.TemporaryDirectory(prefix="a-folder-of-another-length-") as folder:
            copy = pathlib.Path(folder) / "copy"
            for name in subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, text=True,
                                       capture_output=True).stdout.splitlines():
                if (ROOT / name).exists():
                    (copy / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, copy / name)
            done = subprocess.run(["make", f"dist-{here.name.removeprefix('linux-')}"], cwd=copy,
                                  text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            check(done.returncode == 0, done.stdout[-4000:])
            for program in ("simple-server", "metrics-sidecar", "convert-rules"):
                there = copy / "dist" / here.name / program
                ours, others = (path.read_bytes() for path in (here / program, there))
                differ = abs(len(ours) - len(others)) + sum(
                    a != b for a, b in zip(ours, others))
                check(not differ, f"{program}: {differ} bytes differ when it is built elsewhere")
                print(f"  {program} is {digest(there)[:16]}… wherever it is built")


if __name__ == "__main__":
    main()
