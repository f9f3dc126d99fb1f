#!/usr/bin/env python3
"""--supervise: whatever becomes of the worker, what the kernel has taken is counted.

    Tests/System/run supervised
"""
import os
import random
import signal
import socket
import subprocess
import threading
import time
from unittest import TestCase, main

from support import PROGRAMS
from support.checks import check, wait_for
from support.sidecar import Sidecar


class Sender(threading.Thread):
    """Sends datagrams of one or more events without a pause, and counts those the kernel took."""

    def __init__(self, connect, name, pause=0.0):
        super().__init__(daemon=True)
        self.socket, self.name, self.pause = connect(), name, pause
        self.sent = self.datagrams = self.errors = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            count = 1 + self.datagrams % 3
            try:
                self.socket.send(f"{self.name}:1|c\n".encode() * count)
                self.sent += count
                self.datagrams += 1
            except OSError:
                self.errors += 1
            if self.pause and self.datagrams % 50 == 0:
                time.sleep(self.pause)


class Supervised(TestCase):
    def test_worker_killed(self):
        """--supervise: SIGKILL of the worker loses no datagram that the kernel has taken."""
        with Sidecar("--supervise") as sidecar:
            def udp():
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.connect(("127.0.0.1", sidecar.udp))
                return s

            worker = sidecar.worker
            inode = os.stat(sidecar.path("statsd.sock")).st_ino
            senders = [Sender(lambda: sidecar.unix("statsd.sock"), "unix") for _ in range(2)]
            senders.append(Sender(udp, "udp", pause=0.002))
            for each in senders:
                each.start()
            chance = random.Random(1)
            kills = 30
            for _ in range(kills):
                wait_for(worker, "a worker")
                victim = worker()
                time.sleep(chance.uniform(0.26, 0.32))
                os.kill(victim, signal.SIGKILL)
                wait_for(lambda: worker() not in (None, victim), "the next worker")
            for each in senders:
                each.stopping.set()
            for each in senders:
                each.join(10)
            check(os.stat(sidecar.path("statsd.sock")).st_ino == inode, "the socket is another one")
            check(not any(each.errors for each in senders), "a sender met an error")
            sent = sum(each.sent for each in senders[:2])
            values = sidecar.expect({
                "unix_total": sent, "metrics_sidecar_worker_restarts_total": kills,
                "metrics_sidecar_datagrams_lost_total": 0,
                'metrics_sidecar_events_rejected_total{reason="no_value"}': 0})
            if not values["metrics_sidecar_udp_drops_total"]:
                sidecar.expect({"udp_total": senders[2].sent})
            print(f"  {kills} kills, {values['metrics_sidecar_datagrams_recovered_total']:.0f} "
                  f"datagrams "
                  f"taken over from a killed worker: {sent} sent to the Unix socket = counted; UDP "
                  f"{senders[2].sent} sent, {values['udp_total']:.0f} counted, "
                  f"{values['metrics_sidecar_udp_drops_total']:.0f} datagrams dropped by the "
                  f"kernel")

            # A scrape that comes while there is no worker waits in the backlog as well.
            victim = worker()
            os.kill(victim, signal.SIGKILL)
            check(sidecar.page() is not None, "a scrape was refused")

            # A stop reaches the worker, which drains; the parent ends with its code.
            client = sidecar.unix("statsd.sock")
            os.kill(worker(), signal.SIGSTOP)
            for _ in range(5):
                client.send(b"last:1|c")
            last = worker()
            sidecar.process.terminate()
            os.kill(last, signal.SIGCONT)
            check(sidecar.process.wait(10) == 0, f"ended with {sidecar.process.returncode}")
            check(not os.path.exists(sidecar.path("statsd.sock")), "the socket is still there")
            sidecar.start()
            sidecar.expect({"last_total": 5.0, "unix_total": sent})
            # Without its parent, a worker does not stay.
            last = worker()
            sidecar.process.kill()
            sidecar.process.wait()
            wait_for(lambda: not os.path.exists(f"/proc/{last}"), "the worker to follow its parent")
        # A stop that comes while a worker starts is not lost, and is no failure.
        with Sidecar("--supervise") as sidecar:
            for index in range(20):
                sidecar.process.terminate()
                code = sidecar.process.wait(10)
                # Before the parent takes its signals, one ends it as it ends any process.
                check(code in (0, -signal.SIGTERM), f"a stop at the start ended with {code}")
                sidecar.process = subprocess.Popen(sidecar.arguments(), stdout=sidecar.log,
                                                   stderr=sidecar.log)
                time.sleep(0.001 * (index % 10))
            wait_for(sidecar.page, "the sidecar")
        # A worker that exits by itself ends the parent with its code, and is not started again.
        result = subprocess.run(
            [os.path.join(PROGRAMS, "metrics-sidecar"), "--supervise", "--events-socket", "",
             "--statsd-socket", "", "--listen", "127.0.0.1:0", "--rules", "/none/rules.json"],
            capture_output=True, text=True, timeout=10)
        check(result.returncode == 2 and result.stderr.count("\n") == 1, str(result))

    def test_dies_at_once(self):
        """--supervise: a worker that is killed at once comes back ever more slowly."""
        with Sidecar("--supervise") as sidecar:
            pid = sidecar.process.pid
            end = time.monotonic() + 2
            killed = set()
            while time.monotonic() < end:
                with open(f"/proc/{pid}/task/{pid}/children") as f:
                    for child in map(int, f.read().split()):
                        if child not in killed:
                            os.kill(child, signal.SIGKILL)
                            killed.add(child)
                time.sleep(0.002)
            # 10, 20, 40 … ms fit seven times into two seconds.
            check(3 <= len(killed) <= 9, f"{len(killed)} workers in two seconds")
            sidecar.expect({"metrics_sidecar_worker_restarts_total": len(killed)})
            print(f"  {len(killed)} workers in two seconds")


if __name__ == "__main__":
    main()
