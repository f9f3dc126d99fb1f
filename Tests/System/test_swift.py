#!/usr/bin/env python3
"""The product SidecarEvents as packages of others have it: Examples/ with swift-metrics and
Hummingbird, and a package that was made a moment ago.

    Tests/System/run swift [KILLS=8] [SECONDS=6]

Examples/ is built before: swift build --package-path Examples
"""
import pathlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from unittest import TestCase, main

from support import ROOT, setting
from support.checks import check, free_port, wait_for
from support.sidecar import Sidecar

KILLS = setting("KILLS", 8)
SECONDS = setting("SECONDS", 6)
BUILT = ROOT / "Examples/.build/debug"
ORDER = b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"

PACKAGE = """// swift-tools-version: 6.3
import PackageDescription
let package = Package(
  name: "my-service",
  dependencies: [.package(name: "metrics-sidecar", path: "%s")],
  targets: [
    .executableTarget(
      name: "App", dependencies: [.product(name: "SidecarEvents", package: "metrics-sidecar")]),
    .executableTarget(
      name: "Docs", dependencies: [.product(name: "SidecarEvents", package: "metrics-sidecar")]),
    .testTarget(name: "AppTests", dependencies: ["App"]),
  ]
)
"""

APP = r"""import SidecarEvents
@main struct App {
  static let tags = [("queue", "a,b|c\\d\n\"e\""), ("empty", "")]
  static func main() {
    let client = SessionClient(path: CommandLine.arguments[1], flushInterval: .milliseconds(20))
    client.declare("jobs_total", .counter, help: "Jobs | of\nall")
    client.declare("wait_seconds", .histogram(bounds: [0.1, 1]), help: "Waiting")
    client.declare("busy", .gauge(merge: .sum), help: "In hand")
    client.counter("jobs_total", tags: tags).add(2)
    client.floatingPointCounter("cpu.seconds").add(0.25)
    client.gauge("busy").set(3)
    client.distribution("wait_seconds").observe(0.1)
    client.distribution("size").observe(512)
    client.timing("job.duration").observe(.milliseconds(250))
    precondition(client.close())
  }
}
"""

APP_TESTS = """import Testing
@testable import App
@Test func tags() { #expect(App.tags.count == 2) }
"""

# The page of APP, as far as it comes from it.
PAGE = r"""# HELP busy In hand
# TYPE busy gauge
busy 3.0
# HELP jobs_total Jobs | of\nall
# TYPE jobs_total counter
jobs_total{queue="a,b|c\\d\n\"e\""} 2.0
wait_seconds_bucket{le="0.1"} 1.0
wait_seconds_count 1.0
cpu_seconds_total 0.25
size_sum 512.0
job_duration_seconds_sum 0.25
job_duration_seconds_bucket{le="0.25"} 1.0
"""


# The example in the documents, and what it shows of the page.
DOCUMENTED = re.compile(r"```swift\n([^`]*?import SidecarEvents\n.*?)```\n\n"
                        r"<!-- the page of it -->\n\n```\n(.*?)```", re.S)


class Load(threading.Thread):
    """Orders over one connection after the other, until it is stopped."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.sent = self.answered = 0
        self.is_stopped = False
        self.start()

    def run(self):
        while not self.is_stopped:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
                    while not self.is_stopped:
                        self.sent += 1
                        s.sendall(ORDER)
                        answer = s.recv(4096)
                        if not answer:
                            break
                        check(answer.startswith(b"HTTP/1.1 201 "), answer)
                        self.answered += 1
            except OSError:
                time.sleep(0.005)


class Service:
    def __init__(self, sidecar):
        self.sidecar, self.port = sidecar, free_port()
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BUILT / "orders", self.sidecar.path("events.sock"), str(self.port)],
            stdout=self.sidecar.log, stderr=self.sidecar.log)
        wait_for(self.takes_connections, "the service")

    def takes_connections(self):
        check(self.process.poll() is None, "the service ended")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(30)


def total(values, name):
    return sum(value for series, value in values.items() if series.split("{")[0] == name)


class SwiftTests(TestCase):
    def test_every_kind(self):
        """One metric of each kind of swift-metrics is one family on the page."""
        with Sidecar() as sidecar:
            run = subprocess.run([BUILT / "every-kind", sidecar.path("events.sock")], check=True,
                                 capture_output=True, text=True, timeout=30)
            self.assertEqual(run.stdout, "all is counted\n")
            sidecar.expect({
                'jobs_done_total{queue="mail"}': 3, "cpu_seconds_total": 0.25, "connections": 3,
                "temperature": -1.5, "answer_bytes_sum": 512, "answer_bytes_count": 1,
                "job_duration_seconds_sum": 0.25, 'job_duration_seconds_bucket{le="0.25"}': 1})

    def test_fresh_package(self):
        """A package with targets App and AppTests builds with the product and counts by it; so
        does the example of docs/clients.md, whose page is the one that stands there."""
        text = (ROOT / "docs/clients.md").read_text()
        (code, shown), = DOCUMENTED.findall(text)
        code = code.replace('"/run/metrics/events.sock"', "CommandLine.arguments[1]")
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder).resolve()
            for name, text in (("Package.swift", PACKAGE % ROOT), ("Sources/App/App.swift", APP),
                               ("Sources/Docs/main.swift", code),
                               ("Tests/AppTests/AppTests.swift", APP_TESTS)):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
            build = subprocess.run(
                ["swift", "build", "--build-tests", "--package-path", folder],
                capture_output=True, text=True, check=False)
            self.assertEqual(build.returncode, 0, build.stdout + build.stderr)
            for name, lines in (("App", PAGE), ("Docs", shown)):
                with Sidecar() as sidecar:
                    subprocess.run([folder / f".build/debug/{name}", sidecar.path("events.sock")],
                                   check=True, timeout=30)
                    page = sidecar.page().splitlines()
                    self.assertEqual([line for line in lines.splitlines() if line not in page], [])

    def test_late_and_stopped(self):
        """A sidecar that comes late, goes, comes back and is stopped has every job of a program
        that went on meanwhile."""
        with Sidecar() as sidecar:
            sidecar.stop()
            jobs = subprocess.Popen([BUILT / "count-jobs", sidecar.path("events.sock"), "5000"],
                                    stdout=sidecar.log)
            for _ in range(3):
                time.sleep(0.2)
                sidecar.start()
                for number in (signal.SIGSTOP, signal.SIGCONT):
                    sidecar.process.send_signal(number)
                    time.sleep(0.2)
                sidecar.stop()
            sidecar.start()
            self.assertEqual(jobs.wait(60), 0)
            sidecar.expect({'jobs_done_total{queue="mail"}': 5000,
                            "jobs_duration_seconds_count": 5000})

    def test_sidecar_killed(self):
        """Hummingbird under load while the sidecar is killed: its own middleware's numbers and the
        orders are the requests that were answered."""
        with Sidecar("--supervise") as sidecar:
            service = Service(sidecar)
            loads = [Load(service.port) for _ in range(4)]
            for _ in range(KILLS):
                time.sleep(SECONDS / KILLS)
                sidecar.kill_worker()
            answered = self.stopped(loads)
            self.assertEqual(service.end(signal.SIGTERM), 0)
            self.assertEqual([load.sent for load in loads], [load.answered for load in loads])
            # Its part in a gauge is gone with it.
            sidecar.expect({'orders_total{kind="web"}': answered,
                            'http_server_active_requests{http_request_method="POST"}': 0}, 80)
            values = sidecar.values()
            for name in ("hb_requests_total", "http_server_request_duration_seconds_count"):
                self.assertEqual(total(values, name), answered, name)
            self.assertEqual(total(values, "hb_request_errors_total"), 0)
            print(f"  {KILLS} kills of the sidecar: {answered} answered = orders = hb_requests")

    def test_both_killed(self):
        """Hummingbird and the sidecar killed in turn: answered <= orders <= sent."""
        with Sidecar("--supervise") as sidecar:
            service = Service(sidecar)
            loads = [Load(service.port) for _ in range(4)]
            for _ in range(KILLS):
                time.sleep(random.random() * SECONDS / KILLS)
                service.end(signal.SIGKILL)
                sidecar.kill_worker()
                service.start()
            time.sleep(0.2)
            answered = self.stopped(loads)
            self.assertEqual(service.end(signal.SIGTERM), 0)
            sent = sum(load.sent for load in loads)
            counted = total(sidecar.values(), "orders_total")
            check(answered <= counted <= sent, f"{answered} <= {counted} <= {sent}")
            middleware = total(sidecar.values(), "hb_requests_total")
            check(middleware <= sent, f"{middleware} <= {sent}")
            print(f"  {KILLS} kills of each: {answered} answered, {counted:.0f} counted, {sent} "
                  f"sent; the middleware, which counts after the answer, has {middleware:.0f}")

    def stopped(self, loads):
        for load in loads:
            load.is_stopped = True
        for load in loads:
            load.join()
        return sum(load.answered for load in loads)


if __name__ == "__main__":
    main()
