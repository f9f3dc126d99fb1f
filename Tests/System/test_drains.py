#!/usr/bin/env python3
"""What the sockets hold at one moment counts in a scrape, by the old rules before a reload, and at
the end; while it is read, probes are answered.

    Tests/System/run drains [CLIENTS=400]
"""
import json
import threading
from unittest import TestCase, main

from support import setting
from support.checks import check, wait_for
from support.full_sockets import LINE, fill, standing
from support.sidecar import Sidecar
from support.stall import Stall

CLIENTS = setting("CLIENTS", 400)
DATAGRAMS = 8000
MOST = 100  # Milliseconds of CPU.


def rules(family):
    return json.dumps({"families": [
        {"name": family, "type": "counter", "events": [{"event": "kkk"}]}]})


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
                    clients, count = fill(sidecar, CLIENTS)
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
                    clients, count = fill(sidecar, CLIENTS)
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
                    _, count = fill(sidecar, CLIENTS)
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
