"""How long a scrape holds everybody else up, as bench_scrape.py shows it."""
import shutil
import statistics
import subprocess
import tempfile
import time

from large import build, filled, page, row

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
                    for kind, where in (("http", pair.metrics), ("events", pair.path("events.sock"))):
                        found = [run(pinger, kind, where, pair, fields, pages, times)
                                 for _ in range(runs)]
                        longest, own = (statistics.median(each[at] for each in found) for at in (3, 4))
                        texts.append(f"{longest / 1e6:.2f} ({own / 1e6:.2f})")
                    texts.append(f"{statistics.median(times) * 1e3:.1f}" if times else "")
                    row(f"{count:,} series, {name}", *texts)


def run(pinger, kind, where, pair, fields, pages, times):
    """What the pinger prints of the time in which so many pages are read."""
    process = subprocess.Popen([pinger, kind, str(where), str(pair.sidecar.pid)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(0.1)
    for _ in range(pages):
        if fields is None:
            time.sleep(0.03)
        else:
            times.append(page(pair.metrics, *fields)[1])
    text, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"the pinger of {kind} ended with {process.returncode}")
    return [int(each) for each in text.split()]
