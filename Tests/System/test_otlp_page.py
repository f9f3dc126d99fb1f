#!/usr/bin/env python3
"""--otlp: what metrics become on the page, as Prometheus and other makers' parsers read it; rules,
labels, and gauges of several workers.

    Tests/System/run otlp_page
"""
import json
import re
import subprocess
from unittest import TestCase, main

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest)

from support import ROOT
from support.checks import missing, wait_for
from support.otlp import (
    CUMULATIVE, DELTA, OTLP, attribute, every_type, request, resource)
from support.prometheus import Prometheus
from support.readers import (
    HISTOGRAM, OPEN, PROTO, parse_open, parse_protobuf, parse_text, samples_of_protobuf,
    samples_of_text, without_time)
from support.sidecar import Wire, frame

DURATION = "http.server.request.duration"
# The bounds that the semantic conventions give this metric.
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]


def durations(counts, start=1, time=2, temporality=CUMULATIVE, route="/pay"):
    """A histogram as FastAPI's instrumentation sends it."""
    made = ExportMetricsServiceRequest()
    histogram = resource(made).add(name=DURATION, unit="s").histogram
    histogram.aggregation_temporality = temporality
    point = histogram.data_points.add(
        start_time_unix_nano=start, time_unix_nano=time, count=sum(counts), sum=sum(counts) / 8,
        bucket_counts=counts, explicit_bounds=BOUNDS)
    attribute(point.attributes, "http.route", route)
    attribute(point.attributes, "http.request.method", "GET")
    return made


def documented(title):
    """The rules of a chapter of docs/rules.md."""
    text = (ROOT / "docs/rules.md").read_text(encoding="utf-8").split(f"\n## {title}\n", 1)[1]
    return re.search(r"^```json\n(.*?)^```$", text, re.M | re.S).group(1)


def buckets(spans, deltas):
    """A native histogram's counts by the buckets' numbers, without empty ones."""
    found, index, count, deltas = {}, 0, 0, iter(deltas)
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            count += next(deltas)
            found[index] = count
            index += 1
    return {index: count for index, count in found.items() if count}


class Page(TestCase):
    def test_formats(self):
        """Each type, in text, OpenMetrics and protobuf, by the official parsers and promtool: the
        same samples; the native histogram to its last bucket."""
        with OTLP() as sidecar:
            for temporality in (DELTA, CUMULATIVE):
                made = every_type(temporality)
                if temporality == CUMULATIVE:
                    # As series of their own.
                    for metric in made.resource_metrics[0].scope_metrics[0].metrics:
                        metric.name += ".kept"
                for _ in range(2):
                    self.assertEqual(sidecar.post(made.SerializeToString())[2], b"")
            text = sidecar.page()
            families = {family.name: family for family in parse_text(text)}
            for suffix in ("", "_kept"):
                self.assertEqual(
                    [families[name].type for name in (
                        f"jobs{suffix}", f"size{suffix}_bytes", f"wait{suffix}_seconds",
                        f"level{suffix}_ratio", f"age{suffix}_seconds", "target_info")],
                    ["counter", "histogram", "histogram", "gauge", "gauge", "gauge"])
            self.assertEqual(families["size_bytes"].documentation, "Sizes | of\nall")
            labels = families["jobs"].samples[0].labels
            self.assertEqual(labels, {
                "queue": "a\"b\\c\nd", "flag": "true", "number": "-7", "ratio": "0.5",
                "raw": "AP8=", "list": '["x"]', "map": '{"k":"v"}'})
            plain = without_time(samples_of_text(families.values()))
            openly = parse_open(sidecar.get(accept=OPEN)[1].decode())
            self.assertEqual(without_time(samples_of_text(openly)), plain)
            found = parse_protobuf(sidecar.get(accept=PROTO)[1])
            self.assertEqual(without_time(samples_of_protobuf(found)), plain)
            by_name = {family.name: family for family in found}
            for name in ("size_bytes", "size_kept_bytes"):
                self.assertEqual(by_name[name].type, HISTOGRAM)
                native = by_name[name].metric[0].histogram
                self.assertEqual((native.schema, native.sample_count, native.zero_count), (3, 9, 1))
                # OTLP's bucket -2 begins where Prometheus' bucket -1 does: at base to the -2.
                self.assertEqual(buckets(native.positive_span, native.positive_delta),
                                 {-1: 1, 1: 4})
                self.assertEqual(buckets(native.negative_span, native.negative_delta), {2: 3})
            exemplar = by_name["jobs_total"].metric[0].counter.exemplar
            self.assertEqual({pair.name: pair.value for pair in exemplar.label},
                             {"span_id": "01" * 8, "trace_id": "02" * 16})
            try:
                run = subprocess.run(["promtool", "check", "metrics"], input=text,
                                     capture_output=True, text=True, check=False)
            except FileNotFoundError:
                missing("promtool is not installed")
            self.assertEqual([line for line in run.stderr.splitlines()
                              if re.match("error", line)], [])

    def test_prometheus(self):
        """Debian's Prometheus scrapes it, with native histograms: values, types, quantiles."""
        with OTLP() as sidecar:
            sidecar.post(every_type().SerializeToString())
            sidecar.post(durations([0, 0, 0, 10] + [0] * 11).SerializeToString())
            with Prometheus(sidecar.metrics, sidecar.folder,
                            "--enable-feature=native-histograms") as prometheus:
                wait_for(lambda: prometheus.value("jobs_total") == 5, "its first scrape")
                self.assertEqual(prometheus.value("histogram_count(size_bytes)"), 9)
                self.assertEqual(prometheus.value("histogram_sum(size_bytes)"), 20)
                self.assertEqual(prometheus.value(
                    "http_server_request_duration_seconds_bucket{le='0.05'}"), 10)
                self.assertEqual(prometheus.value("level_ratio"), 0.5)
                self.assertEqual(prometheus.query("target_info")[0][0]["service_name"], "shop")
                half = prometheus.value("histogram_quantile(0.5, size_bytes)")
                self.assertTrue(-3 < half < 1.2, half)

    def test_types_of_sums(self):
        """Sums that rise, sums that do not, by temporality; up-down counters of several workers
        are their sum, and stay so over a kill."""
        with OTLP() as sidecar:
            def send(**fields):
                self.assertEqual(sidecar.post(request(**fields).SerializeToString())[2], b"")

            for instance, value in (("a", 3), ("b", 2)):
                send(value=value, name="in.use", monotonic=False, instance=instance)
                send(value=value, name="moved", monotonic=False, temporality=DELTA,
                     instance=instance)
                send(value=7, name="system.boots", instance=instance, start=value, time=9)
                send(value=value, name="done", instance=instance, start=value, time=9)
            expected = {"in_use": 5, "moved": 5, "system_boots_total": 7, "done_total": 5}
            sidecar.expect(expected)
            sidecar.restart()
            sidecar.expect(expected)
            send(value=0, name="in.use", monotonic=False, instance="a", time=3)
            send(value=-5, name="moved", monotonic=False, temporality=DELTA, time=3)
            sidecar.expect({**expected, "in_use": 2, "moved": 0})
            send(value=0, name="in.use", monotonic=False, instance="b", time=3)
            sidecar.expect({"in_use": 0})
            for family in ("in_use", "moved", "system_boots_total"):
                self.assertIn(f"# TYPE {family} gauge", sidecar.page())

    def test_silent(self):
        """A worker that died leaves an up-down counter after its rule's window."""
        rules = {"families": [{
            "name": "in_use", "type": "gauge", "merge": "livesum", "window": "1s",
            "events": [{"event": "in.use"}]}]}
        with OTLP(rules=json.dumps(rules)) as sidecar:
            for instance in ("a", "b"):
                sidecar.post(request(3, name="in.use", monotonic=False,
                                     instance=instance).SerializeToString())
            sidecar.expect({"in_use": 6})

            def living():
                sidecar.post(request(3, name="in.use", monotonic=False, instance="a",
                                     time=5).SerializeToString())
                return sidecar.values()["in_use"] == 3

            wait_for(living, "the silent worker's part to end", 10)

    def test_greatest(self):
        """A total that all workers observe counts once where a rule says "max"."""
        rules = {"families": [{
            "name": "disk_reads", "type": "gauge", "merge": "max",
            "events": [{"event": "disk.reads"}]}]}
        with OTLP(rules=json.dumps(rules)) as sidecar:
            for instance, value in (("a", 7), ("b", 9), ("c", 8)):
                self.assertEqual(sidecar.post(request(
                    value, name="disk.reads", instance=instance, start=value, time=20)
                    .SerializeToString())[2], b"")
            sidecar.expect({"disk_reads": 9})
            self.assertEqual(sidecar.reasons(), {})

    def test_declared(self):
        """A client of lines may declare a native histogram, too."""
        with OTLP() as sidecar:
            Wire(sidecar).send(frame("_family|wait|native|Time until served", "wait:3|d",
                                     "wait:0.2:0|d"))
            sidecar.expect({"wait_count": 3})
            found = {family.name: family for family in parse_protobuf(
                sidecar.get(accept=PROTO)[1])}["wait"]
            self.assertEqual((found.help, found.metric[0].histogram.zero_count,
                              len(found.metric[0].histogram.positive_delta)),
                             ("Time until served", 1, 2))

    def test_rules(self):
        """The document's rules: http.server.request.duration with its own buckets, and native."""
        with OTLP(rules=documented("Metrics of OpenTelemetry")) as sidecar:
            counts = [1, 1, 0, 0, 0, 2, 0, 3, 0, 1, 0, 4, 0, 0, 1]
            for temporality in (CUMULATIVE, DELTA):
                self.assertEqual(sidecar.post(durations(
                    counts, temporality=temporality).SerializeToString())[2], b"")
            values = sidecar.expect({
                'request_seconds_bucket{route="/pay",le="0.1"}': 8,
                'request_seconds_bucket{route="/pay",le="0.5"}': 14,
                'request_seconds_bucket{route="/pay",le="1.0"}': 16,
                'request_seconds_bucket{route="/pay",le="5.0"}': 24,
                'request_seconds_bucket{route="/pay",le="+Inf"}': 26,
                'request_seconds_count{route="/pay"}': 26,
                'request_native_seconds_count{route="/pay"}': 26})
            self.assertFalse([name for name in values if name.startswith("http_server")])
            self.assertEqual(sidecar.reasons(), {})
            found = {family.name: family for family in parse_protobuf(
                sidecar.get(accept=PROTO)[1])}["request_native_seconds"].metric[0].histogram
            self.assertEqual(found.sample_count, 26)
            self.assertGreater(len(found.positive_delta), 5)

    def test_labels(self):
        """Resource attributes as labels where they are asked for, scopes too; none otherwise."""
        made = request(3, instance="a")
        attribute(made.resource_metrics[0].resource.attributes, "service.namespace", "prod")
        attribute(made.resource_metrics[0].resource.attributes, "process.pid", "7")
        made.resource_metrics[0].scope_metrics[0].scope.name = "lib"
        made.resource_metrics[0].scope_metrics[0].scope.version = "2"
        info = 'target_info{service_name="shop",service_namespace="prod"}'
        for flags, expected in (
                ((), "jobs_total"),
                (("--otlp-resource-labels", "service.namespace"),
                 'jobs_total{service_namespace="prod"}'),
                (("--otlp-scope-labels",),
                 'jobs_total{otel_scope_name="lib",otel_scope_version="2"}')):
            with OTLP(*flags) as sidecar:
                self.assertEqual(sidecar.post(made.SerializeToString())[2], b"")
                values = sidecar.expect({expected: 3, info: 1})
                self.assertEqual(len([name for name in values
                                      if name.startswith(("jobs", "target"))]), 2)

    def test_names(self):
        """Names, units and labels as Prometheus' own endpoint has them."""
        rows = [("http.server.request.duration", "s", "http_server_request_duration_seconds"),
                ("network.io", "By/s", "network_io_bytes_per_second"),
                ("cpu.utilization", "1", "cpu_utilization_ratio"),
                ("2xx", "{request}", "_2xx"), ("a..b", "kBy", "a_b_kilobytes"),
                ("mem_bytes", "By", "mem_bytes"), ("temp", "Cel", "temp_celsius")]
        utf8 = "text/plain;version=1.0.0;escaping=allow-utf-8"
        with OTLP("--utf8-names") as sidecar:
            made = ExportMetricsServiceRequest()
            metrics = resource(made)
            for name, unit, _ in rows:
                metrics.add(name=name, unit=unit).gauge.data_points.add(
                    time_unix_nano=2, as_int=1)
            point = metrics.add(name="labels").gauge.data_points.add(time_unix_nano=2, as_int=1)
            for key, value in (("a.b", "1"), ("a_b", "2"), ("9", "3"), ("_x", "4")):
                attribute(point.attributes, key, value)
            self.assertEqual(sidecar.post(made.SerializeToString())[2], b"")
            sidecar.expect({name: 1 for _, _, name in rows})
            found = [line for line in sidecar.page().splitlines() if line.startswith("labels{")]
            self.assertEqual(len(found), 1)
            self.assertIn('a_b="1;2"', found[0])
            self.assertIn('key_9="3"', found[0])
            self.assertTrue('\n{"http.server.request.duration_seconds"} 1'
                            in sidecar.get(accept=utf8)[1].decode())


if __name__ == "__main__":
    main()
