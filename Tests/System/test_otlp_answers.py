#!/usr/bin/env python3
"""--otlp: each answer is as OTLP has it, in the request's encoding, and each refusal is shown where
people look.

    Tests/System/run otlp_answers
"""
import base64
import gzip
import http.client
import json
import select
import subprocess
from unittest import TestCase, main

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest)

from support.checks import awake, wait_for
from support.looking import command, rejected
from support.memory import taken
from support.otlp import (
    CUMULATIVE, DELTA, JSON, OTLP, PROTOBUF, attribute, every_type, part, partial, request,
    resource, whole)
from support.sidecar import Sidecar

# With what is unlike protobuf's own JSON: hex ids, numbers as text or not, enums as numbers.
BY_HAND = """{
  "resourceMetrics": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}],
                 "droppedAttributesCount": 0, "unknown": {"deep": [1, {"x": null}]}},
    "schemaUrl": "https://opentelemetry.io/schemas/1.30.0",
    "scopeMetrics": [{
      "scope": {"name": "hand", "version": "1"},
      "metrics": [
        {"name": "orders", "unit": "{order}", "description": "Orders \\u00fc", "metadata": [],
         "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
           {"attributes": [{"key": "kind", "value": {"stringValue": "w\\"eb"}},
                           {"key": "paid", "value": {"boolValue": true}},
                           {"key": "size", "value": {"intValue": "12"}},
                           {"key": "rank", "value": {"intValue": 3}},
                           {"key": "part", "value": {"doubleValue": 0.5}}],
            "startTimeUnixNano": "1700000000000000000", "timeUnixNano": 1700000001000000000,
            "asInt": "3", "exemplars": [
              {"timeUnixNano": "1700000001000000000", "asDouble": 1.0,
               "spanId": "00F0000000000001", "traceId": "5b8efff798038103d269b633813fc60c",
               "filteredAttributes": [{"key": "user", "value": {"stringValue": "secret"}}]}]}]}},
        {"name": "load", "unit": "1",
         "gauge": {"dataPoints": [{"timeUnixNano": "1700000001000000000", "asDouble": 0.25}]}},
        {"name": "wait", "unit": "ms",
         "histogram": {"aggregationTemporality": 2, "dataPoints": [
           {"startTimeUnixNano": "1700000000000000000", "timeUnixNano": "1700000001000000000",
            "count": "3", "sum": 7.5, "bucketCounts": ["1", 2], "explicitBounds": [2.5],
            "min": 1, "max": 4}]}}]}]}]
}"""
BY_HAND_VALUES = {
    'orders_total{kind="w\\"eb",paid="true",part="0.5",rank="3",size="12"}': 3,
    "load_ratio": 0.25, 'wait_milliseconds_bucket{le="2.5"}': 1, "wait_milliseconds_count": 3,
    "wait_milliseconds_sum": 7.5, 'target_info{service_name="shop"}': 1}

# Each row of the specification's table of HTTP answers, and what it says of bad paths and bodies.
BAD = [
    ("a body that is no protobuf", 400, dict(body=b"\x0a\xff")),
    ("a body that is no JSON", 400, dict(body="{", kind=JSON)),
    ("JSON of another shape", 400, dict(body='{"resourceMetrics":[7]}', kind=JSON)),
    ("a trace id that is no hex", 400, dict(
        body=BY_HAND.replace("5b8efff7", "5b8efff_"), kind=JSON)),
    ("a body that is not gzip", 400, dict(body=b"x", Content_Encoding="gzip")),
    ("gzip that is cut", 400, dict(
        body=gzip.compress(b"\0" * 100)[:-9], Content_Encoding="gzip")),
    ("traces", 404, dict(body=b"", path="/v1/traces")),
    ("logs", 404, dict(body="{}", kind=JSON, path="/v1/logs")),
    ("profiles", 404, dict(body=b"", path="/v1development/profiles")),
    ("another path", 404, dict(body=b"", path="/")),
    ("another method", 405, dict(body=b"", method="PUT")),
    ("a long body", 413, dict(body=b"\0" * ((4 << 20) + 1))),
    ("a body that is long once decompressed", 413, dict(
        body=gzip.compress(b"\0" * ((4 << 20) + 1)), Content_Encoding="gzip")),
    ("another media type", 415, dict(body="{}", kind="text/plain")),
    ("another compression", 415, dict(body="{}", kind=JSON, Content_Encoding="br")),
]


def sum_of(**fields):
    """A delta whose one point has other fields than it should."""
    made = request(1, temporality=DELTA)
    point = made.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    for name, value in fields.items():
        setattr(point, name, value)
    return made


def metric_of(name, **fields):
    made = ExportMetricsServiceRequest()
    resource(made).add(name=name, **fields)
    return made


def histogram_of(**fields):
    point = {"time_unix_nano": 2, "count": 1, "sum": 1, "bucket_counts": [1, 0],
             "explicit_bounds": [1], **fields}
    return metric_of("jobs", histogram={"aggregation_temporality": DELTA, "data_points": [point]})


def exponential_of(**fields):
    point = {"time_unix_nano": 2, "count": 1, "sum": 1,
             "positive": {"bucket_counts": [1]}, **fields}
    return metric_of("jobs", exponential_histogram={
        "aggregation_temporality": DELTA, "data_points": [point]})


# What is refused of a request that is sound, point by point: reason and words of the answer.
REFUSED = [
    ("bad_point", "time", sum_of(time_unix_nano=0)),
    ("bad_point", "value", metric_of("jobs", sum={
        "aggregation_temporality": DELTA, "is_monotonic": True,
        "data_points": [{"time_unix_nano": 1}]})),
    ("bad_point", "value", sum_of(as_int=-1)),
    ("bad_point", "value", sum_of(as_double=float("nan"))),
    ("no_temporality", "temporality", request(1, temporality=0)),
    ("bad_name", "name", metric_of("...", gauge={
        "data_points": [{"time_unix_nano": 2, "as_int": 1}]})),
    ("bad_name", "name", request(1, name="")),
    ("bad_point", "numbers", histogram_of(bucket_counts=[1])),
    ("bad_point", "numbers", histogram_of(count=2)),
    ("bad_point", "numbers", histogram_of(bucket_counts=[1, 0, 0], explicit_bounds=[2, 1])),
    ("bad_point", "numbers", histogram_of(explicit_bounds=[float("nan")])),
    ("bad_point", "numbers", exponential_of(scale=-5)),
    ("bad_point", "numbers", exponential_of(count=2)),
    ("reserved_label", "le", histogram_of(attributes=[
        {"key": "le", "value": {"string_value": "1"}}])),
    ("too_many_labels", "--max-labels", request(1, **{f"a{i}": "x" for i in range(40)})),
    ("name_too_long", "--max-name-length", request(1, name="n" * 300)),
    ("label_value_too_long", "--max-label-value-length", request(1, kind="v" * 1100)),
    ("type_conflict", "taken_total", metric_of("taken.total", gauge={
        "data_points": [{"time_unix_nano": 2, "as_int": 1}]})),
    ("declaration_conflict", "buckets", metric_of("kept", histogram={
        "aggregation_temporality": DELTA, "data_points": [
            {"time_unix_nano": 2, "count": 1, "bucket_counts": [1, 0, 0],
             "explicit_bounds": [1, 3]}]})),
]


def told(answer):
    """Code and message of a `google.rpc.Status`, in either encoding."""
    _, fields, body = answer
    if fields["Content-Type"] == JSON:
        found = json.loads(body)
        return found["code"], found["message"]
    # 1: code, a varint of one byte; 2: message.
    assert body[0] == 8 and body[2] == 18, body
    length, start = body[3], 4
    if length >= 128:
        length, start = length & 127 | body[4] << 7, 5
    assert len(body) == start + length, body
    return body[1], body[start:].decode()


class Answers(TestCase):
    def test_success(self):
        """Full success: an empty response, in the request's encoding; also for nothing at all."""
        with OTLP() as sidecar:
            for body in (request(5).SerializeToString(), b""):
                status, fields, answer = sidecar.post(body)
                self.assertEqual((status, answer, fields["Content-Type"]), (200, b"", PROTOBUF))
            for kind in (JSON, JSON + "; charset=utf-8", "Application/JSON ;x=y"):
                for body in (BY_HAND, "{}"):
                    status, fields, answer = sidecar.post(body, kind)
                    self.assertEqual((status, answer, fields["Content-Type"]), (200, b"{}", JSON))
            zipped = gzip.compress(request(6, start=9, time=10).SerializeToString())
            self.assertEqual(sidecar.post(zipped, Content_Encoding="gzip")[0], 200)
            self.assertEqual(sidecar.post(b"", Content_Encoding="identity")[0], 200)
            sidecar.expect({"jobs_total": 11, **BY_HAND_VALUES})
            body = sidecar.get(accept="application/openmetrics-text;version=1.0.0")[1].decode()
            self.assertIn('# {span_id="00f0000000000001",'
                          'trace_id="5b8efff798038103d269b633813fc60c"} 1', body)
            self.assertNotIn("secret", body)
            self.assertIn("# HELP orders_total Orders ü", sidecar.page())

    def test_json(self):
        """JSON says the same as protobuf, of each type, in its own library's words."""
        made = every_type(CUMULATIVE)
        text = json.loads(json_format.MessageToJson(made, use_integers_for_enums=True))

        def hexed(value):
            """Ids are hexadecimal in OTLP and base64 in protobuf's JSON."""
            if isinstance(value, dict):
                return {key: base64.b64decode(each).hex() if key in ("traceId", "spanId")
                        else hexed(each) for key, each in value.items()}
            return [hexed(each) for each in value] if isinstance(value, list) else value

        pages = []
        for body, kind in ((made.SerializeToString(), PROTOBUF),
                           (json.dumps(hexed(text)), JSON),
                           (json.dumps(hexed(text), indent=1, ensure_ascii=False), JSON)):
            with OTLP() as sidecar:
                for _ in range(2):
                    self.assertEqual(sidecar.post(body.encode() if kind == JSON else body,
                                                  kind)[0], 200)
                pages.append([line for line in sidecar.page().splitlines()
                              if "metrics_sidecar" not in line and "process_" not in line])
        self.assertGreater(len(pages[0]), 20)
        self.assertEqual(pages[0], pages[1])
        self.assertEqual(pages[0], pages[2])

    def test_refused(self):
        """Whole requests that are refused: status, google.rpc.Status in the request's encoding,
        never Retry-After, and nothing of them counts."""
        with OTLP() as sidecar:
            before = rejected(sidecar)["rejected"]
            for what, status, fields in BAD:
                with self.subTest(what):
                    answer = sidecar.post(**fields)
                    self.assertEqual(answer[0], status, answer[2])
                    self.assertNotIn("Retry-After", answer[1])
                    if what == "a long body":
                        # Before it is known what it is: as problem+json.
                        before += 1
                        self.assertEqual(rejected(sidecar)["rejected"], before)
                        continue
                    kind = fields.get("kind", PROTOBUF)
                    self.assertEqual(answer[1]["Content-Type"],
                                     kind if kind in (JSON, PROTOBUF) else JSON)
                    code, message = told(answer)
                    self.assertEqual(code, {404: 5}.get(status, 3))
                    self.assertGreater(len(message), 8)
                    shown = rejected(sidecar)
                    self.assertEqual(shown["rejected"], before + 1, what)
                    self.assertEqual((shown["lines"][0]["socket"], shown["lines"][0]["line"]),
                                     ("otlp", message))
                    before += 1
            for path, variable in (("traces", "OTEL_TRACES_EXPORTER=none"),
                                   ("logs", "OTEL_LOGS_EXPORTER=none")):
                for kind, body in ((PROTOBUF, b""), (JSON, "{}")):
                    self.assertIn(variable, told(sidecar.post(body, kind, "/v1/" + path))[1])
            answer = sidecar.post(b"", method="GET")
            self.assertEqual((answer[0], answer[1]["Allow"]), (405, "POST"))
            self.assertFalse([name for name in sidecar.values() if name.startswith(
                ("orders_total", "target_info"))])

    def test_partial(self):
        """Points that are refused: how many, the metric's name and why, on the page, under
        /api/v1/rejected and in tail; the others count."""
        with OTLP() as sidecar:
            ready = request(1, name="taken", temporality=DELTA)
            ready.resource_metrics[0].scope_metrics[0].metrics.extend(
                histogram_of().resource_metrics[0].scope_metrics[0].metrics)
            ready.resource_metrics[0].scope_metrics[0].metrics[1].name = "kept"
            self.assertEqual(partial(sidecar.post(ready.SerializeToString())), (0, ""))
            with subprocess.Popen(command(sidecar, "tail", "--rejected"), text=True,
                                  stdout=subprocess.PIPE) as tail:
                for count, (reason, words, made) in enumerate(REFUSED):
                    metric = made.resource_metrics[0].scope_metrics[0].metrics[0]
                    with self.subTest(reason, name=metric.name[:20], number=count):
                        made.MergeFrom(request(1, name="good", temporality=DELTA,
                                               start=count + 1, time=count + 2))
                        before = sidecar.reasons().get(reason, 0)
                        refused, message = partial(sidecar.post(made.SerializeToString()))
                        self.assertEqual(refused, 1, message)
                        self.assertTrue(message.startswith(metric.name[:64]), message)
                        self.assertIn(words, message)
                        self.assertEqual(sidecar.reasons().get(reason), before + 1)
                        shown = rejected(sidecar)
                        line = shown["lines"][0]
                        self.assertEqual((line["reason"], line["socket"], line["line"]),
                                         (reason, "otlp", metric.name[:256]))
                        meaning = [each["meaning"] for each in shown["reasons"]
                                   if each["reason"] == reason]
                        self.assertGreater(len(meaning[0]), 20, reason)
                        if metric.name:
                            while metric.name[:40] not in (text := tail.stdout.readline()):
                                self.assertTrue(text)
                            self.assertIn("otlp", text)
                        sidecar.expect({"good_total": count + 1})
                tail.terminate()
                tail.wait()

    def test_followed(self):
        """tail shows each point that counts, by its metric's name."""
        with OTLP() as sidecar, subprocess.Popen(
                command(sidecar, "tail"), text=True, stdout=subprocess.PIPE) as tail:
            for value in range(1, 100):
                sidecar.post(request(value, time=value + 1, name="seen").SerializeToString())
                if select.select([tail.stdout], [], [], 0.1)[0]:
                    break
            tail.terminate()
            self.assertIn(" otlp ok seen\n", tail.stdout.read())

    def test_json_partial(self):
        """The same in JSON, with the number as text and the message escaped."""
        with OTLP() as sidecar:
            text = BY_HAND.replace('"name": "load"', '"name": "lo\\"ad\\n"').replace(
                '"asDouble": 0.25', '"asDouble": 0.25, "timeUnixNano": 0')
            status, _, body = sidecar.post(text, JSON)
            self.assertEqual(status, 200)
            found = json.loads(body)["partialSuccess"]
            self.assertEqual(found["rejectedDataPoints"], "1")
            self.assertTrue(found["errorMessage"].startswith('lo"ad\n: '), found)

    def test_conflicts(self):
        """A name or type that meets another family's: the answer names both."""
        with OTLP() as sidecar:
            sidecar.post(request(1, name="size").SerializeToString())
            refused, message = partial(sidecar.post(metric_of("size.total", gauge={
                "data_points": [{"time_unix_nano": 2, "as_int": 1}]}).SerializeToString()))
            self.assertEqual(refused, 1)
            self.assertIn("size.total", message)
            self.assertIn("size_total", message)

    def test_full(self):
        """No room in the state file: new series count in one that overflows; where even a request
        has no room, 503 with Retry-After: 1, nothing is kept, and it counts once when it has."""
        with OTLP("--state-size", "1MiB", "--max-series", "100000") as sidecar:
            known = request(1, name="known", instance="a").SerializeToString()
            self.assertEqual(sidecar.post(known)[0], 200)

            def many():
                return sum(value for name, value in sidecar.values().items()
                           if name.startswith("many_total{"))

            for batch in range(1000):
                made = ExportMetricsServiceRequest()
                points = resource(made).add(name="many").sum
                points.aggregation_temporality = DELTA
                points.is_monotonic = True
                for index in range(200):
                    point = points.data_points.add(time_unix_nano=1, as_int=1)
                    attribute(point.attributes, "n", f"{batch}-{index}" + "x" * 100)
                body = made.SerializeToString()
                answer = sidecar.post(body)
                if answer[0] != 200:
                    break
                self.assertEqual(partial(answer), (0, ""), batch)
            self.assertEqual((answer[0], answer[1]["Retry-After"]), (503, "1"))
            code, message = told(answer)
            self.assertEqual(code, 14)
            self.assertIn("state file", message)
            self.assertEqual(many(), batch * 200)
            self.assertGreater(sidecar.values()['many_total{overflow="true"}'], 0)
            self.assertEqual(sidecar.post(request(
                5, name="known", instance="a", time=3).SerializeToString())[0], 200)
            sidecar.expect({"known_total": 5})
            sidecar.flags = tuple(flag.replace("1MiB", "8MiB") for flag in sidecar.flags)
            sidecar.restart()
            for _ in range(2):
                self.assertEqual(partial(sidecar.post(body)), (0, ""))
            self.assertEqual(many(), 200 * (batch + 1))

    def test_unknown_fields(self):
        """Fields of a later version are skipped, wherever they stand."""
        with OTLP() as sidecar:
            more = part(100, b"later") + b"\xa8\x06\x01" + b"\xb1\x06" + b"\0" * 8
            made = request(4, temporality=DELTA)
            metric = made.resource_metrics[0].scope_metrics[0].metrics[0].SerializeToString()
            self.assertEqual(sidecar.post(more + whole(more + metric + more) + more)[0], 200)
            sidecar.expect({"jobs_total": 4})
            self.assertEqual(sidecar.reasons(), {})

    def test_rest(self):
        """At rest, with a client connected, it sleeps, and takes no more memory than without."""
        with Sidecar() as other, OTLP() as sidecar:
            connection = http.client.HTTPConnection("127.0.0.1", sidecar.otlp, timeout=20)
            connection.request("POST", "/v1/metrics", b"", {"Content-Type": PROTOBUF})
            self.assertEqual(connection.getresponse().read(), b"")
            other.page()
            more = taken(sidecar.process.pid) - taken(other.process.pid)
            woken, seconds = awake(sidecar.process.pid)
            connection.close()
            print(f"  {more / 1024:.0f} KiB more, woken {woken} times in {seconds:.0f} s",
                  flush=True)
            self.assertLess(more, 256 << 10)
            self.assertLess(woken, 10)

    def test_off(self):
        """Without --otlp nothing listens, and the page has no family of it."""
        with OTLP() as sidecar:
            self.assertIn("metrics_sidecar_otlp_streams", sidecar.values())
            wait_for(lambda: sidecar.post(b"")[0] == 200, "an answer")
            sidecar.flags = ()
            sidecar.restart()
            self.assertNotIn("otlp", sidecar.page())
            with self.assertRaises(ConnectionRefusedError):
                sidecar.post(b"")


if __name__ == "__main__":
    main()
