"""How a check fails, and how it waits."""
import os
import random
import re
import socket
import subprocess
import time
import unittest

from support import setting


def check(condition, *words):
    if not condition:
        raise AssertionError(" ".join(str(word) for word in words))


def wait_for(condition, what, seconds=60):
    """Waits for a condition that has to hold; the limit is for what never comes, not for speed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError(f"waited {seconds} s for {what}")


def settle(condition, seconds=3):
    """Waits for a condition that may never hold; the caller's checks decide."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        time.sleep(0.005)


def missing(why):
    """A test that cannot run here fails, unless ALLOW_MISSING is set."""
    if setting("ALLOW_MISSING", 0):
        raise unittest.SkipTest(why)
    raise AssertionError(f"{why} (ALLOW_MISSING=1 goes on without this test)")


def as_process_1():
    """What one writes before a command that is to be process 1, as in a container."""
    words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        words[1:1] = ["--user", "--map-root-user"]
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        missing("a process 1 needs root, or namespaces of users")
    return words


def awake(pid):
    """How often it goes to sleep by itself in two seconds or what the machine makes of them: a loop
    that spins or naps does so all the time."""
    def switches():
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M).group(1))
    before, start = switches(), time.monotonic()
    time.sleep(2)
    return switches() - before, time.monotonic() - start


def free_port():
    """A port that is free, outside of the range that the kernel takes the ports of clients from: no
    client of another test can have it before the program that is to listen on it does."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="utf-8") as file:
        least, most = map(int, file.read().split())
    ports = [port for port in range(10_000, 65_000) if not least <= port <= most]
    for port in random.SystemRandom().sample(ports or range(10_000, 65_000), 100):
        if port in GIVEN:
            continue
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
        GIVEN.add(port)
        return port
    raise AssertionError("no port is free")


# The ports that this process has chosen; a program that is started again keeps its own.
GIVEN = set()
