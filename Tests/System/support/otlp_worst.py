"""Requests of OTLP that take longest: each is as long as the longest body may be, or brings as many
points as one may."""
import gzip
import http.client
import itertools
import json
import struct

from support.checks import check
from support.push_bodies import field, varint

MIB = 1 << 20
MOST_POINTS = 65_536
CUMULATIVE = b"\x10\x02"
DELTA = b"\x10\x01"
TIMES = b"\x11" + struct.pack("<Q", 1) + b"\x19" + struct.pack("<Q", 2)


def attribute(key, value):
    return field(1, key) + field(2, field(1, value))


def number(value, *attributes, times=TIMES):
    point = times + b"\x31" + struct.pack("<q", value)
    return point + b"".join(field(7, each) for each in attributes)


def points(point, size=4 * MIB - 1000, most=MOST_POINTS):
    """As many as fit: `point(number)` makes each."""
    made = []
    for each in range(most):
        content = field(1, point(each))
        size -= len(content)
        if size < 0:
            break
        made.append(content)
    return b"".join(made)


def metric(kind, content, name=b"worst", unit=b"s"):
    return field(2, field(1, name) + field(3, unit) + field(kind, content))


def whole(metrics, resource=attribute(b"service.name", b"shop")):
    return field(1, field(1, field(1, resource)) + field(2, metrics))


def numbers(kind, point, temporality=CUMULATIVE):
    return lambda: whole(metric(kind, points(point) + temporality + b"\x18\x01"))


def short(each):
    return number(1, attribute(b"k", b"%05d" % each))


def histogram(each, bounds=10):
    return (TIMES + b"\x21" + struct.pack("<Q", bounds + 1) + b"\x29" + struct.pack("<d", 1)
            + field(6, struct.pack(f"<{bounds + 1}Q", *[1] * (bounds + 1)))
            + field(7, struct.pack(f"<{bounds}d", *range(bounds)))
            + field(9, attribute(b"k", b"%05d" % each)))


def exponential(each, buckets=320):
    return (field(1, attribute(b"k", b"%05d" % each)) + TIMES
            + b"\x21" + struct.pack("<Q", buckets) + b"\x29" + struct.pack("<d", 1) + b"\x30\x06"
            + field(8, b"\x08\x02" + field(2, b"\1" * buckets)))


def summary(each):
    return (TIMES + b"\x21" + struct.pack("<Q", 1) + b"\x29" + struct.pack("<d", 1)
            + b"".join(field(6, b"\x09" + struct.pack("<d", at / 32) + b"\x11"
                             + struct.pack("<d", at)) for at in range(32))
            + field(7, attribute(b"k", b"%05d" % each)))


def many(part, size=4 * MIB - 1000):
    """As many resources or metrics as fit."""
    made = []
    for each in itertools.count():
        made.append(part(each))
        size -= len(made[-1])
        if size < 0:
            return b"".join(made[:-1])


def in_json():
    made = [{"attributes": [{"key": "k", "value": {"stringValue": str(each)}}], "asInt": "1",
             "startTimeUnixNano": "1", "timeUnixNano": "2"} for each in range(30_000)]
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "worst", "sum": {"aggregationTemporality": 2, "isMonotonic": True,
                                  "dataPoints": made}}]}]}]}, separators=(",", ":")).encode()


BODIES = {
    "new counters": numbers(7, short),
    "new counters of deltas": numbers(7, short, DELTA),
    "new gauges": numbers(5, short),
    "new sums of gauges": lambda: whole(metric(7, points(short) + CUMULATIVE)),
    "new streams of one series": numbers(7, lambda each: number(
        1, times=b"\x11" + struct.pack("<Q", each + 1) + b"\x19" + struct.pack("<Q", 1 << 60))),
    "30 attributes": numbers(7, lambda each: number(1, *[
        attribute(b"k%d" % at, b"%d" % each) for at in range(30)])),
    "names with odd bytes": numbers(7, lambda each: number(1, *[
        attribute(b"k.\xc3\xa9%d" % at, b"\"%d\\" % each) for at in range(5)])),
    "long values": numbers(7, lambda each: number(1, attribute(b"k", b"%01000d" % each))),
    "histograms": lambda: whole(metric(9, points(histogram) + CUMULATIVE)),
    "histograms of deltas": lambda: whole(metric(9, points(histogram) + DELTA)),
    "exponential histograms": lambda: whole(metric(10, points(exponential) + CUMULATIVE)),
    "exponential histograms of deltas": lambda: whole(metric(10, points(exponential) + DELTA)),
    "summaries": lambda: whole(metric(11, points(summary))),
    "metrics": lambda: whole(many(lambda each: metric(
        7, field(1, number(1)) + CUMULATIVE + b"\x18\x01", b"m%d" % each))),
    "resources": lambda: many(lambda each: whole(
        metric(7, field(1, number(1)) + CUMULATIVE + b"\x18\x01"),
        attribute(b"service.name", b"s%d" % each))),
    "workers": lambda: many(lambda each: field(1, field(1, field(
        1, attribute(b"service.name", b"shop")) + field(1, attribute(
            b"service.instance.id", b"%d" % each))) + field(2, metric(
                7, field(1, number(1)) + CUMULATIVE + b"\x18\x01")))),
    "refused points": numbers(7, lambda each: number(1, times=b"\x11" + bytes(8))),
}


def posted(port, body, kind="application/x-protobuf", **fields):
    """Posts it; several one after the other."""
    def act(_):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for content in body if isinstance(body, list) else [body]:
            connection.request("POST", "/v1/metrics", content, {"Content-Type": kind, **fields})
            answer = connection.getresponse()
            check(answer.read() is not None and answer.status in (200, 413, 503), answer.status)
        connection.close()
    return act


def requests(port):
    """Names, and what posts each: once, and again where all of it is known or refused."""
    for name, body in BODIES.items():
        body = body()
        yield name, posted(port, body)
        yield name + ", again", posted(port, [body, body + b"\x12\0"])
    counters = BODIES["new counters"]()
    yield "gzip", posted(port, gzip.compress(counters), **{"Content-Encoding": "gzip"})
    yield "JSON", posted(port, in_json(), "application/json")
    yield "JSON, gzip", posted(
        port, gzip.compress(in_json()), "application/json", **{"Content-Encoding": "gzip"})
