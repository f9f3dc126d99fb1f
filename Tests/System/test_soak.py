#!/usr/bin/env python3
"""Everything at once, by a seed: events on every socket while rules are reloaded, series expire and
the state file grows, pages are read fast and slowly, workers are killed, and neighbours hold half
frames, flood and push. Each sum is right to the unit at the end, and no page ever shows half an
event or a counter that fell.

    Tests/System/run soak [SEED=1] [ROUNDS=60]
"""
import http.client
import json
import os
import random
import signal
import socket
import threading
import time
from unittest import TestCase, main

from support import setting
from support.attacks import Neighbours
from support.checks import check, wait_for
from support.sidecar import Session, Sidecar

SEED = setting("SEED", 1)
ROUNDS = setting("ROUNDS", 60)
BAD = '{"families": [{"name": "pair_a_total", "type": "counts"}]}'


def rules(dice):
    """Rules that always keep what is summed up, among others that change."""
    def family(name, kind, *events, **more):
        return {"name": name, "type": kind, "events": [{"event": e} for e in events], **more}

    families = [
        family("pair_a_total", "counter", "pair"), family("pair_b_total", "counter", "pair"),
        family("churn_total", "counter", "churn", labels=["id"], ttl=dice.choice(["1s", "2s"])),
        family("churn_sum_total", "counter", "churn"),
        family("grown_sum_total", "counter", "grow"),
        family("${1}_seconds", "histogram", "took.*", buckets=[0.5, 1]),
        family("${1}_quantiles", "summary", "took.*", window="1h"),
        family("sizes", "histogram", "size", native=True, max_buckets=40),
        family("whatever", "event", "size", buckets=[1, 2, 4]),
        family("users", "set", "user", window="1h", exact=1000),
        family("load", "gauge", "load", merge="sum", minus="step"),
        family("flip", dice.choice(["counter", "gauge", "histogram"]), "flip"),
        {"action": "drop", "events": [{"event": "noise.*"}]}]
    for number in range(dice.choice([0, 3, 300])):
        families.insert(dice.randrange(len(families)),
                        family(f"extra_{number}", dice.choice(["counter", "gauge", "summary"]),
                               f"extra.*.{number}", labels=["id"], help=f"Help {dice.random()}"))
    return json.dumps({"families": families})


class Reader(threading.Thread):
    """Reads pages until it is stopped, `pause` seconds after each `piece` bytes; tells what is
    wrong."""

    def __init__(self, sidecar, accept, piece, pause):
        super().__init__(daemon=True)
        self.sidecar, self.accept, self.piece, self.pause = sidecar, accept, piece, pause
        self.stopping = threading.Event()
        self.pages, self.wrong, self.last = 0, None, {}

    def run(self):
        while not self.stopping.is_set() and not self.wrong:
            try:
                page = self.read()
            except (OSError, http.client.HTTPException):
                # Killed meanwhile.
                time.sleep(0.01)
                continue
            self.pages += 1
            if self.accept.startswith(("text", "application/openmetrics")):
                self.wrong = self.look(page.decode())

    def read(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.sidecar.metrics, timeout=60)
        connection.request("GET", "/metrics", headers={"Accept": self.accept})
        response = connection.getresponse()
        page = b""
        while piece := response.read(self.piece):
            page += piece
            time.sleep(self.pause)
        connection.close()
        if len(page) != int(response.headers["Content-Length"]):
            raise http.client.IncompleteRead(page)
        return page

    def look(self, page):
        names = ("pair_a_total", "pair_b_total", "churn_sum_total", "grown_sum_total",
                 "a_seconds_count", "sizes_count", "a_quantiles_count", "whatever_count")
        values = {}
        for line in page.splitlines():
            name, _, value = line.partition(" ")
            if name in values:
                return f"{name} is there twice"
            if name in names:
                values[name] = float(value)
        if values.get("pair_a_total") != values.get("pair_b_total"):
            return f"half an event: {values}"
        for name, value in self.last.items():
            if values.get(name, -1) < value:
                return f"{name} fell from {value} to {values.get(name)}"
        self.last = values
        return None


class Soak:
    """The senders, and what the sums have to be."""

    def __init__(self, sidecar, dice):
        self.sidecar, self.dice = sidecar, dice
        self.session = Session(sidecar.path("events.sock"))
        self.statsd = sidecar.unix("statsd.sock")
        self.spectator = sidecar.unix("spectator.sock")
        self.sums = dict.fromkeys(
            ("pair_a_total", "churn_sum_total", "grown_sum_total", "a_seconds_count",
             "a_quantiles_count", "sizes_count", "whatever_count", "load", "spectator_sum_total"),
            0)
        self.users = set()
        self.kills = 0
        self.neighbours = Neighbours(sidecar, dice)

    def add(self, **counts):
        for name, count in counts.items():
            self.sums[name] += count

    def lines(self):
        """Some lines of every kind, and adds them to the sums."""
        dice = self.dice
        lines = []
        for _ in range(dice.randint(1, 30)):
            what = dice.randrange(9)
            if what == 0:
                rate = dice.choice([1, 0.5, 0.1])
                lines.append(f"took.a:{dice.choice([200, 700, 3000])}|ms"
                             + f"|@{rate}" * (rate < 1))
                self.add(a_seconds_count=round(1 / rate), a_quantiles_count=round(1 / rate))
            elif what == 1:
                lines.append("churn:1|c|#id:" + dice.randbytes(6).hex())
                self.add(churn_sum_total=1)
            elif what == 2:
                lines.append(
                    f"grow:2|c|#id:{self.sums['grown_sum_total']},text:{'x' * dice.randrange(200)}")
                self.add(grown_sum_total=2)
            elif what == 3:
                lines.append(f"size:{dice.lognormvariate(0, 3)!r}|h")
                self.add(sizes_count=1, whatever_count=1)
            elif what == 4:
                user = f"u{dice.randrange(200)}"
                self.users.add(user)
                lines.append(f"user:{user}|s")
            elif what == 5:
                lines.append(f"noise.{dice.randrange(50)}:1|c")
            elif what == 6:
                lines.append(f"flip:1|{dice.choice('cgh')}")
            else:
                values = [dice.randint(0, 9) for _ in range(dice.randint(1, 4))]
                lines.append(f"pair:{':'.join(map(str, values))}|c")
                self.add(pair_a_total=sum(values))
        return lines

    def send_frame(self):
        step = self.dice.randint(-3, 3)
        self.add(load=step)
        self.session.put(*self.lines(), f"load:{step:+}|g")
        try:
            if self.session.socket is None:
                self.session.connect()
            else:
                self.session.socket.sendall(self.session.waiting[-1][1])
            if self.dice.random() < 0.02:
                # Its acknowledgements are lost, or a second connection takes the session over.
                self.session.socket.close()
                self.session.socket = None
        except OSError:
            self.session.close()

    def send_datagram(self):
        self.statsd.send("\n".join(self.lines()).encode())
        if self.dice.random() < 0.3:
            self.sidecar.send_udp(b"pair:1|c")
            self.spectator.send(b"c:spectator.sum:1")
            self.add(pair_a_total=1, spectator_sum_total=1)

    def send_plain(self):
        """Plain lines count as far as they were read: a page that comes later has them."""
        text = "\n".join(self.lines()).encode()
        if self.dice.random() < 0.5:
            self.sidecar.send_tcp(text)
        else:
            with self.sidecar.unix("events.sock", socket.SOCK_STREAM) as client:
                client.sendall(text + b"\n")
        wait_for(self.sidecar.page, "a page behind plain lines")

    def reload(self):
        text = BAD if self.dice.random() < 0.2 else rules(self.dice)
        with open(self.sidecar.path("rules.new"), "w") as f:
            f.write(text)
        os.rename(self.sidecar.path("rules.new"), self.sidecar.path("rules.json"))
        self.sidecar.process.send_signal(signal.SIGHUP)

    def kill(self):
        self.kills += 1
        wait_for(self.sidecar.worker, "a worker")
        victim = self.sidecar.worker()
        os.kill(victim, signal.SIGKILL)
        # Datagrams go on meanwhile, and wait in the kernel; what is not one waits for the next.
        for _ in range(self.dice.randrange(3)):
            self.statsd.send("\n".join(self.lines()).encode())
        self.session.close()
        wait_for(lambda: self.sidecar.worker() not in (None, victim), "the next worker")
        wait_for(self.sidecar.page, "its page")

    def round(self):
        for _ in range(self.dice.randint(5, 60)):
            self.dice.choices((self.send_frame, self.send_datagram, self.send_plain),
                              (10, 10, 1))[0]()
        if self.dice.random() < 0.5:
            self.reload()
        self.neighbours.act()
        if self.dice.random() < 0.4:
            self.kill()


class Soaked(TestCase):
    def test_soak(self):
        """Events on every socket, reloads, expiry, growth, readers, kills and neighbours: sums
        right to the unit."""
        dice = random.Random(SEED)
        with Sidecar("--supervise", "--max-series", "100000", "--series-ttl", "0", "--push",
                     rules=rules(dice)) as sidecar:
            run = Soak(sidecar, dice)
            readers = [Reader(sidecar, "text/plain", 1 << 20, 0),
                       Reader(sidecar, "text/plain", 4096, 0.001),
                       Reader(sidecar, "application/openmetrics-text; version=1.0.0", 1 << 16,
                              0.001),
                       Reader(sidecar, "application/vnd.google.protobuf; encoding=delimited; "
                              "proto=io.prometheus.client.MetricFamily", 1 << 16, 0.01)]
            for reader in readers:
                reader.start()
            for _ in range(ROUNDS):
                run.round()
                for reader in readers:
                    check(not reader.wrong, reader.wrong)
            run.neighbours.close()
            for _ in range(100):
                try:
                    run.session.flush()
                    break
                except OSError:
                    run.session.close()
            for reader in readers:
                reader.stopping.set()
            for reader in readers:
                reader.join(120)
                check(not reader.is_alive() and not reader.wrong, reader.wrong or "a reader hangs")
                check(reader.pages > 0, "no page was read")
            values = sidecar.values()
            # What the kernel had no room for, it counts: one pair each.
            run.add(pair_a_total=-values["metrics_sidecar_udp_drops_total"])
            sums = {**run.sums, "pair_b_total": run.sums["pair_a_total"], "users": len(run.users)}
            wrong = {name: (values.get(name), value) for name, value in sums.items()
                     if values.get(name) != value}
            check(not wrong, f"seed {SEED} (is, should be): {wrong}")
            restarts = values["metrics_sidecar_worker_restarts_total"]
            check(restarts == run.kills, restarts, "workers died, and", run.kills, "were killed")
            for name in ("state_resets_total", "series_refused_total", "datagrams_lost_total"):
                check(values["metrics_sidecar_" + name] == 0, name, "is not 0")
            wait_for(lambda: not any(name.startswith("churn_total{") for name in sidecar.values()),
                     "all series of churn to expire")
            print(f"  seed {SEED}: {run.kills} kills, {sums['pair_a_total']} pairs, "
                  f"{sums['churn_sum_total']} series that expired, "
                  f"{sum(r.pages for r in readers)} pages; neighbours {run.neighbours.done}")


if __name__ == "__main__":
    main()
