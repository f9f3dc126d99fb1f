"""How long a scrape holds everybody else up, as bench_scrape.py shows it."""
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from large import build, check, filled, page, row, started

OPENMETRICS = "Accept: application/openmetrics-text;version=1.0.0"
PROTOBUF = ("Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
            "encoding=delimited")
GZIP = "Accept-Encoding: gzip"
QUOTED = "Accept: text/plain;version=1.0.0;escaping=allow-utf-8"
KINDS = [("no scrape", None), ("text", []), ("text, gzip", [GZIP]), ("OpenMetrics", [OPENMETRICS]),
         ("OpenMetrics, gzip", [OPENMETRICS, GZIP]), ("protobuf", [PROTOBUF]),
         ("protobuf, gzip", [PROTOBUF, GZIP]), ("text, names in quotes", [QUOTED]),
         ("OpenMetrics, names escaped, gzip", [OPENMETRICS + ";escaping=values", GZIP]),
         ("protobuf, names escaped", [PROTOBUF + ";escaping=dots"])]


def measure(options):
    """Prints the longest pauses while pages of each kind are written, and without any.

    A small C program in a process of its own waits for `/-/healthy` and for the acknowledgement of
    a frame. In brackets what is left without the time in which the sidecar was ready to run and had
    no core: that is the sidecar's own. Each is the median of runs."""
    if not shutil.which("gcc"):
        return print("  left out: gcc is not installed")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        pinger = build("pinger", folder)
        row("longest pause, ms (the sidecar's own)", "/-/healthy", "acknowledgement", "page ms")
        for count, runs, pages in ((100_000, options.slices, 8), (1_000_000, 3, 2)):
            with filled(options, count, "--utf8-names") as pair:
                for name, fields in KINDS:
                    texts, times = [], []
                    for kind, where in (("http", pair.metrics),
                                        ("events", pair.path("events.sock"))):
                        found = [run(pinger, kind, where, pair, fields, pages, times)
                                 for _ in range(runs)]
                        longest, own = (statistics.median(each[at] for each in found)
                                        for at in (3, 4))
                        texts.append(f"{longest / 1e6:.2f} ({own / 1e6:.2f})")
                    texts.append(f"{statistics.median(times) * 1e3:.1f}" if times else "")
                    row(f"{count:,} series, {name}", *texts)
        pushed(options, pinger)


def pushed(options, pinger):
    """The same where 100,000 series were pushed in 1,000 groups, and while groups are pushed
    again."""
    lines = "".join(f'push_{n % 10}_total{{endpoint="/path/{n}",status="200"}} 1\n'
                    for n in sorted(range(100), key=lambda n: n % 10)).encode()
    with started(options, 100, "--push", "--max-exposition-size=64MiB") as pair:
        def push(groups):
            with socket.create_connection(("127.0.0.1", pair.metrics)) as s:
                for group in groups:
                    s.sendall(f"PUT /metrics/job/j/instance/{group} HTTP/1.1\r\nHost: x\r\n"
                              f"Content-Length: {len(lines)}\r\n\r\n".encode() + lines)
                    answer = s.recv(65536)
                    check(answer.startswith(b"HTTP/1.1 200"), f"a push was answered {answer!r}")
        push(range(1000))
        works = [(name, lambda fields=fields: page(pair.metrics, *fields))
                 for name, fields in KINDS[1:7]]
        works += [("JSON", lambda: page(pair.metrics, path="/api/v1/metrics")),
                  ("1,000 pushes", lambda: push(range(1000)))]
        for name, work in works:
            texts = []
            for kind, where in (("http", pair.metrics), ("events", pair.path("events.sock"))):
                found = [ping(pinger, kind, where, pair, [work] * 4) for _ in range(options.slices)]
                longest, own = (statistics.median(each[at] for each in found) for at in (3, 4))
                texts.append(f"{longest / 1e6:.2f} ({own / 1e6:.2f})")
            row(f"100,000 pushed series, {name}", *texts)


def run(pinger, kind, where, pair, fields, pages, times):
    """What the pinger prints of the time in which so many pages are read."""
    def work():
        if fields is None:
            time.sleep(0.03)
        else:
            times.append(page(pair.metrics, *fields)[1])
    return ping(pinger, kind, where, pair, [work] * pages)


def ping(pinger, kind, where, pair, works):
    """What it prints of the time in which something is done."""
    process = subprocess.Popen([pinger, kind, str(where), str(pair.sidecar.pid)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(0.1)
    for work in works:
        work()
    text, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"the pinger of {kind} ended with {process.returncode}")
    return [int(each) for each in text.split()]
