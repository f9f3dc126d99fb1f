"""The servers that pushes go to, and what their pages say."""
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from support import PROGRAMS, setting
from support.checks import check, free_port

PROGRAM = os.path.join(PROGRAMS, "metrics-sidecar")
PUSHGATEWAY = setting("PUSHGATEWAY", shutil.which("prometheus-pushgateway") or "")


class Program:
    """A server in a folder of its own."""

    def __init__(self, name, command):
        self.name = name
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="push-")
        self.command = command
        self.start()

    def start(self):
        arguments = [part.format(port=self.port, folder=self.folder) for part in self.command]
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(arguments, stdout=self.log, stderr=self.log)
        for _ in range(2000):
            try:
                if self.request("GET", "/-/ready")[0]:
                    return
            except OSError:
                check(self.process.poll() is None, f"{self.name} ended: see {self.folder}/log")
                time.sleep(0.005)
        raise AssertionError(f"{self.name} does not answer")

    def request(self, method, path, body=b"", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.RemoteDisconnected:
            # So Go's HTTP server answers when a handler panics.
            return 0, b""
        finally:
            connection.close()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def cpu_ticks(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def sidecar(*flags):
    return Program(
        "sidecar",
        [PROGRAM, "--listen", "127.0.0.1:{port}", "--events-socket", "", "--statsd-socket",
         "", "--state", "{folder}/state", "--push", *flags])


def pushgateway():
    check(PUSHGATEWAY, "no prometheus-pushgateway on PATH: Debian's package of that name")
    return Program(
        "pushgateway",
        [PUSHGATEWAY, "--web.listen-address=127.0.0.1:{port}", "--persistence.file=",
         "--web.enable-admin-api"])


def samples(page, may_repeat=False):
    """Lines of an exposition as {series: value}, types as {"TYPE name": type}; times only as 0 or
    1. What each server says of itself is left out."""
    own = re.compile(r"^(go_|process_|promhttp_|pushgateway_|metrics_sidecar_)")
    found = {}
    for line in page.decode().splitlines():
        if line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            if not own.match(name):
                found[f"TYPE {name}"] = kind
        elif line.startswith("# HELP "):
            name, _, text = line[7:].partition(" ")
            if not own.match(name) and text:
                found[f"HELP {name}"] = text
        elif line and not own.match(line):
            series, value = line.rsplit(" ", 1)
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', series))
            for bound in ("le", "quantile"):
                # Pushed as labels of untyped families they are texts, which stay as they are.
                try:
                    labels[bound] = str(float(labels[bound].replace("Inf", "inf")))
                except (KeyError, ValueError):
                    pass
            key = series.split("{")[0] + json.dumps(labels, sort_keys=True)
            number = float(value.replace("Inf", "inf").replace("NaN", "nan"))
            if series.startswith(("push_time_seconds", "push_failure_time_seconds")):
                number = float(number > 0)
            check(may_repeat or key not in found, f"the series {key} is there twice")
            found[key] = repr(number)
    return found


def histogram_fields(histogram):
    """What a protobuf histogram says, but for times and a classic +Inf, which is the count."""
    found = {}
    for field, value in histogram.ListFields():
        if field.name == "bucket":
            value = [(b.upper_bound, b.cumulative_count or b.cumulative_count_float)
                     for b in value if b.upper_bound != float("inf")]
        elif field.name.endswith("_span"):
            value = [(span.offset, span.length) for span in value]
        elif not isinstance(value, (int, float)):
            value = list(value) if field.name.endswith(("_delta", "_count")) else None
        if value:
            found[field.name] = value
    return found


def version(program):
    """Of a Pushgateway, as (1, 5)."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True)
    found = re.search(r"version (\d+)\.(\d+)", told.stdout + told.stderr)
    check(found, f"{program} --version tells none")
    return int(found[1]), int(found[2])
