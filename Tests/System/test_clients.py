#!/usr/bin/env python3
"""Clients that others wrote, each against a sidecar: every count is right to the unit.

    Tests/System/run clients
"""
import asyncio
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from unittest import TestCase, main

import aiodogstatsd
import gunicorn.config
import gunicorn.instrument.statsd
import spectator
import statsd
from datadog.dogstatsd import DogStatsd

from support import ROOT
from support.checks import check, free_port, wait_for
from support.sidecar import Sidecar

EXAMPLES = os.pathsep.join([str(ROOT / "Examples"), str(ROOT / "Clients/python/src")])
COUNT = 5000
# A scrape takes all that the kernel holds first, so a client that asks for one now and then never
# fills a UDP socket's queue, however busy the machine is.
DRAIN = "/metrics?name[]=none"
TAGS = ["queue:mail", "host:a"]


def datadog_client(sidecar, socket_path, prefix):
    """Every call of Datadog's client, over one socket."""
    client = DogStatsd(socket_path=socket_path, namespace=prefix, constant_tags=["env:ci"],
                       socket_timeout=5)
    with client:
        for index in range(COUNT):
            client.increment("jobs", tags=TAGS)
            client.distribution("size", index % 100, tags=TAGS)
            client.histogram("spread", index % 100)
            client.timing("wait", 250)
            client.increment("sampled", sample_rate=0.5)
        client.decrement("nothing", 0)
        client.gauge("level", 5)
        client.gauge("level", 7.5)
        client.set("people", "ann")
        client.event("title", "text\nof two lines", tags=TAGS)
        client.service_check("db", client.OK, message="fine")
    sent = client.packets_dropped if hasattr(client, "packets_dropped") else 0
    check(sent == 0, f"the client dropped {sent} packets")
    labels = 'env="ci",host="a",queue="mail"'
    values = sidecar.expect({
        f"{prefix}_jobs_total{{{labels}}}": COUNT,
        f"{prefix}_size_count{{{labels}}}": COUNT,
        f"{prefix}_size_sum{{{labels}}}": sum(n % 100 for n in range(COUNT)),
        f'{prefix}_spread_count{{env="ci"}}': COUNT,
        f'{prefix}_wait_seconds_count{{env="ci"}}': COUNT,
        f'{prefix}_level{{env="ci"}}': 7.5})
    sampled = values[f'{prefix}_sampled_total{{env="ci"}}']
    check(abs(sampled - COUNT) < COUNT / 10 and sampled % 2 == 0, f"sampled: {sampled}")
    check(abs(values[f'{prefix}_wait_seconds_sum{{env="ci"}}'] - COUNT / 4) < 1e-6, "wait's sum")


SHOP = """
from datadog.dogstatsd import DogStatsd
from session_client import SessionClient
statsd = DogStatsd(socket_path="unix:///run/metrics/statsd.sock", namespace="shop",
                   socket_timeout=20, disable_telemetry=True)
events = None

def app(environ, start):
    global events
    statsd.increment("orders", tags=["kind:web"])
    events = events or SessionClient("/run/metrics/events.sock")
    events.count("shop.paid", tags="kind:web")
    events.flush()
    start("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
CONFIGURATION = """
def worker_exit(server, worker):
    import shop
    assert shop.events is None or shop.events.close(timeout=60)
"""


class Clients(TestCase):
    def setUp(self):
        self.sidecar = self.enterContext(Sidecar())

    def test_datadog_datagrams(self):
        """Datadog's client over statsd.sock."""
        datadog_client(self.sidecar, "unix://" + self.sidecar.path("statsd.sock"), "dgram")
        self.sidecar.expect({'metrics_sidecar_events_rejected_total{reason="ignored"}': 2})

    def test_datadog_stream(self):
        """Datadog's client over events.sock, in frames."""
        datadog_client(self.sidecar, "unixstream://" + self.sidecar.path("events.sock"), "stream")
        self.sidecar.expect({'metrics_sidecar_events_rejected_total{reason="ignored"}': 2})

    def test_statsd_package(self):
        """The statsd package over UDP, TCP and a stream socket, single and in pipelines."""
        clients = [
            ("udp", statsd.StatsClient("127.0.0.1", self.sidecar.udp, prefix="udp")),
            ("tcp", statsd.TCPStatsClient("127.0.0.1", self.sidecar.tcp, prefix="tcp")),
            ("unix", statsd.UnixSocketStatsClient(self.sidecar.path("events.sock"), prefix="unix")),
        ]
        for name, client in clients:
            for index in range(COUNT):
                client.incr("jobs")
                client.timing("wait", 250)
                if index % 100 == 0:
                    with client.pipeline() as pipe:
                        for _ in range(10):
                            pipe.incr("piped", 2)
                    if name == "udp":
                        self.sidecar.page(DRAIN)
                if name == "udp" and index % 50 == 0:
                    self.sidecar.page(DRAIN)
            client.gauge("level", 10)
            client.gauge("level", -3, delta=True)
            client.set("people", "ann")
            if name != "udp":
                client.close()
            self.sidecar.expect({
                f"{name}_jobs_total": COUNT, f"{name}_wait_seconds_count": COUNT,
                f"{name}_piped_total": COUNT / 100 * 20, f"{name}_level": 7})
        self.sidecar.expect({"metrics_sidecar_udp_drops_total": 0})

    def test_gunicorn(self):
        """gunicorn with three workers reports its requests to statsd.sock and over UDP."""
        with open(self.sidecar.path("app.py"), "w") as f:
            f.write("def app(environ, start):\n    start('200 OK', [('Content-Length', '2')])\n"
                    "    return [b'ok']\n")
        for name, address in (("unix", "unix://" + self.sidecar.path("statsd.sock")),
                              ("udp", f"127.0.0.1:{self.sidecar.udp}")):
            port = free_port()
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "--chdir", self.sidecar.folder, "--workers", "3",
                 "--bind", f"127.0.0.1:{port}", "--statsd-host", address, "--statsd-prefix", name,
                 "app:app"], stdout=self.sidecar.log, stderr=self.sidecar.log)
            try:
                sent = 0

                def ask():
                    try:
                        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                            answer = b""
                            while chunk := s.recv(4096):
                                answer += chunk
                            return answer.endswith(b"ok")
                    except OSError:
                        return False
                wait_for(ask, "gunicorn")
                sent += 1
                answered = [0] * 4

                def load(slot):
                    for index in range(200):
                        answered[slot] += ask()
                        if index % 10 == 9:
                            self.sidecar.page(DRAIN)
                threads = [threading.Thread(target=load, args=(slot,)) for slot in range(4)]
                for each in threads:
                    each.start()
                for each in threads:
                    each.join()
                check(sum(answered) == 800, f"gunicorn answered {answered}")
                self.sidecar.expect({
                    f"{name}_gunicorn_requests_total": sent + 800,
                    f"{name}_gunicorn_request_status_200_total": sent + 800,
                    f"{name}_gunicorn_request_duration_seconds_count": sent + 800,
                    f"{name}_gunicorn_workers": 3})
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()

    def test_aiodogstatsd_client(self):
        """aiodogstatsd over UDP."""
        async def send():
            async with aiodogstatsd.Client(host="127.0.0.1", port=self.sidecar.udp, namespace="aio",
                                           constant_tags={"env": "ci"}) as client:
                for index in range(COUNT):
                    client.increment("jobs", tags={"queue": "mail"})
                    client.timing("wait", value=250)
                    client.distribution("size", value=3)
                    while index % 40 == 39:
                        await asyncio.sleep(0.001)
                        if self.sidecar.values().get('aio_size_count{env="ci"}') == index + 1:
                            break
                client.gauge("level", value=7)
        asyncio.run(send())
        self.sidecar.expect({
            'aio_jobs_total{env="ci",queue="mail"}': COUNT,
            'aio_wait_seconds_count{env="ci"}': COUNT, 'aio_size_sum{env="ci"}': 3 * COUNT,
            'aio_level{env="ci"}': 7, "metrics_sidecar_udp_drops_total": 0})

    def test_spectator_client(self):
        """Netflix's spectator-py over its socket, single lines and buffered."""
        for name, buffer in (("single", 0), ("buffered", 2048)):
            registry = spectator.Registry(spectator.Config("unix://"
                                                           + self.sidecar.path("spectator.sock"),
                                       {"env": "ci"},
                                       buffer_size=buffer))
            jobs = registry.counter(f"{name}.jobs", {"queue": "mail"})
            wait = registry.timer(f"{name}.wait")
            for index in range(COUNT):
                jobs.increment()
                wait.record(0.25)
                registry.distribution_summary(f"{name}.size").record(3)
            registry.pct_timer(f"{name}.pct").record(0.5)
            registry.gauge(f"{name}.level", ttl_seconds=60).set(7)
            registry.max_gauge(f"{name}.peak").set(9)
            registry.age_gauge(f"{name}.last").set(1000)
            for total in (100, 130, 150):
                registry.monotonic_counter(f"{name}.own").set(total)
                registry.monotonic_counter_uint(f"{name}.big").set(ctypes.c_uint64(total))
            registry.close()
            env = '{env="ci"}'
            self.sidecar.expect({
                f'{name}_jobs_total{{env="ci",queue="mail"}}': COUNT,
                f"{name}_wait_seconds_count{env}": COUNT,
                f"{name}_wait_seconds_sum{env}": COUNT / 4,
                f"{name}_size_sum{env}": 3 * COUNT, f"{name}_pct_seconds_sum{env}": 0.5,
                f"{name}_level{env}": 7, f"{name}_peak{env}": 9, f"{name}_last{env}": 1000,
                f"{name}_own_total{env}": 50, f"{name}_big_total{env}": 50})

    def test_documented(self):
        """The Python of docs/clients.md, each in a process of its own: the comment above it has
        what to call then, and the samples that it makes."""
        with open("docs/clients.md", encoding="utf-8") as f:
            found = re.findall(r"^<!-- run \| (.*) -->\n\n```python\n((?:.*\n)*?)```", f.read(),
                               re.M)
        check(len(found) > 1, "docs/clients.md has no such examples")
        for row, code in found:
            call, *samples = row.split(" | ")
            code = code.replace("/run/metrics/", self.sidecar.path("")) + "\n" + call + "\n"
            subprocess.run([sys.executable, "-c", code], check=True, timeout=60,
                           env={**os.environ, "PYTHONPATH": EXAMPLES})
            self.sidecar.expect({name: float(value) for name, _, value in
                            (sample.rpartition(" ") for sample in samples)})
        code = "from datadog import statsd\nstatsd.increment('by.variable')\n"
        for scheme, path in (("unix", "statsd.sock"), ("unixgram", "statsd.sock"),
                             ("unixstream", "events.sock")):
            subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env={
                **os.environ, "DD_DOGSTATSD_URL": f"{scheme}://{self.sidecar.path(path)}"})
        self.sidecar.expect({"by_variable_total": 3})

    def test_restarted(self):
        """Datadog's client goes on with a sidecar that was killed and started anew, but for what it
        drops; gunicorn does over UDP."""
        config = gunicorn.config.Config()
        config.set("statsd_host", f"127.0.0.1:{self.sidecar.udp}")
        clients = {"dgram": DogStatsd(socket_path="unix://" + self.sidecar.path("statsd.sock"),
                                      disable_telemetry=True),
                   "stream": DogStatsd(socket_path="unixstream://"
                                       + self.sidecar.path("events.sock"),
                                       disable_telemetry=True),
                   "gunicorn": gunicorn.instrument.statsd.Statsd(config)}

        def count():
            for name, client in clients.items():
                client.increment(name, 1)
        count()
        self.sidecar.expect({f"{name}_total": 1 for name in clients})
        self.sidecar.process.kill()
        self.sidecar.process.wait()
        count()
        self.sidecar.start()
        # The first may go to the connection that was.
        count()
        before = self.sidecar.values()
        count()
        self.sidecar.expect({f"{name}_total": before[f"{name}_total"] + 1 for name in clients})

    def test_workers(self):
        """A service of four gunicorn workers counts by Datadog's client and by sessions, and
        gunicorn itself, while the sidecar's worker is killed."""
        with Sidecar("--supervise") as own:
            for name, text in (("shop.py", SHOP), ("gunicorn.conf.py", CONFIGURATION)):
                with open(own.path(name), "w") as f:
                    f.write(text.replace("/run/metrics/", own.path("")))
            port = free_port()
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "--workers", "4", "--bind", f"127.0.0.1:{port}",
                 "--statsd-host", "unix://" + own.path("statsd.sock"), "--statsd-prefix", "shop",
                 "shop:app"],
                cwd=own.folder, env={**os.environ, "PYTHONPATH": EXAMPLES}, stdout=own.log,
                stderr=own.log)
            answered = []

            def ask(_=None):
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
                        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                        answer = b""
                        while chunk := s.recv(4096):
                            answer += chunk
                except OSError:
                    return False
                answered.append(answer.endswith(b"ok"))
                return True

            def load():
                for _ in range(150):
                    check(ask(), "gunicorn refuses a connection")
            try:
                wait_for(ask, "gunicorn")
                threads = [threading.Thread(target=load) for _ in range(4)]
                for each in threads:
                    each.start()
                for _ in range(3):
                    own.kill_worker()
                for each in threads:
                    each.join()
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()
            check(all(answered) and len(answered) == 601,
                  f"{answered.count(True)} of {len(answered)} are answered")
            own.expect({'shop_orders_total{kind="web"}': 601, 'shop_paid_total{kind="web"}': 601,
                        "shop_gunicorn_requests_total": 601,
                        "metrics_sidecar_worker_restarts_total": 3})


if __name__ == "__main__":
    main()
