"""The page of 100,000 series from others, as bench_scrape.py shows it."""
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import urllib.request

from support.checks import free_port, wait_for
from large import HERE, MIB, cpu_seconds, line, page, resident_kib, row
from support.pair import listening

GO_PATH = "/usr/share/gocode"


def go_client(options):
    """Go's client_golang, the counters in its own process."""
    if not shutil.which("go"):
        return print("  left out: client_golang, since go is not installed (Debian: golang-go)")
    if not os.path.isdir(GO_PATH + "/src/github.com/prometheus/client_golang/prometheus/promhttp"):
        return print("  left out: client_golang is not installed "
                     "(Debian: golang-github-prometheus-client-golang-dev)")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        program = os.path.join(folder, "go_page")
        # What Debian has built its own packages with: no module is downloaded.
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": GO_PATH, "GOFLAGS": "",
                       "GOCACHE": os.path.join(folder, "cache")}
        subprocess.run(["go", "build", "-o", program, os.path.join(HERE, "go_page.go")],
                       env=environment, check=True)
        port = free_port()
        process = subprocess.Popen([program, f"127.0.0.1:{port}", "100000"])
        try:
            wait_for(lambda: listening(port), "client_golang")
            timed("client_golang", port, process, options)
        finally:
            process.kill()
            process.wait()


def timed(name, port, process, options):
    page(port)
    times, used, packed = [], [], []
    for _ in range(options.slices):
        for fields, costs in (([], used), (["Accept-Encoding: gzip"], packed)):
            before = cpu_seconds(process.pid)
            took = page(port, *fields)[1]
            costs.append(cpu_seconds(process.pid) - before)
            if not fields:
                times.append(took)
    row(name, f"{statistics.median(times) * 1e3:.0f} ms",
        f"{statistics.median(used) * 1e3:.0f} CPU ms",
        f"gzip {statistics.median(packed) * 1e3:.0f} CPU ms",
        f"peak {resident_kib(process.pid, 'VmHWM') / MIB:.0f} MiB")


def pushgateway(options):
    if not shutil.which("prometheus-pushgateway"):
        return print("  left out: prometheus-pushgateway is not installed")
    port = free_port()
    process = subprocess.Popen(["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: listening(port), "Pushgateway")
        text = "# TYPE app_requests_total counter\n" + "".join(
            f'app_requests_total{{endpoint="/path/{n}",method="GET",status="200"}} 1.0\n'
            for n in range(100_000))
        urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics/job/bench", text.encode(), method="PUT")).read()
        timed("Pushgateway", port, process, options)
    finally:
        process.kill()
        process.wait()


def exporter(options):
    if not shutil.which("statsd_exporter"):
        return print("  left out: statsd_exporter is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        process = subprocess.Popen(
            ["statsd_exporter", f"--web.listen-address=127.0.0.1:{port}", "--statsd.listen-udp=",
             "--statsd.listen-tcp=", f"--statsd.listen-unixgram={path}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: listening(port) and os.path.exists(path), "statsd_exporter")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.connect(path)
                for start in range(0, 100_000, 20):
                    s.send(b"\n".join(line(n) for n in range(start, start + 20)))
            wait_for(lambda: page(port)[0].count(b"app_requests{") == 100_000, "its series", 60)
            timed("statsd_exporter", port, process, options)
        finally:
            process.kill()
            process.wait()
