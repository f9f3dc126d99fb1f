#!/usr/bin/env python3
"""Large pages: time, memory, gzip, what intake feels of it, limits and rules. Standard library only.

    python3 Benchmarks/bench_scrape.py [--programs dist/linux-amd64] [--only NAME] [--check]

Prints a table with peers that are installed, and names those that are not. `--check` judges only
what a busy machine cannot change: that pages are complete, memory bounded and nothing lost; it
measures no time.
"""
import argparse
import gzip
import json
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", ".ci"))
from bench import cpu_seconds, resident_kib  # noqa: E402
from verify import Pair, check, free_port, wait_for  # noqa: E402

PREFIX = "app_requests_total{"
MIB = 1024


def line(number):
    return f"app.requests:1|c|#endpoint:/path/{number},method:GET,status:200".encode()


def frames(lines, limit=8192):
    """Frames of whole lines, of so many bytes at most."""
    part, size = [], 0
    for each in lines:
        if part and size + len(each) + 1 > limit:
            yield struct.pack("<I", size - 1) + b"\n".join(part)
            part, size = [], 0
        part.append(each)
        size += len(each) + 1
    if part:
        yield struct.pack("<I", size - 1) + b"\n".join(part)


def send(path, lines):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        for frame in frames(lines):
            s.sendall(frame)


def page(port, *fields, path="/metrics"):
    """The body of one answer, and the seconds it took."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        request = "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *fields])
        buffer, chunks = bytearray(1 << 20), []
        begin = time.perf_counter()
        s.sendall(request.encode() + b"\r\n\r\n")
        while count := s.recv_into(buffer):
            chunks.append(bytes(memoryview(buffer)[:count]))
        took = time.perf_counter() - begin
    head, _, body = b"".join(chunks).partition(b"\r\n\r\n")
    check(head.startswith(b"HTTP/1.1 200"), f"an answer of {head[:80]!r}")
    return (chunked(body) if b"chunked" in head.lower() else body), took


def chunked(body):
    parts, at = [], 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2:end + 2 + size])
        at = end + 4 + size


def is_complete(body, count, value=b" 1.0"):
    """Whether each of the series is there once, with its value."""
    found = [each for each in body.split(b"\n") if each.startswith(PREFIX.encode())]
    return (len(found) == count and len(set(found)) == count
            and all(each.endswith(value) for each in found))


def filled(options, count, *flags):
    pair = Pair(options.programs)
    pair.start_sidecar("--max-series", str(count + 1000), *flags)
    send(pair.path("events.sock"), map(line, range(count)))
    return pair


def row(what, *texts):
    print(f"  {what:<44}" + "".join(f"{each:>18}" for each in texts), flush=True)


def pages(options):
    """Pages of 1,000 to 1,000,000 series: whole, in bounded memory, at the same cost a series."""
    sizes = [1000, 10_000, 100_000] if options.check else [1000, 10_000, 100_000, 1_000_000]
    if not options.check:
        row("series", "page ms (least)", "ns a series", "CPU ms", "MiB after, peak")
    for count in sizes:
        with filled(options, count) as pair:
            pid = pair.sidecar.pid
            body, _ = page(pair.metrics)
            check(is_complete(body, count), f"a page of {count} series is not complete")
            peak = resident_kib(pid, "VmHWM")
            if count == 100_000:
                # 250 bytes a series, the page, and room for what the allocator keeps.
                check(peak < 64 * MIB, f"{peak} KiB at the peak of 100,000 series")
            if options.check:
                print(f"  {count} series: {len(body)} bytes, whole; {peak} KiB at the peak")
                continue
            times, used = [], []
            for _ in range(options.slices * 4 if count <= 100_000 else 3):
                before = cpu_seconds(pid)
                times.append(page(pair.metrics)[1])
                used.append(cpu_seconds(pid) - before)
            middle = statistics.median(times)
            row(f"{count:,} ({len(body) / 1e6:.1f} MB)",
                f"{middle * 1e3:.1f} ({min(times) * 1e3:.1f})", f"{middle / count * 1e9:.0f}",
                f"{statistics.median(used) * 1e3:.1f}",
                f"{resident_kib(pid) / MIB:.0f}, {resident_kib(pid, 'VmHWM') / MIB:.0f}")


def compressed(options):
    """The page of 100,000 series in gzip."""
    with filled(options, 100_000) as pair:
        pid = pair.sidecar.pid
        body, _ = page(pair.metrics, "Accept-Encoding: gzip")
        check(is_complete(gzip.decompress(body), 100_000), "the page in gzip is not complete")
        peak = resident_kib(pid, "VmHWM")
        check(peak < 64 * MIB, f"{peak} KiB at the peak of a page in gzip")
        if options.check:
            return print(f"  {len(body)} bytes, whole; {peak} KiB at the peak")
        used = []
        for _ in range(options.slices):
            before = cpu_seconds(pid)
            page(pair.metrics, "Accept-Encoding: gzip")
            used.append(cpu_seconds(pid) - before)
        row("100,000 series in gzip", f"{statistics.median(used) * 1e3:.1f} CPU ms",
            f"{len(body) / 1e6:.2f} MB", f"peak {peak / MIB:.0f} MiB")


class Pinger(threading.Thread):
    """Asks for /-/healthy over and over: the longest answer is the longest turn of the loop."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.times, self.is_over = port, [], False

    def run(self):
        with socket.create_connection(("127.0.0.1", self.port)) as s:
            while not self.is_over:
                begin = time.perf_counter()
                s.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
                s.recv(4096)
                self.times.append(time.perf_counter() - begin)


def beside(options):
    """Events and short requests while pages of 100,000 series are written."""
    with filled(options, 100_000) as pair:
        path = pair.path("events.sock")
        more = [b"\n".join(line(n) for n in range(start, start + 100))
                for start in range(0, 100_000, 100)]
        is_over, sent = threading.Event(), [0]

        def feed():
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(path)
                while not is_over.is_set():
                    each = more[sent[0] % len(more)]
                    s.sendall(struct.pack("<I", len(each)) + each)
                    sent[0] += 1
                    time.sleep(0.0005)
        feeder, pinger = threading.Thread(target=feed), Pinger(pair.metrics)
        feeder.start()
        pinger.start()
        before = pages_read = 0
        for _ in range(options.slices):
            body, _ = page(pair.metrics)
            # Each frame adds one to a hundred series, or to none of them.
            total = sum(float(each.rsplit(b" ", 1)[1]) for each in body.split(b"\n")
                        if each.startswith(PREFIX.encode()))
            check(total % 100 == 0, f"a page has part of a frame: {total}")
            check(total >= before, "a page has less than the one before")
            before, pages_read = total, pages_read + 1
        pinger.is_over = True
        is_over.set()
        feeder.join()
        pinger.join(10)
        body, _ = page(pair.metrics)
        total = sum(float(each.rsplit(b" ", 1)[1]) for each in body.split(b"\n")
                    if each.startswith(PREFIX.encode()))
        check(total == 100_000 + sent[0] * 100, f"{total} counted of {100_000 + sent[0] * 100}")
        print(f"  {pages_read} pages of whole frames; {sent[0] * 100} events beside them, none lost")
        if not options.check:
            times = sorted(pinger.times)
            row("/-/healthy beside pages, ms", f"median {statistics.median(times) * 1e3:.2f}",
                f"99 % {times[len(times) * 99 // 100] * 1e3:.2f}", f"longest {times[-1] * 1e3:.2f}")


def limited(options):
    """A million distinct series against --max-series 10000."""
    count = 200_000 if options.check else 1_000_000
    with Pair(options.programs) as pair:
        pair.start_sidecar("--max-series", "10000")
        send(pair.path("events.sock"), map(line, range(count)))
        body, _ = page(pair.metrics)
        total = sum(float(each.rsplit(b" ", 1)[1]) for each in body.split(b"\n")
                    if each.startswith(PREFIX.encode()))
        peak = resident_kib(pair.sidecar.pid, "VmHWM")
        check(total == count, f"{total} counted of {count}")
        check(peak < 64 * MIB, f"{peak} KiB for {count} series beyond the limit")
        print(f"  {count} distinct series: all counted, {peak / MIB:.1f} MiB at the peak")


def rules(options):
    """What an event costs under 1 to 500 rules: known ones, and each for the first time."""
    if options.check:
        return print("  (times only)")
    row("rules", "ns a known event", "ns a new event")
    for count in (1, 10, 100, 500):
        families = [{"name": f"family_{n}_total", "type": "counter", "labels": ["endpoint"],
                     "events": [{"event": f"event.{n}.*"}]} for n in range(count)]
        families[-1]["events"] = [{"event": "app.requests"}]
        with Pair(options.programs) as pair:
            path = pair.path("rules.json")
            with open(path, "w") as f:
                json.dump({"families": families}, f)
            pair.start_sidecar("--rules", path, "--max-series", "200000")
            costs = []
            for lines in (list(map(line, range(50_000))),
                          [line(n % 200) for n in range(1_000_000)]):
                before = cpu_seconds(pair.sidecar.pid)
                send(pair.path("events.sock"), lines)
                pair.get(pair.metrics, "/-/healthy")
                page(pair.metrics, path="/metrics?name[]=none")
                costs.append((cpu_seconds(pair.sidecar.pid) - before) / len(lines) * 1e9)
            row(str(count), f"{costs[1]:.0f}", f"{costs[0]:.0f}")


def peers(options):
    """The page of 100,000 series from others."""
    if options.check:
        return print("  (times only)")
    for name, measure in (("prometheus-pushgateway", pushgateway), ("statsd_exporter", exporter)):
        if shutil.which(name):
            measure(options)
        else:
            print(f"  left out: {name} is not installed")
    print("  left out: client_golang is a library; its page comes with the two above")


def timed(name, port, process):
    page(port)
    times, used = [], []
    for _ in range(5):
        before = cpu_seconds(process.pid)
        times.append(page(port)[1])
        used.append(cpu_seconds(process.pid) - before)
    before = cpu_seconds(process.pid)
    page(port, "Accept-Encoding: gzip")
    packed = cpu_seconds(process.pid) - before
    row(name, f"{statistics.median(times) * 1e3:.0f} ms", f"{statistics.median(used) * 1e3:.0f} CPU ms",
        f"gzip {packed * 1e3:.0f} CPU ms", f"{resident_kib(process.pid, 'VmHWM') / MIB:.0f} MiB")


def pushgateway(options):
    port = free_port()
    process = subprocess.Popen(["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: connects(port), "Pushgateway")
        text = "# TYPE app_requests_total counter\n" + "".join(
            f'app_requests_total{{endpoint="/path/{n}",method="GET",status="200"}} 1.0\n'
            for n in range(100_000))
        import urllib.request
        urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics/job/bench", text.encode(), method="PUT")).read()
        timed("Pushgateway", port, process)
    finally:
        process.kill()
        process.wait()


def exporter(options):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        process = subprocess.Popen(
            ["statsd_exporter", f"--web.listen-address=127.0.0.1:{port}", "--statsd.listen-udp=",
             "--statsd.listen-tcp=", f"--statsd.listen-unixgram={path}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: connects(port) and os.path.exists(path), "statsd_exporter")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.connect(path)
                for start in range(0, 100_000, 20):
                    s.send(b"\n".join(line(n) for n in range(start, start + 20)))
            wait_for(lambda: page(port)[0].count(b"app_requests{") == 100_000, "its series", 60)
            timed("statsd_exporter", port, process)
        finally:
            process.kill()
            process.wait()


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", default="dist/linux-amd64")
    parser.add_argument("--only")
    parser.add_argument("--slices", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="judge, and measure no time")
    options = parser.parse_args()
    options.programs = os.path.abspath(options.programs)
    checks = [pages, compressed, beside, limited, rules, peers]
    if options.only and options.only not in [each.__name__ for each in checks]:
        parser.error(f"no {options.only}: " + ", ".join(each.__name__ for each in checks))
    for each in checks:
        if options.only in (None, each.__name__):
            print(f"{each.__name__}: {each.__doc__}", flush=True)
            each(options)


if __name__ == "__main__":
    main()
