"""A small disk of its own, to be filled: a tmpfs, or an image with another file system. It takes
root and the right to mount."""
import os
import shutil
import subprocess
import tempfile

MAKE = {"ext2": ["mkfs.ext2", "-q"], "btrfs": ["mkfs.btrfs", "-q", "-f", "-m", "single"]}


class Disk:
    """A disk of so many bytes; `folder` is None, with a line that says so, where none can be
    mounted."""

    def __init__(self, byte_count, kind="tmpfs"):
        self.outside = tempfile.mkdtemp(prefix="disk-")
        self.folder = os.path.join(self.outside, "mounted")
        os.mkdir(self.folder)
        if kind == "tmpfs":
            steps = [["mount", "-t", "tmpfs", "-o", f"size={byte_count}", "tmpfs", self.folder]]
        else:
            image = os.path.join(self.outside, "image")
            with open(image, "wb") as file:
                file.truncate(byte_count)
            steps = [[*MAKE[kind], image], ["mount", "-o", "loop", image, self.folder]]
        for step in steps:
            refusal = self.refusal(step)
            if refusal:
                print(f"  NOT RUN: no {kind} to fill can be mounted here ({refusal})")
                shutil.rmtree(self.outside)
                self.folder = None
                return
        self.ballast = os.path.join(self.folder, "ballast")

    @staticmethod
    def refusal(command):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            return "there is no " + command[0]
        return " ".join(done.stderr.split()) or "it fails" if done.returncode else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.folder:
            # Lazily: a process that was killed may be writing still.
            subprocess.run(["umount", "--lazy", self.folder], check=True, timeout=60)
            shutil.rmtree(self.outside)

    def fill(self):
        """Takes all the room there is, to the last byte."""
        file = os.open(self.ballast, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        for size in (1 << 16, 512):
            try:
                while True:
                    os.write(file, b"x" * size)
            except OSError:
                pass
        os.close(file)
        os.sync()

    def free(self):
        os.unlink(self.ballast)
