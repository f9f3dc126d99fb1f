#!/usr/bin/env python3
"""Compares the pair with nginx, a C receiver and other receivers, and Python's client with
prometheus_client. Standard library only.

    python3 Benchmarks/bench.py [--programs dist/linux-amd64] [--only NAME] [--slices 5]

Each row is a ratio of work per CPU second, ours to the named peer's, or for `calls` of CPU time a
call, as the median of slices that take turns, with the least and the most. CPU seconds are the
process's own, as the kernel counts them. A peer that is not installed is named and left
out. Nothing fails here: a noisy machine makes a noisy table.
"""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request

from large import HERE, build, cpu_seconds, resident_kib
from support.checks import free_port, wait_for
from floods import floods
from increments import increments
from otlp import otlp
from support.pair import Pair

BODY = '{"health": "ok"}'


def wrk(url, seconds, pipelined=False):
    """Requests that were answered in so many seconds from 64 connections."""
    script = ["-s", os.path.join(HERE, "pipeline.lua")] if pipelined else []
    text = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}s", *script, url], check=True,
                          capture_output=True, text=True).stdout
    return int(re.search(r"(\d+) requests in", text).group(1))


def row(name, ratios, note=""):
    print(f"  {name:<52} {statistics.median(ratios):6.2f}   ({min(ratios):.2f} to "
          f"{max(ratios):.2f})"
          f"  {note}", flush=True)


def percent(name, shares):
    """A share with its middle half, since the least and the most of many slices are the
    machine's."""
    low, middle, high = (each * 100 for each in statistics.quantiles(shares, n=4))
    print(f"  {name:<52} {middle:6.1f} %  ({low:.1f} to {high:.1f} for the middle half)",
          flush=True)


class Nginx:
    """One worker that answers a fixed body, without a log."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="bench-")
        self.port = free_port()
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w") as f:
            f.write(f"""worker_processes 1; daemon off; pid {self.folder}/pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {self.folder};
server {{ listen 127.0.0.1:{self.port}; location /health {{
default_type application/json; return 200 '{BODY}'; }} }} }}
""")
        self.process = subprocess.Popen(["nginx", "-c", path, "-p", self.folder],
                                        stderr=subprocess.DEVNULL)
        self.children = []

        def has_worker():
            text = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
                                  capture_output=True, text=True).stdout
            self.children = [int(p) for p in text.split()]
            return self.children
        wait_for(has_worker, "nginx")
        self.pid = self.children[0]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)


def http(options):
    """/health, 64 connections, one worker each: requests per CPU second of the server.

    Many short slices: each round has every server once, in the opposite order of the round before,
    so that what the machine does meanwhile falls on all of them, and ratios are of one round."""
    with Pair(options.programs) as pair, Pair(options.programs) as bare, Nginx() as nginx:
        pair.start_sidecar()
        pair.start_app("--workers", "1")
        bare.start_app("--workers", "1", "--events-socket", "")
        servers = {"nginx": (nginx.pid, nginx.port), "ours": (pair.app.pid, pair.api),
                   "bare": (bare.app.pid, bare.api), "piped": (pair.app.pid, pair.api)}

        def measure(name):
            pid, port = servers[name]
            before = cpu_seconds(pid), cpu_seconds(pair.sidecar.pid)
            count = wrk(f"http://127.0.0.1:{port}/health", options.seconds, name == "piped")
            used = cpu_seconds(pid) - before[0]
            return count / used, (cpu_seconds(pair.sidecar.pid) - before[1]) / used
        order = list(servers)
        for name in order:
            measure(name)
        rounds = []
        for _ in range(options.slices * 3):
            rounds.append({name: measure(name) for name in order})
            order.reverse()
        rate = {name: statistics.median(each[name][0] for each in rounds) for name in order}
        row("counted /health : nginx", [each["ours"][0] / each["nginx"][0] for each in rounds],
            f"{rate['ours']:,.0f} : {rate['nginx']:,.0f} a CPU s")
        row("counted /health, 16 pipelined : nginx",
            [each["piped"][0] / each["nginx"][0] for each in rounds])
        percent("counting adds to the App's CPU a request",
                [each["bare"][0] / each["ours"][0] - 1 for each in rounds])
        percent("the sidecar's CPU, of the App's", [each["ours"][1] for each in rounds])
        print(f"  resident after the load: App {resident_kib(pair.app.pid)} KiB, "
              f"sidecar {resident_kib(pair.sidecar.pid)} KiB")


def intake(options):
    """Lines of 55 bytes over 200 series: events per CPU second of the receiver."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sender, receiver = build("sender", folder), build("receiver", folder)
        for kind, size, lines in (("stream", 8192, 4_000_000), ("dgram", 8192, 4_000_000),
                                  ("dgram", 1432, 2_000_000), ("dgram", 1, 500_000)):
            ratios, rates = [], []
            for _ in range(options.slices):
                theirs = c_receiver(sender, receiver, kind, size, lines, folder)
                ours = sidecar(options, sender, kind, size, lines)
                ratios.append(ours / theirs)
                rates.append((ours, theirs))
            what = "frames" if kind == "stream" else "datagrams"
            size_text = "one line" if size == 1 else f"{size} bytes"
            middle = sorted(rates)[len(rates) // 2]
            row(f"{what} of {size_text} : C receiver", ratios,
                f"{middle[0] / 1e6:.2f} : {middle[1] / 1e6:.2f} million a CPU s")


# As a service has it that came to Prometheus from Graphite: the bench's events match the last one.
MAPPING = "mappings:\n" + "".join(
    f"- match: shop.{area}.*.*\n  name: shop_{area}_total\n  labels:\n    city: $1\n    what: $2\n"
    for area in ("orders", "carts", "payments", "refunds", "visits", "searches", "mails", "logins",
                 "errors", "retries", "jobs", "queues", "caches", "pages", "images", "exports",
                 "imports", "stocks", "prices")) + "- match: app.*\n  name: app_$1\n"


def exporter(options):
    """Datagrams of 1,432 bytes, with and without rules, beside statsd_exporter.

    It takes them on the same kind of socket; the rules are made of its mapping file."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sender = build("sender", folder)
        mapping, rules = os.path.join(folder, "mapping.yaml"), os.path.join(folder, "rules.json")
        with open(mapping, "w") as f:
            f.write(MAPPING)
        with open(rules, "w") as f:
            subprocess.run([os.path.join(options.programs, "convert-rules"), mapping],
                           stdout=f, check=True)
        for name, theirs_flags, ours_flags in (
                ("", [], []),
                (", 20 rules", [f"--statsd.mapping-config={mapping}"], ["--rules", rules])):
            ratios, rates = [], []
            for _ in range(options.slices):
                theirs = exporter_rate(sender, 300_000, *theirs_flags)
                ours = sidecar(options, sender, "dgram", 1432, 2_000_000, *ours_flags)
                ratios.append(ours / theirs)
                rates.append((ours, theirs))
            middle = sorted(rates)[len(rates) // 2]
            row(f"datagrams of 1432 bytes{name} : statsd_exporter", ratios,
                f"{middle[0] / 1e6:.2f} : {middle[1] / 1e6:.2f} million a CPU s")


def exporter_rate(sender, lines, *flags):
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = os.path.join(folder, "s")
        process = subprocess.Popen(
            ["statsd_exporter", f"--web.listen-address=127.0.0.1:{port}", "--statsd.listen-udp=",
             "--statsd.listen-tcp=", f"--statsd.listen-unixgram={path}", *flags],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: os.path.exists(path), "statsd_exporter")
            before = cpu_seconds(process.pid)
            sent = int(subprocess.run([sender, "dgram", path, str(lines), "1432"], check=True,
                                      capture_output=True, text=True).stdout)

            def counted():
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                        text = answer.read().decode()
                except OSError:
                    return 0
                return sum(float(each.rsplit(" ", 1)[1]) for each in text.split("\n")
                           if each.startswith("app_requests{"))
            wait_for(lambda: counted() >= sent, "statsd_exporter to count all", 60)
            return sent / (cpu_seconds(process.pid) - before)
        finally:
            process.kill()
            process.wait()


def c_receiver(sender, receiver, kind, size, lines, folder):
    path = os.path.join(folder, "c.sock")
    process = subprocess.Popen([receiver, kind, path], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    wait_for(lambda: os.path.exists(path), "the C receiver")
    time.sleep(0.05)
    before = cpu_seconds(process.pid)
    sent = int(subprocess.run([sender, kind, path, str(lines), str(size)], check=True,
                              capture_output=True, text=True).stdout)

    def is_idle(last=[0.0]):
        now = cpu_seconds(process.pid)
        idle, last[0] = now == last[0], now
        time.sleep(0.02)
        return idle
    wait_for(is_idle, "the C receiver to be idle")
    used = cpu_seconds(process.pid) - before
    counted = int(process.communicate("")[0])
    if counted != sent:
        raise SystemExit(f"the C receiver counted {counted} of {sent}")
    return sent / used


def sidecar(options, sender, kind, size, lines, *flags):
    with Pair(options.programs) as pair:
        pair.start_sidecar(*flags)
        path = pair.path("events.sock" if kind == "stream" else "statsd.sock")
        before = cpu_seconds(pair.sidecar.pid)
        sent = int(subprocess.run([sender, kind, path, str(lines), str(size)], check=True,
                                  capture_output=True, text=True).stdout)
        counted = sum(float(v) for k, v in pair.values().items()
                      if k.startswith(("app_requests_total{", "app_requests{")))
        used = cpu_seconds(pair.sidecar.pid) - before
        if counted != sent:
            raise SystemExit(f"the sidecar counted {counted} of {sent}")
        return sent / used


def start(options):
    """From exec to the first answer, in milliseconds, and the memory then."""
    for name, path in (("App", "/health"), ("sidecar", "/metrics")):
        times = []
        for _ in range(20):
            with Pair(options.programs) as pair:
                begin = time.monotonic()
                if name == "App":
                    pair.start_app(wait=False)
                    port = pair.api
                else:
                    pair.start_sidecar(wait=False)
                    port = pair.metrics
                while pair.get(port, path) is None:
                    if time.monotonic() - begin > 5:
                        raise SystemExit(f"{name} does not answer")
                times.append((time.monotonic() - begin) * 1000)
        print(f"  {name}: {statistics.median(times):.1f} ms from fork to the first answer "
              f"({min(times):.1f} to {max(times):.1f})")


def calls(options):
    """One call of prometheus_client with the sidecar behind it: CPU time, beside its own modes."""
    increments(options, row)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", default="dist/linux-amd64")
    parser.add_argument("--only")
    parser.add_argument("--slices", type=int, default=5, help="rounds; of HTTP thrice as many")
    parser.add_argument("--seconds", type=int, default=1, help="of one slice of HTTP")
    options = parser.parse_args()
    options.programs = os.path.abspath(options.programs)
    for each, tools in ((http, ["wrk", "nginx"]), (intake, ["gcc"]),
                        (exporter, ["gcc", "statsd_exporter"]), (floods, ["gcc"]),
                        (otlp, []), (calls, []), (start, [])):
        if options.only and each.__name__ != options.only:
            continue
        print(f"{each.__name__}: {each.__doc__.splitlines()[0]}", flush=True)
        missing = [tool for tool in tools if not shutil.which(tool)]
        if missing:
            print(f"  left out: {', '.join(missing)} is not installed")
            continue
        each(options)


if __name__ == "__main__":
    main()
