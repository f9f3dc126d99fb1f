#!/usr/bin/env python3
"""--otlp on a real sidecar: OpenTelemetry's Python SDK under gunicorn counts to the unit, and each
answer is as OTLP has it.

    Tests/System/run otlp [REQUESTS=4000] [KILLS=4]
"""
import gzip
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from unittest import TestCase, main

# Only so that Tests/System/run knows that these are needed.
import fastapi
import gunicorn
import uvicorn_worker
from opentelemetry.instrumentation import fastapi as instrumentation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest, ExportMetricsServiceResponse)
from prometheus_client.parser import text_string_to_metric_families

from support import setting
from support.checks import free_port, missing, wait_for
from support.sidecar import Sidecar

assert fastapi and gunicorn and uvicorn_worker and instrumentation
REQUESTS = setting("REQUESTS", 4_000)
KILLS = setting("KILLS", 4)
WORKERS = 4
COUNT = 'http_server_request_duration_seconds_%s{http_request_method="GET"'

SERVICE = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
metrics.set_meter_provider(provider)
meter = provider.get_meter("test")
served = meter.create_counter("served", unit="{request}", description="Requests served")
active = meter.create_up_down_counter("in.progress")
meter.create_observable_counter(
    "system.boots", callbacks=[lambda options: [metrics.Observation(7)]])


@asynccontextmanager
async def lifespan(app):
    yield
    provider.shutdown()


app = FastAPI(lifespan=lifespan)
FastAPIInstrumentor.instrument_app(app, meter_provider=provider)


@app.get("/hello")
async def hello():
    active.add(1)
    served.add(1)
    active.add(-1)
    return "ok"
"""


class OTLP(Sidecar):
    """A sidecar that takes OTLP."""

    def __init__(self, *flags, **options):
        self.otlp = free_port()
        super().__init__("--otlp", f"localhost:{self.otlp}", *flags, **options)

    def post(self, body, kind="application/x-protobuf", path="/v1/metrics", **fields):
        """Status, fields and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.otlp, timeout=20)
        connection.request("POST", path, body, {
            "Content-Type": kind,
            **{name.replace("_", "-"): value for name, value in fields.items()}})
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, response.headers, answer


def request(value=1, start=1, time=2, name="jobs", temporality=2, **attributes):
    """One monotonic sum of one worker, by protobuf's own library."""
    whole = ExportMetricsServiceRequest()
    resource = whole.resource_metrics.add()
    attribute = resource.resource.attributes.add()
    attribute.key, attribute.value.string_value = "service.name", "shop"
    metric = resource.scope_metrics.add().metrics.add()
    metric.name = name
    metric.sum.aggregation_temporality = temporality
    metric.sum.is_monotonic = True
    point = metric.sum.data_points.add()
    point.start_time_unix_nano, point.time_unix_nano, point.as_int = start, time, value
    for key, text in attributes.items():
        attribute = point.attributes.add()
        attribute.key, attribute.value.string_value = key, text
    return whole


def ask(port):
    """Whether a request was answered with 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/hello", timeout=60) as answer:
            return answer.status == 200
    except OSError:
        return False


class OTLPTests(TestCase):
    def test_cumulative(self):
        """FastAPI's instrumentation under gunicorn, workers recycled, the sidecar killed: as many
        requests as were answered."""
        self.serve("cumulative")

    def test_delta(self):
        """The same with deltas."""
        self.serve("delta")

    def serve(self, temporality):
        with OTLP("--supervise") as sidecar:
            with open(sidecar.path("test_service.py"), "w", encoding="utf-8") as file:
                file.write(SERVICE)
            port = free_port()
            environment = {
                **os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sidecar.otlp}",
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
                "OTEL_METRIC_EXPORT_INTERVAL": "500", "OTEL_SERVICE_NAME": "shop",
                "OTEL_SEMCONV_STABILITY_OPT_IN": "http"}
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--max-requests",
                 str(REQUESTS // 8), "--bind", f"127.0.0.1:{port}", "--log-level", "warning",
                 "--worker-class", "uvicorn_worker.UvicornWorker", "test_service:app"],
                cwd=sidecar.folder, env=environment, stdout=sidecar.log, stderr=sidecar.log)
            try:
                answered = self.load(sidecar, port)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()
            values = sidecar.expect({"served_total": answered, 'in_progress': 0}, seconds=15)
            counts = sum(value for name, value in values.items()
                         if name.startswith(COUNT % "count"))
            self.assertEqual(counts, answered)
            # Deltas add up, whatever they are of.
            if temporality == "cumulative":
                self.assertEqual(values["system_boots_total"], 7)
            self.assertEqual(
                len([name for name in values if name.startswith("target_info{")]), 1)
            instances = [name for name in values if "instance" in name or "pid" in name]
            self.assertEqual(instances, [])
            refused = {name: value for name, value in values.items() if value
                       and name.startswith("metrics_sidecar_events_rejected_total")}
            self.assertEqual(refused, {})
            self.assertEqual(values["metrics_sidecar_worker_restarts_total"], KILLS)
            print(f"  {temporality}: answered {answered}, streams "
                  f"{values['metrics_sidecar_otlp_streams']:.0f}", flush=True)

    def load(self, sidecar, port):
        wait_for(lambda: ask(port), "the service")
        answers = [1] + [0] * 4

        def work(index):
            while answers[index] < REQUESTS // 4:
                answers[index] += ask(port)

        threads = [threading.Thread(target=work, args=[index], daemon=True)
                   for index in range(1, 5)]
        for thread in threads:
            thread.start()
        for kill in range(1, KILLS + 1):
            wait_for(lambda: sum(answers) > kill * REQUESTS // (KILLS + 1), "answers", 600)
            sidecar.kill_worker()
        for thread in threads:
            thread.join()
        return sum(answers)

    def test_answers(self):
        """Each answer is as OTLP has it, in the request's encoding."""
        with OTLP() as sidecar:
            status, fields, body = sidecar.post(request(5).SerializeToString())
            self.assertEqual((status, body, fields["Content-Type"]),
                             (200, b"", "application/x-protobuf"))
            text = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{
                "name": "jobs", "sum": {"aggregationTemporality": 2, "isMonotonic": True,
                                        "dataPoints": [{"timeUnixNano": "5", "asInt": "3",
                                                        "startTimeUnixNano": "4"}]}}]}]}]})
            for kind in ("application/json", "application/json; charset=utf-8"):
                status, fields, body = sidecar.post(text, kind)
                self.assertEqual((status, body, fields["Content-Type"]),
                                 (200, b"{}", "application/json"))
            zipped = gzip.compress(request(6, start=9, time=10).SerializeToString())
            self.assertEqual(sidecar.post(zipped, Content_Encoding="gzip")[0], 200)
            sidecar.expect({"jobs_total": 14})

            bad = request(7)
            bad.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points.add()
            status, _, body = sidecar.post(bad.SerializeToString())
            partial = ExportMetricsServiceResponse.FromString(body).partial_success
            self.assertEqual((status, partial.rejected_data_points), (200, 1))
            self.assertIn("jobs: ", partial.error_message)
            status, _, body = sidecar.post(text.replace('"5"', '"0"'), "application/json")
            partial = json.loads(body)["partialSuccess"]
            self.assertEqual((status, partial["rejectedDataPoints"]), (200, "1"))
            self.assertIn("jobs: ", partial["errorMessage"])
            sidecar.expect({"jobs_total": 16})

            for wanted, answer in (
                    (400, sidecar.post(b"\x0a\xff")),
                    (400, sidecar.post("{", "application/json")),
                    (400, sidecar.post(b"x", Content_Encoding="gzip")),
                    (404, sidecar.post("{}", "application/json", path="/v1/traces")),
                    (404, sidecar.post("{}", "application/json", path="/v1/logs")),
                    (413, sidecar.post(b"\0" * ((4 << 20) + 1))),
                    (413, sidecar.post(gzip.compress(b"\0" * ((4 << 20) + 1)),
                                       Content_Encoding="gzip")),
                    (415, sidecar.post("{}", "text/plain")),
                    (415, sidecar.post("{}", "application/json", Content_Encoding="br"))):
                self.assertEqual(answer[0], wanted)
                self.assertNotIn("Retry-After", answer[1])
            self.assertIn(b"OTEL_TRACES_EXPORTER=none", sidecar.post("", path="/v1/traces")[2])
            self.assertIn(b"OTEL_LOGS_EXPORTER=none", sidecar.post("", path="/v1/logs")[2])
            connection = http.client.HTTPConnection("127.0.0.1", sidecar.otlp, timeout=20)
            connection.request("GET", "/v1/metrics")
            self.assertEqual(connection.getresponse().status, 405)
            connection.close()

    def test_kill_between(self):
        """A kill between the commit and the answer: the same bytes again count once."""
        with OTLP() as sidecar:
            body = request(5, temporality=1).SerializeToString()
            self.assertEqual(sidecar.post(body)[0], 200)
            sidecar.process.kill()
            sidecar.process.wait()
            sidecar.start()
            self.assertEqual(sidecar.post(body)[0], 200)
            sidecar.expect({"jobs_total": 5,
                            'metrics_sidecar_otlp_requests_total{result="repeated"}': 1})

    def test_two_clients(self):
        """Clients at once that send all of a history again and again: each unit counts once."""
        with OTLP() as sidecar:
            def work(number):
                for value in range(1, 101):
                    for _ in range(2):
                        sidecar.post(request(value, start=number, time=value + 1000,
                                             queue="mail").SerializeToString())

            threads = [threading.Thread(target=work, args=[number]) for number in (1, 2, 3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            sidecar.expect({'jobs_total{queue="mail"}': 300})

    def test_page(self):
        """The page with each type is read by Python's parser, and by Prometheus' promtool."""
        with OTLP() as sidecar:
            whole = request(5, queue="a\"b\\c\nd")
            metrics = whole.resource_metrics[0].scope_metrics[0].metrics
            metric = metrics.add(name="size", unit="By", description="Sizes | of\nall")
            metric.exponential_histogram.aggregation_temporality = 2
            point = metric.exponential_histogram.data_points.add(
                start_time_unix_nano=1, time_unix_nano=2, count=6, sum=20, scale=3, zero_count=1)
            point.positive.offset = -2
            point.positive.bucket_counts.extend([1, 0, 4])
            metric = metrics.add(name="wait", unit="s")
            metric.histogram.aggregation_temporality = 1
            metric.histogram.data_points.add(
                time_unix_nano=2, count=3, sum=2.5, bucket_counts=[1, 2], explicit_bounds=[0.5])
            metric = metrics.add(name="level", unit="1")
            metric.gauge.data_points.add(time_unix_nano=2, as_double=0.5)
            for _ in range(2):
                status, _, body = sidecar.post(whole.SerializeToString())
                self.assertEqual((status, body), (200, b""))
            families = {family.name: family.type
                        for family in text_string_to_metric_families(sidecar.page())}
            self.assertEqual(
                [families.get(name) for name in ("jobs", "size_bytes", "wait_seconds",
                                                 "level_ratio", "target_info")],
                ["counter", "histogram", "histogram", "gauge", "gauge"])
            try:
                run = subprocess.run(["promtool", "check", "metrics"], input=sidecar.page(),
                                     capture_output=True, text=True, check=False)
            except FileNotFoundError:
                missing("promtool is not installed")
            errors = [line for line in run.stderr.splitlines() if re.match("error", line)]
            self.assertEqual(errors, [])
            sidecar.expect({"size_bytes_count": 6, "wait_seconds_count": 3, "level_ratio": 0.5})


if __name__ == "__main__":
    main()
