"""What people look with: programs in a terminal, and a sidecar within a container's memory."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios

from support.checks import wait_for
from support.sidecar import Sidecar


def rejected(sidecar):
    return json.loads(sidecar.page("/api/v1/rejected"))


class Limited(Sidecar):
    """In a control group that allows so many bytes."""

    def __init__(self, limit, *flags):
        self.popen = {"preexec_fn": limit.join}
        super().__init__(*flags)


class Terminal:
    """A program in a terminal of its own, and what a person would see there."""

    def __init__(self, *command, columns=100, rows=30):
        self.leader, follower = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(follower)
        self.follower = follower
        self.process = subprocess.Popen(
            command, stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm-256color"})
        self.raw = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.leader)
        os.close(self.follower)

    def resize(self, columns, rows):
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        """What is on it: all behind the last time that the cursor went home, without colours."""
        while select.select([self.leader], [], [], 0.02)[0]:
            self.raw += os.read(self.leader, 65536)
        whole = self.raw.decode(errors="replace").replace("\r", "").rpartition("\x1b[H")[2]
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", whole)

    def shows(self, text):
        wait_for(lambda: text in self.read(), f"{text!r} on the terminal")

    def key(self, key):
        os.write(self.leader, key.encode())


def command(sidecar, *words):
    return [sidecar.program, *words, "--listen", f"127.0.0.1:{sidecar.metrics}"]
