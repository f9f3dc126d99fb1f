#!/usr/bin/env python3
"""What the sockets hold at one moment counts in a scrape, by the old rules before a reload, and at
the end; while it is read, probes are answered.

    Tests/System/run drains [CLIENTS=400]
"""
import json
import signal
import threading
from contextlib import contextmanager
from unittest import TestCase, main

from support import setting
from support.checks import check, wait_for
from support.sidecar import Sidecar
from support.stall import Stall

CLIENTS = setting("CLIENTS", 400)
LINE = b"kkk:1|c\n"
DATAGRAMS = 8000
MOST = 100  # Milliseconds of CPU.


def rules(family):
    return json.dumps({"families": [
        {"name": family, "type": "counter", "events": [{"event": "kkk"}]}]})


@contextmanager
def standing(sidecar):
    """The sidecar reads nothing meanwhile."""
    sidecar.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        sidecar.process.send_signal(signal.SIGCONT)


def fill(sidecar):
    """Clients of events.sock that have sent as much as the kernel takes: them, and their lines."""
    clients, count = [], 0
    for _ in range(CLIENTS):
        client = sidecar.unix("events.sock", 1)
        client.setblocking(False)
        clients.append(client)
        try:
            while True:
                sent = client.send(LINE * 512)
                check(sent % len(LINE) == 0, "half a line was sent:", sent)
                count += sent // len(LINE)
        except BlockingIOError:
            pass
    return clients, count


def dropped(port):
    """Datagrams that the kernel had no room for."""
    with open("/proc/net/udp", encoding="ascii") as file:
        return sum(int(line.split()[-1]) for line in file if f":{port:04X} " in line)


class Drains(TestCase):
    def stalled(self, stall, what):
        print(f"  {stall.milliseconds:.1f} ms of CPU, {what}")
        check(stall.milliseconds < MOST, what, "holds the loop for ms of CPU:", stall.milliseconds)

    def test_reload(self):
        """New rules come into force when all that was sent before is counted by the old ones."""
        with Sidecar(rules=rules("before_total")) as sidecar:
            answers = []
            post = threading.Thread(
                target=lambda: answers.append(sidecar.get("/-/reload", "POST")))
            with Stall(sidecar.metrics, sidecar.process.pid) as stall:
                with standing(sidecar):
                    clients, count = fill(sidecar)
                    with open(sidecar.path("rules.json"), "w", encoding="utf-8") as file:
                        file.write(rules("after_total"))
                    post.start()
                post.join(60)
            check(answers and answers[0][0].status == 200, answers)
            self.stalled(stall, f"a reload beside {count} lines")
            clients[0].sendall(LINE)
            sidecar.expect({"before_total": count, "after_total": 1})

    def test_linger(self):
        """SIGTERM with --linger: what was sent before it is in the next scrape."""
        with Sidecar("--linger", "60s") as sidecar:
            with Stall(sidecar.metrics, sidecar.process.pid) as stall:
                with standing(sidecar):
                    clients, count = fill(sidecar)
                    sidecar.process.terminate()
                wait_for(lambda: "Told to stop" in sidecar.output(), "the wait", 60)
                sidecar.expect({"kkk_total": count})
                for client in clients:
                    client.close()
                check(sidecar.process.wait(60) == 0, sidecar.output())
            self.stalled(stall, f"SIGTERM with --linger beside {count} lines")

    def test_stop(self):
        """SIGTERM: what was sent before it is kept."""
        with Sidecar() as sidecar:
            with Stall(sidecar.metrics, sidecar.process.pid) as stall:
                with standing(sidecar):
                    _, count = fill(sidecar)
                    sidecar.process.terminate()
                check(sidecar.process.wait(60) == 0, sidecar.output())
            self.stalled(stall, f"SIGTERM beside {count} lines")
            sidecar.start()
            sidecar.expect({"kkk_total": count})

    def test_udp(self):
        """A scrape, and the end, read as many datagrams as the kernel holds."""
        with Sidecar() as sidecar:
            with standing(sidecar):
                for _ in range(DATAGRAMS):
                    sidecar.send_udp(b"scraped:1|c")
                lost = dropped(sidecar.udp)
            values = sidecar.values()
            check(values["scraped_total"] == DATAGRAMS - lost, values["scraped_total"], lost)
            with standing(sidecar):
                for _ in range(DATAGRAMS):
                    sidecar.send_udp(b"stopped:1|c")
                lost = dropped(sidecar.udp) - lost
                sidecar.process.terminate()
            check(sidecar.process.wait(60) == 0, sidecar.output())
            sidecar.start()
            sidecar.expect({"stopped_total": DATAGRAMS - lost})


if __name__ == "__main__":
    main()
