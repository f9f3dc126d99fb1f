"""One-line datagrams over UDP, as fast as one sender can: who loses how much of them.

Nobody is asked whether there is room, so what a receiver does not take in time the kernel drops.
Each program has the socket's buffer that it asks for when nothing is configured."""
import contextlib
import glob
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request

from support.checks import free_port, wait_for
from large import build, cpu_seconds
from support.pair import Pair

LINES = 300_000


def floods(options):
    """Datagrams of one line over UDP at full speed: the share that is lost."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sender, receiver = build("sender", folder), build("receiver", folder)
        for name, tool, serving in (("ours", None, ours(options.programs)),
                                    ("C receiver", None, c_receiver(receiver)),
                                    ("statsd_exporter", "statsd_exporter", statsd_exporter),
                                    ("collectd", "collectd", collectd),
                                    ("netdata", "netdata", netdata)):
            if tool and not shutil.which(tool):
                print(f"  left out: {tool} is not installed")
                continue
            found = [flood(sender, serving) for _ in range(options.slices)]
            lost = sorted(each[0] for each in found)
            rate = statistics.median(each[1] for each in found)
            print(f"  {name:<52} {statistics.median(lost) * 100:6.2f} % lost   "
                  f"({lost[0] * 100:.2f} to {lost[-1] * 100:.2f})  "
                  f"{rate / 1e6:.2f} million counted a CPU s", flush=True)


def flood(sender, serving):
    """The share of the sent lines that is not counted, and those counted a CPU second."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        port = free_port()
        with serving(folder, port) as (pid, count):
            before = cpu_seconds(pid)
            sent = int(subprocess.run([sender, "udp", str(port), str(LINES), "1"], check=True,
                                      capture_output=True, text=True).stdout)
            settle(lambda: cpu_seconds(pid), 0.2)
            used = cpu_seconds(pid) - before
            counted = settle(count, 2.5)
            return 1 - counted / sent, counted / used


def settle(measure, seconds, spread=0.01):
    """What `measure` gives when it has stopped rising, looked at every so many seconds."""
    value, last = measure(), -1
    while value - last > spread:
        time.sleep(seconds)
        value, last = measure(), value
    return value


@contextlib.contextmanager
def running(command, is_up, **how):
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True,
                               **{"stdout": subprocess.DEVNULL, **how})
    try:
        wait_for(is_up, command[0], 30)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_bound(port):
    """Whether somebody has the UDP port, as the kernel's table says."""
    with open("/proc/net/udp") as f:
        return f"0100007F:{port:04X}" in f.read()


def page(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode(errors="replace")
    except OSError:
        return ""


def ours(programs):
    @contextlib.contextmanager
    def serving(_, port):
        with Pair(programs) as pair:
            pair.start_sidecar("--statsd-udp", f"127.0.0.1:{port}")

            def count():
                values = pair.values()
                counted = sum(v for k, v in values.items() if k.startswith("app_requests_"))
                dropped = values["metrics_sidecar_udp_drops_total"]
                if counted + dropped > LINES:
                    raise SystemExit(f"{counted} counted, {dropped} told as dropped, {LINES} sent")
                return counted
            yield pair.sidecar.pid, count
    return serving


def c_receiver(program):
    @contextlib.contextmanager
    def serving(_, port):
        with running([program, "udp", str(port)], lambda: is_bound(port), stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE, text=True) as process:
            told = []

            def count():
                # It tells once, at the end of its input.
                if not told:
                    told.append(int(process.communicate("")[0]))
                return told[0]
            yield process.pid, count
    return serving


@contextlib.contextmanager
def statsd_exporter(_, port):
    web = free_port()
    with running(["statsd_exporter", f"--web.listen-address=127.0.0.1:{web}",
                  "--statsd.listen-tcp=",
                  f"--statsd.listen-udp=127.0.0.1:{port}"],
                 lambda: is_bound(port) and page(f"http://127.0.0.1:{web}/-/ready")) as process:
        yield process.pid, lambda: sum(
            float(each.rsplit(" ", 1)[1]) for each in
            page(f"http://127.0.0.1:{web}/metrics").split("\n") if each.startswith("app_requests_"))


@contextlib.contextmanager
def collectd(folder, port):
    path = os.path.join(folder, "collectd.conf")
    with open(path, "w") as f:
        f.write(f"""Hostname "bench"
FQDNLookup false
Interval 1
BaseDir "{folder}"
PIDFile "{folder}/pid"
LoadPlugin statsd
<Plugin statsd>
  Host "127.0.0.1"
  Port "{port}"
</Plugin>
LoadPlugin csv
<Plugin csv>
  DataDir "{folder}/csv"
  StoreRates false
</Plugin>
""")

    def count():
        total = 0
        for name in glob.glob(f"{folder}/csv/bench/statsd/derive-app.requests.*"):
            with open(name) as f:
                total += float(f.read().strip().rsplit(",", 1)[1])
        return total
    with running(["collectd", "-f", "-C", path], lambda: is_bound(port)) as process:
        yield process.pid, count


@contextlib.contextmanager
def netdata(folder, port):
    web = free_port()
    path = os.path.join(folder, "netdata.conf")
    with open(path, "w") as f:
        f.write(f"""[global]
run as user = root
[db]
mode = ram
[directories]
config = {folder}
cache = {folder}
lib = {folder}
log = {folder}
[web]
bind to = 127.0.0.1
default port = {web}
[health]
enabled = no
[ml]
enabled = no
[plugins]
proc = no
diskspace = no
cgroups = no
tc = no
timex = no
idlejitter = no
apps = no
enable running new plugins = no
[statsd]
bind to = udp:127.0.0.1:{port}
""")

    def count():
        found = re.search(r'statsd_events_total\{[^}]*dimension="counters"} (\d+)',
                          page(f"http://127.0.0.1:{web}/api/v1/allmetrics?format=prometheus"
                               "&source=as-collected"))
        return int(found.group(1)) if found else 0
    with running(["netdata", "-D", "-c", path], lambda: is_bound(port),
                 env={**os.environ, "DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}) as process:
        yield process.pid, count
