#!/usr/bin/env python3
"""--otlp beside clients that send what no SDK would: no crash, no growth, no wrong count, and each
refusal has a reason.

    Tests/System/run otlp_attacks [SEED=1] [BENT=3000]
"""
import gzip
import struct
import time
from unittest import TestCase, main

from support import dice, setting
from support.checks import wait_for
from support.looking import rejected
from support.memory import taken
from support.otlp import (
    CUMULATIVE, DELTA, JSON, OTLP, every_type, fixed, number, part, ready, request, varint, whole)

BENT = setting("BENT", 3000)
MIB = 1 << 20
# As long as the longest body may be, with what is around it.
LONG = 4 * MIB - 4096

NAME = part(1, b"hostile")
DELTA_SUM = number(2, DELTA) + number(3, 1)


def text(key, value=b"x"):
    """A KeyValue."""
    return part(1, key) + part(2, part(1, value))


def sum_of(point):
    """A request of one delta sum with this point's bytes."""
    return whole(NAME + part(7, part(1, point) + DELTA_SUM))


def histogram_of(point):
    return whole(NAME + part(9, part(1, point) + number(2, DELTA)))


def exponential_of(point):
    return whole(NAME + part(10, part(1, point) + number(2, DELTA)))


def nested(depth, around, inside):
    """`inside` within so many messages; lengths grow from the inside."""
    parts, length = [], len(inside)
    for _ in range(depth):
        for tag in around:
            parts.append(tag + varint(length))
            length += len(parts[-1])
    return b"".join(reversed(parts)) + inside


TIMES = fixed(2, 1) + fixed(3, 2)
POINT = TIMES + fixed(6, 3)
COUNTED = TIMES + fixed(4, 3) + fixed(5, 0)
ENDLESS = b"\xff" * 9 + b"\x01"
BUCKETS = LONG // 2

# Name, body, what may be answered. 200 is followed by a look at what was refused.
HOSTILE = [
    ("a varint of eleven bytes", sum_of(POINT)[:-1] + b"\xff" * 11, {400}),
    ("a length of 2 to the 64 - 1", b"\x0a" + ENDLESS, {400}),
    ("a length of 2 to the 63", b"\x0a" + varint(1 << 63), {400}),
    ("a length of 2 to the 32", b"\x0a" + varint(1 << 32), {400}),
    ("a length that wraps with its place", part(1, b"\x12" + varint((1 << 64) - 3)), {400}),
    ("a field of number 0", b"\x02\x00" + request().SerializeToString(), {400}),
    ("a field of number 2 to the 29", varint(1 << 32 | 2) + b"\x00", {200, 400}),
    ("a group that does not end", b"\x0b" * 100_000, {400}),
    ("groups in groups", b"\x0b" * 1000 + b"\x0c" * 1000, {200, 400}),
    ("types 6 and 7", b"\x0e\x0f", {400}),
    ("attributes in attributes, lists",
     sum_of(POINT + part(7, part(1, b"k") + part(2, nested(
         100_000, [b"\x0a", b"\x2a"], b"")))), {200, 400}),
    ("attributes in attributes, maps",
     sum_of(POINT + part(7, part(1, b"k") + part(2, nested(
         100_000, [b"\x12", b"\x0a", b"\x32"], b"")))), {200, 400}),
    ("a resource of attributes in attributes",
     part(1, part(1, part(1, part(1, b"k") + part(2, nested(
         100_000, [b"\x0a", b"\x2a"], b""))))), {200, 400}),
    ("100,000 attributes of a point",
     sum_of(POINT + b"".join(part(7, text(b"k%d" % i)) for i in range(100_000))), {200}),
    ("the same attribute 100,000 times",
     sum_of(POINT + part(7, text(b"k")) * 100_000), {200}),
    ("100,000 attributes of the resource",
     part(1, part(1, b"".join(part(1, text(b"k%d" % i)) for i in range(100_000)))
          + part(2, part(2, NAME + part(7, part(1, POINT) + DELTA_SUM)))), {200, 400}),
    ("100,000 attributes of the scope",
     part(1, part(2, part(1, b"".join(part(3, text(b"k%d" % i)) for i in range(100_000)))
                  + part(2, NAME + part(7, part(1, POINT) + DELTA_SUM)))), {200, 400}),
    ("100,000 resources", part(1, part(1, part(1, text(b"service.name")))) * 100_000, {200}),
    ("100,000 metrics without points",
     part(1, part(2, part(2, NAME + part(7, DELTA_SUM)) * 100_000)), {200}),
    ("two million empty messages", b"\x0a\x00" * (LONG // 2), {200}),
    ("100,000 points", whole(NAME + part(7, part(1, POINT) * 100_000 + DELTA_SUM)), {413}),
    ("a name of 4 MiB", whole(part(1, b"n" * LONG) + part(7, part(1, POINT) + DELTA_SUM)), {200}),
    ("a description of 4 MiB", whole(NAME + part(2, b"d" * LONG)
                                     + part(7, part(1, POINT) + DELTA_SUM)), {200}),
    ("a value of 4 MiB", sum_of(POINT + part(7, text(b"k", b"v" * LONG))), {200}),
    ("names that are no UTF-8", whole(part(1, b"\xff\xfe") + part(7, part(1, POINT) + DELTA_SUM)),
     {200, 400}),
    ("two million buckets, exponential", exponential_of(
        COUNTED + number(6, 0) + part(8, part(2, b"\1" * BUCKETS))), {200, 400, 413}),
    ("two million empty buckets, exponential", exponential_of(
        COUNTED + number(6, 0) + fixed(7, 3) + part(8, part(2, b"\0" * BUCKETS))),
     {200, 400, 413}),
    ("buckets at the ends of all numbers", exponential_of(
        COUNTED + number(6, 0) + part(8, number(1, (1 << 32) - 2) + part(2, b"\3"))), {200}),
    ("buckets below the ends of all numbers", exponential_of(
        COUNTED + number(6, 0) + part(8, number(1, (1 << 32) - 1) + part(2, b"\3"))), {200}),
    ("a scale of 2 to the 31", exponential_of(
        COUNTED + number(6, (1 << 32) - 2) + part(8, part(2, b"\3"))), {200}),
    ("a scale of -2 to the 31", exponential_of(
        COUNTED + number(6, (1 << 32) - 1) + part(8, part(2, b"\3"))), {200}),
    ("bucket counts whose sum wraps", exponential_of(
        COUNTED + number(6, 0) + part(8, part(2, varint((1 << 64) - 1) + b"\4"))), {200}),
    ("a zero threshold of infinity", exponential_of(
        COUNTED + part(8, part(2, b"\3")) + b"\x71" + struct.pack("<d", float("inf"))), {200}),
    ("400,000 bounds", histogram_of(
        COUNTED + part(6, b"\0" * 8 * 50_001) + part(7, struct.pack(
            "<50000d", *range(50_000)))), {200, 400, 413}),
    ("bounds that fall", histogram_of(
        COUNTED + part(6, struct.pack("<3Q", 1, 1, 1)) + part(7, struct.pack("<2d", 2, 1))), {200}),
    ("counts whose sum wraps", histogram_of(
        COUNTED + part(6, struct.pack("<2Q", (1 << 64) - 1, 4)) + part(
            7, struct.pack("<d", 1))), {200}),
    ("bounds of half a number", histogram_of(
        COUNTED + part(6, b"\0" * 7) + part(7, b"\0" * 9)), {200, 400}),
    ("a value of 1e308", sum_of(TIMES + b"\x21" + struct.pack("<d", 1e308)), {200}),
    ("a value of infinity", sum_of(TIMES + b"\x21" + struct.pack("<d", float("inf"))), {200}),
    ("times at the end of all numbers", sum_of(
        fixed(2, (1 << 64) - 1) + fixed(3, (1 << 64) - 1) + fixed(6, 3)), {200}),
]
HOSTILE_JSON = [
    ("lists in lists", b"[" * LONG, {400, 413}),
    ("objects in objects", b'{"a":' * (LONG // 5), {400, 413}),
    ("attributes in attributes",
     b'{"resourceMetrics":[{"resource":{"attributes":[{"key":"k","value":'
     + b'{"arrayValue":{"values":[' * 50_000 + b'{}' + b"]}}" * 50_000 + b'}]}}]}',
     {200, 400, 413}),
    ("two million empty objects",
     b'{"resourceMetrics":[' + b"{}," * (LONG // 3) + b"{}]}", {200, 413}),
    ("a number of 4 MiB", b'{"resourceMetrics":' + b"9" * LONG + b"}", {400}),
    ("an escape that is cut", b'{"resourceMetrics":"\\u12', {400}),
    ("half a surrogate", b'{"a":"\\ud800","resourceMetrics":[]}', {200, 400}),
    ("a text without an end", b'{"' + b"a" * LONG, {400}),
    ("unknown members, deep", b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}", {200, 400}),
    ("many members", b"{" + b",".join(b'"a%d":1' % i for i in range(300_000)) + b"}", {200}),
    ("gzip of gzip", b"", {200, 400}),
]


class Attacked(OTLP):
    """A sidecar with a count that must stay right, and the memory that it has at rest."""

    def __init__(self, *flags):
        super().__init__("--supervise", *flags)
        self.sent = 0
        self.count()
        self.first = self.worker()
        self.before = taken(self.first)

    def count(self):
        """Counts once more, in good faith."""
        self.sent += 1
        assert self.post(request(1, name="good", temporality=DELTA, time=self.sent + 1)
                         .SerializeToString())[0] == 200
        self.expect({"good_total": self.sent})

    def check(self, test, what, more=16 * MIB):
        test.assertEqual(self.worker(), self.first, f"{what}: {self.output()[-2000:]}")
        test.assertLess(taken(self.first) - self.before, more, what)

    def hostile(self):
        """What was counted of hostile metrics."""
        return {name: value for name, value in self.values().items()
                if name.startswith("hostile") and value}


class Attacks(TestCase):
    def attack(self, rows, kind):
        slowest = (0, "")
        with Attacked() as sidecar:
            for what, body, allowed in rows:
                with self.subTest(what):
                    shown = rejected(sidecar)["rejected"]
                    begin = time.monotonic()
                    answer = sidecar.post(body, kind)
                    slowest = max(slowest, (time.monotonic() - begin, what))
                    self.assertIn(answer[0], allowed, answer[2][:200])
                    if answer[0] != 200 or answer[2] not in (b"", b"{}"):
                        self.assertGreater(rejected(sidecar)["rejected"], shown, what)
                    sidecar.count()
                    sidecar.check(self, what)
            self.most = (taken(sidecar.first) - sidecar.before) / MIB
            print(f"  slowest: {slowest[1]}, {slowest[0]:.2f} s; {self.most:.1f} MiB more",
                  flush=True)
            return sidecar.hostile()

    def test_protobuf(self):
        """Hostile lengths, depths, numbers and sizes in protobuf."""
        counted = self.attack(HOSTILE, "application/x-protobuf")
        self.assertLess(sum(value for name, value in counted.items() if "total" in name), 1000)

    def test_json(self):
        """The same in JSON."""
        self.assertEqual(self.attack(HOSTILE_JSON, JSON), {})

    def test_compressed(self):
        """Bombs, and streams that lie about their length."""
        with Attacked() as sidecar:
            bomb = gzip.compress(b"\0" * (1 << 30), 9)
            for _ in range(20):
                self.assertEqual(sidecar.post(bomb, Content_Encoding="gzip")[0], 413)
            good = gzip.compress(sum_of(POINT))
            for index in range(len(good)):
                bent = bytearray(good)
                bent[index] ^= 0x41
                self.assertIn(sidecar.post(bytes(bent), Content_Encoding="gzip")[0], {200, 400})
                self.assertEqual(sidecar.post(good[:index], Content_Encoding="gzip")[0], 400)
            sidecar.count()
            sidecar.check(self, "gzip")

    def test_cut(self):
        """A request that is cut anywhere counts nothing; whole, it counts once."""
        with Attacked() as sidecar:
            body = every_type().SerializeToString()
            for length in range(1, len(body)):
                self.assertEqual(sidecar.post(body[:length])[0], 400, length)
            for length in range(0, len(body), 3):
                sidecar.begin(body, length)
            names = ("jobs", "size", "wait", "level", "age")
            self.assertFalse([name for name in sidecar.values() if name.startswith(names)])
            for _ in range(2):
                self.assertEqual(sidecar.post(body)[2], b"")
            sidecar.expect({"wait_seconds_count": 3, "size_bytes_count": 9})
            sidecar.count()
            sidecar.check(self, "cut")

    def test_types(self):
        """Each field with each other type of the wire, in each message."""
        kinds = {0: varint(5), 1: b"\1" * 8, 2: part(1, b"")[1:] + b"", 5: b"\1" * 4}
        ways = {
            "request": lambda field: field,
            "resource metrics": lambda field: part(1, field),
            "resource": lambda field: part(1, part(1, field)),
            "scope metrics": lambda field: part(1, part(2, field)),
            "scope": lambda field: part(1, part(2, part(1, field))),
            "metric": whole,
            "sum": lambda field: whole(NAME + part(7, field)),
            "gauge": lambda field: whole(NAME + part(5, field)),
            "number": lambda field: sum_of(POINT + field),
            "attribute": lambda field: sum_of(POINT + part(7, part(1, b"k") + field)),
            "value": lambda field: sum_of(POINT + part(7, part(1, b"k") + part(2, field))),
            "exemplar": lambda field: sum_of(POINT + part(5, field)),
            "histogram": lambda field: histogram_of(COUNTED + field),
            "exponential": lambda field: exponential_of(COUNTED + field),
            "buckets": lambda field: exponential_of(COUNTED + part(8, field)),
            "summary": lambda field: whole(NAME + part(11, part(1, TIMES + field))),
            "quantile": lambda field: whole(NAME + part(11, part(1, TIMES + part(6, field)))),
        }
        with Attacked() as sidecar:
            seen = set()
            for what, way in ways.items():
                for field in range(1, 17):
                    for kind, content in kinds.items():
                        status = sidecar.post(way(varint(field << 3 | kind) + content))[0]
                        self.assertIn(status, {200, 400}, (what, field, kind))
                        seen.add((what, status))
            # Where a field is known, another type than its own is refused.
            for what in ways:
                self.assertIn((what, 400), seen)
            sidecar.count()
            sidecar.check(self, "types")

    def test_bent(self):
        """Requests of each type with bytes that were changed, by a seed, as deltas and cumulative:
        what is refused leaves no trace, what is taken does no harm."""
        chance = dice()
        with Attacked("--max-series", "2000", "--max-families", "500") as sidecar:
            good = [every_type(temporality).SerializeToString()
                    for temporality in (DELTA, CUMULATIVE)]
            statuses = {}
            for _ in range(BENT):
                body = bytearray(chance.choice(good))
                for _ in range(chance.choice([1, 1, 2, 8])):
                    at = chance.randrange(len(body))
                    what = chance.randrange(4)
                    if what == 0:
                        body[at] = chance.randrange(256)
                    elif what == 1:
                        body[at] ^= 1 << chance.randrange(8)
                    elif what == 2:
                        del body[at:at + chance.randrange(1, 9)]
                    else:
                        body[at:at] = chance.randbytes(chance.randrange(1, 9))
                    if not body:
                        body = bytearray(b"\0")
                status = sidecar.post(bytes(body))[0]
                statuses[status] = statuses.get(status, 0) + 1
            self.assertEqual(set(statuses), {200, 400})
            print(f"  {statuses}", flush=True)
            sidecar.check(self, "bent")
            # The page is still a page, and a restart finds the same.
            before = {name: value for name, value in sidecar.values().items()
                      if not name.startswith(("metrics_sidecar_", "process_"))}
            sidecar.kill_worker()
            after = sidecar.values()
            self.assertEqual({name: after.get(name) for name, value in before.items()
                              if value == value}, {
                name: value for name, value in before.items() if value == value})

    def test_slow(self):
        """Clients that never end their requests: others are served, and memory is bounded."""
        with Attacked() as sidecar:
            import socket
            sockets = []
            head = (b"POST /v1/metrics HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                    b"application/x-protobuf\r\nContent-Length: %d\r\n\r\n" % (4 * MIB))
            for _ in range(40):
                s = socket.create_connection(("127.0.0.1", sidecar.otlp), timeout=10)
                try:
                    s.sendall(head + b"\0" * (3 * MIB))
                except OSError:
                    pass
                sockets.append(s)
            ready(sidecar)
            sidecar.count()
            sidecar.check(self, "slow", more=40 * MIB)
            for s in sockets:
                s.close()
            wait_for(lambda: taken(sidecar.first) - sidecar.before < 16 * MIB, "its memory back")


if __name__ == "__main__":
    main()
