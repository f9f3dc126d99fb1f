#!/usr/bin/env python3
"""Which memory limit of its container the sidecar finds: control groups of both versions.

    Tests/System/run container

Each case has files of its own in place of /proc/self/cgroup and /sys/fs/cgroup, in a mount
namespace of the sidecar's own; that needs root, or CAP_SYS_ADMIN.
"""
import ctypes
import os
import pathlib
import tempfile
from unittest import TestCase, main

from support.checks import check, missing
from support.sidecar import Sidecar

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_MOUNTS, BIND, RECURSIVE, PRIVATE = 0x20000, 4096, 16384, 1 << 18
MIB = 1 << 20
# The groups that a process is in, the files there, and the limit that follows.
CASES = [
    ("0::/", {"memory.max": f"{32 * MIB}\n"}, 32 * MIB),
    ("0::/", {"memory.max": "max\n"}, 0),
    ("0::/", {}, 0),
    ("0::/pod/app", {"pod/app/memory.max": f"{48 * MIB}\n", "memory.max": "max\n"}, 48 * MIB),
    # As in a container that sees the host's path: only the root is there.
    ("0::/kubepods/besteffort/pod1/c2", {"memory.max": f"{40 * MIB}\n"}, 40 * MIB),
    ("0::/../../pod", {"memory.max": f"{1 << 40}\n"}, 1 << 40),
    ("5:cpu:/x\n4:memory:/x\n0::/x", {"memory/x/memory.limit_in_bytes": f"{36 * MIB}\n"}, 36 * MIB),
    ("4:memory:/host", {"memory/memory.limit_in_bytes": f"{44 * MIB}\n"}, 44 * MIB),
    ("4:memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0),
    ("", {"memory.max": f"{32 * MIB}\n"}, 0),
]


def bind(source, target):
    source = None if source is None else os.fsencode(source)
    flags = BIND | RECURSIVE if source else RECURSIVE | PRIVATE
    if LIBC.mount(source, os.fsencode(target), None, flags, None) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}")


class Contained(Sidecar):
    """With these files as its control groups."""

    def __init__(self, folder, *flags):
        def enter():
            if LIBC.unshare(NEW_MOUNTS) != 0:
                raise OSError(ctypes.get_errno(), "unshare")
            bind(None, "/")
            bind(f"{folder}/cgroup", "/proc/self/cgroup")
            bind(f"{folder}/tree", "/sys/fs/cgroup")
        self.popen = {"preexec_fn": enter}
        super().__init__(*flags)


class Container(TestCase):
    def test_limits(self):
        """The lowest limit of version 2 or 1, in its own group or at the root; a warning names the
        flags to lower where the sidecar's limits are above it."""
        if os.geteuid() != 0:
            return missing("root, for mount namespaces")
        for groups, files, limit in CASES:
            with tempfile.TemporaryDirectory() as folder:
                pathlib.Path(folder, "cgroup").write_text(groups + "\n", encoding="utf-8")
                for name, text in {"empty": "", **files}.items():
                    path = pathlib.Path(folder, "tree", name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
                with Contained(folder) as sidecar:
                    values = sidecar.values()
                    found = values.get("metrics_sidecar_memory_limit_bytes", 0)
                    check(found == limit, f"{groups}, {files}: {found}")
                    bound = values["metrics_sidecar_memory_bound_bytes"]
                    said = "[WARNING] The limits allow" in sidecar.output()
                    check(said == (0 < limit < bound), f"{groups}: {limit} {sidecar.output()}")
        print(f"  {len(CASES)} trees of control groups")


if __name__ == "__main__":
    main()
