#!/usr/bin/env python3
"""--otlp with OpenTelemetry's own SDKs: the service of docs/clients.md under gunicorn, with workers
that come and go, counts to the unit while the sidecar is killed.

    Tests/System/run otlp [REQUESTS=3000] [KILLS=4] [NODE_MODULES=FOLDER]

With NODE_MODULES, a folder that has @opentelemetry's packages, JavaScript's SDK does the same.
"""
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from unittest import TestCase, main

# Only so that Tests/System/run knows that these are needed.
import fastapi
import gunicorn
import uvicorn_worker
from opentelemetry.instrumentation import fastapi as instrumentation
from prometheus_client.parser import text_string_to_metric_families

from support import ROOT, setting
from support.checks import check, free_port, wait_for
from support.otlp import OTLP

assert fastapi and gunicorn and uvicorn_worker and instrumentation
REQUESTS = setting("REQUESTS", 3_000)
KILLS = setting("KILLS", 4)
NODE_MODULES = setting("NODE_MODULES", "")
WORKERS = 4
SECONDS = "http_server_request_duration_seconds"
DOCUMENT = (ROOT / "docs/clients.md").read_text(encoding="utf-8")

# What the service of the document counts in these tests.
HANDLERS = """
import asyncio
meter = provider.get_meter("test")
served = meter.create_counter("served", unit="{request}", description="Requests served")
active = meter.create_up_down_counter("in.progress")
meter.create_observable_counter(
    "system.boots", callbacks=[lambda options: [metrics.Observation(7)]])


@app.get("/hello")
async def hello():
    active.add(1)
    served.add(1)
    await asyncio.sleep(0.001)
    active.add(-1)
    return "ok"
"""

# A provider that is made before the fork, which the document advises against.
FORKED = """
import os, sys, time
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

reader = PeriodicExportingMetricReader(OTLPMetricExporter())
provider = MeterProvider([reader])
counter = provider.get_meter("test").create_counter("served")
counter.add(5)
provider.force_flush()
for child in range(3):
    if os.fork() == 0:
        counter.add(10)
        provider.force_flush()
        counter.add(1)
        provider.force_flush()
        os._exit(0)
for child in range(3):
    os.wait()
"""

# The same metrics through the SDK's own exporter for Prometheus and through the sidecar.
BOTH = """
import sys
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from prometheus_client import generate_latest

provider = MeterProvider([PrometheusMetricReader(),
                          PeriodicExportingMetricReader(OTLPMetricExporter())])
meter = provider.get_meter("shop")
for _ in range(3):
    meter.create_counter("orders", unit="{order}").add(1, {"kind": "web", "http.route": "/"})
    meter.create_histogram("wait", unit="s").record(0.3)
    meter.create_histogram("body.size", unit="By").record(700)
    meter.create_up_down_counter("in.use", unit="{lease}").add(2)
meter.create_gauge("disk.used", unit="By").set(0.5)
meter.create_gauge("speed", unit="By/s").set(8)
meter.create_observable_counter("cpu.time", unit="s", callbacks=[
    lambda options: [metrics.Observation(4, {"state": "user"})]])
sys.stdout.buffer.write(generate_latest())
provider.shutdown()
"""


def section(title, language):
    """The first block of a language under a heading of docs/clients.md."""
    text = DOCUMENT.split(f"\n## {title}\n", 1)[1]
    return re.search(rf"^```{language}\n(.*?)^```$", text, re.M | re.S).group(1)


def environment(sidecar, **more):
    """That of the document, exporting sooner and to this sidecar."""
    documented = dict(line.split("=", 1) for line in section("OpenTelemetry", "sh").splitlines())
    return {**os.environ, **documented, "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sidecar.otlp}",
            "OTEL_SEMCONV_STABILITY_OPT_IN": "http", **more}


def ask(port):
    """Whether a request was answered with 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/hello", timeout=60) as answer:
            return answer.status == 200
    except OSError:
        return False


def load(sidecar, port):
    """Requests from four clients while the sidecar's worker is killed; how many were answered."""
    wait_for(lambda: ask(port), "the service")
    answers = [1] + [0] * 4

    def work(index):
        while answers[index] < REQUESTS // 4:
            answers[index] += ask(port)

    threads = [threading.Thread(target=work, args=[index], daemon=True) for index in range(1, 5)]
    for thread in threads:
        thread.start()
    for kill in range(1, KILLS + 1):
        wait_for(lambda: sum(answers) > kill * REQUESTS // (KILLS + 1), "answers", 600)
        sidecar.kill_worker()
    for thread in threads:
        thread.join()
    return sum(answers)


LAST = {"disk_used_bytes", "speed_bytes_per_second"}


def plain(page):
    """Name, labels, value and type of each sample that the test's service makes."""
    return [(sample.name, tuple(sorted((key, value) for key, value in sample.labels.items()
                                       if not key.startswith("otel_scope_"))),
             sample.value, family.type)
            for family in text_string_to_metric_families(page)
            if not family.name.startswith(("python_", "process_", "metrics_sidecar", "target"))
            for sample in family.samples if not sample.name.endswith("_created")]


def total(values, start):
    return sum(value for name, value in values.items() if name.startswith(start))


class SDKs(TestCase):
    def test_cumulative(self):
        """FastAPI's instrumentation under gunicorn, workers recycled, the sidecar killed: as many
        requests as were answered."""
        self.under_gunicorn("cumulative")

    def test_delta(self):
        """The same with deltas."""
        self.under_gunicorn("delta")

    def under_gunicorn(self, temporality):
        with OTLP("--supervise") as sidecar:
            with open(sidecar.path("test_service.py"), "w", encoding="utf-8") as file:
                file.write(section("OpenTelemetry", "python") + HANDLERS)
            port = free_port()
            answered = self.serve(
                sidecar, port, environment(
                    sidecar, OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=temporality),
                sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--max-requests",
                str(REQUESTS // 10), "--bind", f"127.0.0.1:{port}", "--log-level", "warning",
                "--worker-class", "uvicorn_worker.UvicornWorker", "test_service:app")
            values = self.counted(sidecar, temporality, answered)
            self.assertEqual(total(values, SECONDS + "_count{"), answered)
            routes = {name for name in values if name.startswith(SECONDS + "_count{")}
            self.assertEqual(len(routes), 1, routes)
            self.assertEqual(total(values, "http_server_active_requests{"), 0)

    def serve(self, sidecar, port, variables, *command):
        process = subprocess.Popen(command, cwd=sidecar.folder, env=variables,
                                   stdout=sidecar.log, stderr=sidecar.log)
        try:
            return load(sidecar, port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()

    def counted(self, sidecar, temporality, answered):
        """What each SDK's service has to show; all values."""
        values = sidecar.expect({"in_progress": 0}, seconds=15)
        self.assertEqual(total(values, "served_total"), answered)
        # Deltas add up, whatever they are of.
        if temporality == "cumulative":
            self.assertEqual(values["system_boots_total"], 7)
        self.assertEqual(len([name for name in values if name.startswith("target_info{")]), 1)
        self.assertEqual([name for name in values if "instance" in name or "pid" in name], [])
        self.assertEqual(sidecar.reasons(), {})
        self.assertEqual(values["metrics_sidecar_worker_restarts_total"], KILLS)
        print(f"  answered {answered}, counted {total(values, 'served_total'):.0f}, "
              f"{values['metrics_sidecar_otlp_streams']:.0f} streams, "
              f"{values['metrics_sidecar_series']:.0f} series", flush=True)
        return values

    def test_restarted(self):
        """The sidecar is killed as a whole and away for a while: cumulative series catch up."""
        with OTLP() as sidecar:
            script = (
                section("OpenTelemetry", "python").split("@asynccontextmanager")[0]
                + "counter = provider.get_meter('test').create_counter('served')\n"
                  "import sys\n"
                  "for line in sys.stdin:\n"
                  "    counter.add(1)\n"
                  "    print('counted', flush=True)\n"
                  "provider.shutdown()\n")
            process = subprocess.Popen(
                [sys.executable, "-c", script], env=environment(sidecar), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=sidecar.log)

            def count(times):
                for _ in range(times):
                    process.stdin.write(b"\n")
                    process.stdin.flush()
                    process.stdout.readline()

            count(3)
            sidecar.expect({"served_total": 3}, seconds=15)
            sidecar.process.kill()
            sidecar.process.wait()
            count(4)
            time.sleep(1.2)
            sidecar.start()
            sidecar.expect({"served_total": 7}, seconds=15)
            count(2)
            process.stdin.close()
            self.assertEqual(process.wait(30), 0)
            process.stdout.close()
            sidecar.expect({"served_total": 9})

    def test_forked(self):
        """A provider made before the fork: children count from what was exported before, once, and
        the log has the remedy."""
        with OTLP() as sidecar:
            run = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], timeout=60,
                                 env=environment(sidecar), stdout=sidecar.log, stderr=sidecar.log)
            self.assertEqual(run.returncode, 0)
            sidecar.expect({"served_total": 5 + 3 * 11})
            check("make the provider in each worker" in sidecar.output(), sidecar.output())

    def test_side_by_side(self):
        """Names, types and numbers as the SDK's own Prometheus exporter has them, that of each
        worker added up."""
        with OTLP() as sidecar:
            before, types = {}, {}
            for _ in range(2):
                page = subprocess.run(
                    [sys.executable, "-c", BOTH], env=environment(sidecar), timeout=60, text=True,
                    stdout=subprocess.PIPE, stderr=sidecar.log, check=True).stdout
                for name, labels, value, kind in plain(page):
                    added = before.get((name, labels), 0)
                    # Of a gauge, whoever came last.
                    before[name, labels] = value if name in LAST else added + value
                    types[name] = kind
            after = plain(sidecar.page())
            self.assertEqual({(name, labels): value for name, labels, value, _ in after}, before)
            self.assertEqual({name: kind for name, _, _, kind in after}, types)
            self.assertGreater(len(before), 30)

    def test_javascript(self):
        """JavaScript's SDK in four processes of node, protobuf and JSON, the same promise."""
        if not NODE_MODULES:
            self.skipTest("NODE_MODULES names no folder with @opentelemetry's packages")
        for kind in ("proto", "http"):
            with OTLP("--supervise") as sidecar:
                port = free_port()
                answered = self.serve(
                    sidecar, port, environment(
                        sidecar, NODE_PATH=os.path.abspath(NODE_MODULES), KIND=kind,
                        PORT=str(port), MAX=str(REQUESTS // 10)),
                    "node", str(ROOT / "Tests/System/support/otlp_service.js"))
                values = self.counted(sidecar, "cumulative", answered)
                self.assertEqual(values[SECONDS + "_count"], answered)
                self.assertEqual(values[SECONDS + '_bucket{le="0.05"}'], answered)
                self.assertEqual(values["size_bytes_count"], answered)


if __name__ == "__main__":
    main()
