"""What a program takes of a container's memory, and a limit on it as a container has."""
import os
import pathlib
import re

CGROUP = pathlib.Path("/sys/fs/cgroup/memory")


def taken(pid):
    """Anonymous and shared memory of a process in bytes; what it maps from disk is not part of
    it."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        parts = dict(re.findall(r"^Rss(Anon|Shmem):\s+(\d+) kB$", file.read(), re.M))
    return sum(int(kibibytes) << 10 for kibibytes in parts.values())


class Limit:
    """A control group whose processes are killed beyond `byte_count`, where this machine has such
    (version 1 and root); elsewhere it only says so, and `taken` has to tell."""

    def __init__(self, byte_count, name):
        self.folder = CGROUP / f"{name}-{os.getpid()}"
        try:
            self.folder.mkdir()
            (self.folder / "memory.limit_in_bytes").write_text(str(byte_count))
        except OSError:
            self.folder = None
            print("  no control group of version 1 here: memory is measured, not limited")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.folder:
            self.folder.rmdir()

    def join(self):
        """For `preexec_fn`: the process to be is in the group."""
        if self.folder:
            (self.folder / "tasks").write_text(str(os.getpid()))
