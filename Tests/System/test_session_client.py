#!/usr/bin/env python3
"""Examples/session_client.py, shared by threads and kept over a fork, counts exactly once.

    Tests/System/run session_client
"""
import os
import signal
import sys
import threading
from unittest import TestCase, main

from support import ROOT
from support.checks import check
from support.sidecar import Sidecar

sys.path.insert(0, str(ROOT / "Examples"))
from session_client import SessionClient  # noqa: E402

THREADS, COUNTS = 8, 20_000


def counted(client, count=COUNTS, threads=THREADS, during=None):
    """Has threads share the client, each of which also flushes it now and then."""
    def work(number):
        for turn in range(count):
            client.count("shared", tags=f"queue:{turn % 3}")
            if turn % 50 == number:
                client.flush()
    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    if during:
        during()
    for worker in workers:
        worker.join()


def total(sidecar, name="shared_total"):
    return sum(value for series, value in sidecar.values().items() if series.startswith(name))


class Shared(TestCase):
    def setUp(self):
        self.sidecar = self.enterContext(Sidecar())
        self.client = SessionClient(self.sidecar.path("events.sock"))
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())

    def test_threads(self):
        """Eight threads count 160,000 between them, at the usual and at short switch intervals."""
        for turn, interval in enumerate((sys.getswitchinterval(), 1e-5), 1):
            sys.setswitchinterval(interval)
            counted(self.client)
            check(self.client.close(timeout=60), "the client has counts that are not acknowledged")
            found = total(self.sidecar)
            check(found == turn * THREADS * COUNTS, f"{found} of {turn * THREADS * COUNTS} at "
                  f"switches of {interval} s")

    def test_fork(self):
        """A process that forks while its threads count keeps its counts; a child has its own."""
        sys.setswitchinterval(1e-5)
        children = []

        def fork():
            for _ in range(4):
                # Unsent counts, and a connection, which a child may not take for its own.
                self.client.count("before", 10)
                self.client.flush()
                self.client.count("before", 1)
                if child := os.fork():
                    children.append(child)
                    continue
                # A lock that another thread held at the fork would stop the child here.
                signal.alarm(60)
                self.client.count("child", 5)
                self.client.flush()
                self.client.count("child", 2)
                os._exit(not self.client.close(timeout=30))
        counted(self.client, during=fork)
        for child in children:
            check(os.waitpid(child, 0)[1] == 0, "a child could not count")
        check(self.client.close(timeout=60), "the client has counts that are not acknowledged")
        self.sidecar.expect({"before_total": 44, "child_total": 28,
                             'metrics_sidecar_frames_total{result="rejected"}': 0})
        check(total(self.sidecar) == THREADS * COUNTS, total(self.sidecar), "of", THREADS * COUNTS)


if __name__ == "__main__":
    main()
