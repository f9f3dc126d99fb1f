"""A sidecar that takes OTLP, and requests for it: made by protobuf's own library, or byte by byte
where no library would."""
import http.client
import json
import socket

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest, ExportMetricsServiceResponse)

from support.checks import free_port, wait_for
from support.sidecar import Sidecar

PROTOBUF, JSON = "application/x-protobuf", "application/json"
DELTA, CUMULATIVE = 1, 2


class OTLP(Sidecar):
    """A sidecar that takes OTLP."""

    def __init__(self, *flags, **options):
        self.otlp = free_port()
        super().__init__("--otlp", f"localhost:{self.otlp}", *flags, **options)

    def post(self, body, kind=PROTOBUF, path="/v1/metrics", method="POST", timeout=30, **fields):
        """Status, fields and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.otlp, timeout=timeout)
        connection.request(method, path, body, {
            "Content-Type": kind,
            **{name.replace("_", "-"): value for name, value in fields.items()}})
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, response.headers, answer

    def begin(self, body, length):
        """A request that ends, with its connection, after so many bytes of its body."""
        with socket.create_connection(("127.0.0.1", self.otlp), timeout=5) as s:
            s.sendall(b"POST /v1/metrics HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                      b"application/x-protobuf\r\nContent-Length: %d\r\n\r\n" % len(body)
                      + body[:length])

    def restart(self):
        """Kills all of it and starts another one on the same state."""
        self.process.kill()
        self.process.wait()
        self.start()

    def reasons(self):
        """How many of each reason were refused, as its page has it."""
        values = self.values()
        return {name.split('"')[1]: value for name, value in values.items() if value
                and name.startswith("metrics_sidecar_events_rejected_total{")}


def attribute(attributes, key, value):
    """Adds one whose value is a text."""
    added = attributes.add()
    added.key, added.value.string_value = key, value


def resource(whole, instance=None, service="shop"):
    """The metrics of one more process."""
    added = whole.resource_metrics.add()
    attribute(added.resource.attributes, "service.name", service)
    if instance:
        attribute(added.resource.attributes, "service.instance.id", instance)
    return added.scope_metrics.add().metrics


def request(value=1, start=1, time=2, name="jobs", temporality=CUMULATIVE, instance=None,
            monotonic=True, **attributes):
    """One sum of one worker."""
    whole = ExportMetricsServiceRequest()
    metric = resource(whole, instance).add(name=name)
    metric.sum.aggregation_temporality = temporality
    metric.sum.is_monotonic = monotonic
    point = metric.sum.data_points.add(
        start_time_unix_nano=start, time_unix_nano=time, as_int=value)
    for key, text in attributes.items():
        attribute(point.attributes, key, text)
    return whole


def every_type(temporality=DELTA):
    """A metric of each type, with attributes of each type and an exemplar."""
    whole = request(5, temporality=temporality, queue="a\"b\\c\nd")
    metrics = whole.resource_metrics[0].scope_metrics[0].metrics
    point = metrics[0].sum.data_points[0]
    values = [("flag", dict(bool_value=True)), ("number", dict(int_value=-7)),
              ("ratio", dict(double_value=0.5)), ("raw", dict(bytes_value=b"\0\xff"))]
    for key, value in values:
        added = point.attributes.add(key=key)
        for field, content in value.items():
            setattr(added.value, field, content)
    point.attributes.add(key="list").value.array_value.values.add(string_value="x")
    attribute(point.attributes.add(key="map").value.kvlist_value.values, "k", "v")
    exemplar = point.exemplars.add(time_unix_nano=2, as_int=1, span_id=b"\1" * 8,
                                   trace_id=b"\2" * 16)
    attribute(exemplar.filtered_attributes, "secret", "left out")

    metric = metrics.add(name="size", unit="By", description="Sizes | of\nall")
    metric.exponential_histogram.aggregation_temporality = temporality
    point = metric.exponential_histogram.data_points.add(
        start_time_unix_nano=1, time_unix_nano=2, count=9, sum=20, scale=3, zero_count=1,
        zero_threshold=0.001)
    point.positive.offset = -2
    point.positive.bucket_counts.extend([1, 0, 4])
    point.negative.offset = 1
    point.negative.bucket_counts.extend([3])

    metric = metrics.add(name="wait", unit="s")
    metric.histogram.aggregation_temporality = temporality
    metric.histogram.data_points.add(
        start_time_unix_nano=1, time_unix_nano=2, count=3, sum=2.5, bucket_counts=[1, 2],
        explicit_bounds=[0.5])

    metric = metrics.add(name="level", unit="1")
    metric.gauge.data_points.add(time_unix_nano=2, as_double=0.5)

    point = metrics.add(name="age", unit="s").summary.data_points.add(
        start_time_unix_nano=1, time_unix_nano=2, count=4, sum=10)
    point.quantile_values.add(quantile=0.5, value=2)
    return whole


def partial(answer):
    """Rejected points and message of an answer of 200, in either encoding."""
    status, fields, body = answer
    assert status == 200, (status, body)
    if fields["Content-Type"] == JSON:
        found = json.loads(body).get("partialSuccess", {})
        return int(found.get("rejectedDataPoints", 0)), found.get("errorMessage", "")
    found = ExportMetricsServiceResponse.FromString(body).partial_success
    return found.rejected_data_points, found.error_message


def varint(number):
    """The shortest varint of a number below 2 to the 64."""
    text = b""
    while number >= 0x80:
        text += bytes([number & 0x7f | 0x80])
        number >>= 7
    return text + bytes([number])


def part(number, content):
    """A field with a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(field, value):
    """A field that is a varint."""
    return varint(field << 3) + varint(value & (1 << 64) - 1)


def fixed(field, value):
    """A field of eight bytes."""
    return varint(field << 3 | 1) + (value & (1 << 64) - 1).to_bytes(8, "little")


def whole(metric):
    """A request of one metric's bytes."""
    return part(1, part(2, part(2, metric)))


def ready(sidecar):
    """Waits until it answers a request."""
    wait_for(lambda: sidecar.post(b"")[0] == 200, "an answer")
