#!/usr/bin/env python3
"""What a newcomer runs first: README's prerequisites, and scripts beside other versions of their
tools.

    Tests/System/run scripts
"""
import os
import pathlib
import re
import subprocess
import tempfile
from unittest import TestCase, main

from support import ROOT
from support.checks import check, wait_for

# A shell, coreutils, grep: what every Linux has.
ANYWHERE = {"cat", "cd", "echo", "grep", "head", "kill"}


class Scripts(TestCase):
    def test_prerequisites(self):
        """README names each command that its first steps use, and how to get the repository."""
        text = (ROOT / "README.md").read_text()
        steps = text[text.index("## Run it"):text.index("The same in containers") if
                     "The same in containers" in text else text.index("docker compose")]
        words = re.sub(r"(?s)```.*?```", "", steps)
        blocks = "\n".join(re.findall(r"(?s)```(?:sh|console)\n(.*?)```", steps))
        commands = [line.removeprefix("$ ") for line in blocks.splitlines()
                    if line.startswith("$ ") or re.match(r"(git|make) ", line)]
        check(any(line.startswith("git clone ") for line in commands),
              "README.md has no line that clones")
        used = {word for line in commands
                for word in re.findall(r"(?:^|[|&(]\s*)([a-z]+)(?= |$)", line)}
        unnamed = {word for word in used - ANYWHERE - {"git"} if f"`{word}`" not in words}
        check(not unnamed, f"README.md uses {sorted(unnamed)} without naming them as prerequisites")
        print(f"  README names its prerequisites: {sorted(used - ANYWHERE)}")

    def test_own_llvm_cov(self):
        """Scripts/coverage takes the llvm-cov of the toolchain, whatever lies first on PATH."""
        def program(path, text):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            resources = folder / "toolchain/usr/lib/swift"
            resources.mkdir(parents=True)
            program(folder / "bin/llvm-cov", "echo 'the system has another version' >&2; exit 1")
            program(folder / "bin/swiftc", f"echo '{{ \"runtimeResourcePath\": \"{resources}\" }}'")
            program(folder / "bin/swift", f"echo {folder}")
            program(folder / "toolchain/usr/bin/swift", f"echo {folder}")
            program(folder / "toolchain/usr/bin/llvm-cov", 'echo "TOTAL by $0"')
            (folder / "AllPackageTests.xctest").touch()
            done = subprocess.run([ROOT / "Scripts/coverage"], cwd=folder, capture_output=True,
                                  text=True,
                                  env={**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"})
            check(done.returncode == 0 and "toolchain" in done.stdout,
                  f"Scripts/coverage: {done.stdout}{done.stderr}")
        print("  Scripts/coverage reads a profile by the toolchain's own llvm-cov")

    def test_second_run(self):
        """A second run in a folder says that it is in use, and touches nothing of the first."""
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            for name in ("metrics-sidecar", "simple-server"):
                (folder / name).write_text("#!/bin/sh\nexec sleep 60\n")
                (folder / name).chmod(0o755)
            command = [ROOT / "Scripts/run-pair", folder, folder / "run", "rules.json"]
            first = subprocess.Popen(command)
            try:
                pids = [folder / "run/sidecar.pid", folder / "run/app.pid"]
                wait_for(lambda: all(pid.exists() and pid.read_text() for pid in pids), "the first")
                before = [pid.read_text() for pid in pids]
                second = subprocess.run(command, capture_output=True, text=True, timeout=30)
                check(second.returncode == 1 and second.stderr.count("\n") == 1
                      and "uses" in second.stderr, f"a second run: {second}")
                check([pid.read_text() for pid in pids] == before,
                      "a second run touched the first one's files")
                check(first.poll() is None, "a second run ended the first")
            finally:
                first.terminate()
                first.wait(20)
            check(not any(pid.exists() for pid in pids), "the first run left its process ids")
        print("  a second run-pair leaves the first alone")


if __name__ == "__main__":
    main()
