"""A small disk of its own, to be filled: a tmpfs, which takes root and the right to mount."""
import os
import subprocess
import tempfile


class Disk:
    """A tmpfs of so many bytes; `folder` is None, with a line that says so, where none can be mounted."""

    def __init__(self, byte_count):
        self.folder = tempfile.mkdtemp(prefix="disk-")
        self.ballast = os.path.join(self.folder, "ballast")
        command = ["mount", "-t", "tmpfs", "-o", f"size={byte_count}", "tmpfs", self.folder]
        try:
            mounted = subprocess.run(command, capture_output=True, text=True, timeout=60)
            refusal = mounted.stderr.strip() if mounted.returncode else None
        except FileNotFoundError:
            refusal = "there is no mount"
        if refusal:
            os.rmdir(self.folder)
            self.folder = None
            print(f"  NOT RUN: no disk to fill can be mounted here ({refusal}); full_disk has a limit of "
                  "the file's size in its place")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.folder:
            subprocess.run(["umount", self.folder], check=True, timeout=60)
            os.rmdir(self.folder)

    def remount(self, options):
        subprocess.run(["mount", "-o", "remount," + options, self.folder], check=True, timeout=60)

    def fill(self):
        """Takes all the room there is, to the last byte."""
        file = os.open(self.ballast, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            while True:
                os.write(file, b"x" * 4096)
        except OSError:
            os.close(file)

    def free(self):
        os.unlink(self.ballast)
