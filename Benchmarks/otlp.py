"""OpenTelemetry's requests beside lines in frames, to the same sidecar. Standard library only."""
import http.client
import socket
import statistics
import struct
import time

from large import cpu_seconds, frames, line, resident_kib
from support.checks import free_port, wait_for
from support.pair import Pair

SERIES = 500
POINTS = 1_000
REQUESTS = 100
START = 1_700_000_000_000_000_000


def part(number, content):
    """A field of protobuf with a length."""
    size, length = len(content), b""
    while size >= 128:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def attribute(key, value):
    return part(1, key.encode()) + part(2, part(1, value.encode()))


def request(number, writer=0):
    """A cumulative counter of 500 series with three attributes, each twice."""
    start = START - 1000 * writer
    points = b""
    for index in range(POINTS):
        value = number * (POINTS // SERIES) + index // SERIES
        point = b"\x11" + struct.pack("<Q", start) + b"\x19" + struct.pack("<Q", START + value)
        point += b"\x31" + struct.pack("<q", value)
        for key, text in (("http.route", f"/path/{index % SERIES}"),
                          ("http.request.method", "GET"), ("http.response.status_code", "200")):
            point += part(7, attribute(key, text))
        points += part(1, point)
    metric = part(1, b"shop.requests") + part(7, points + b"\x10\x02\x18\x01")
    resource = b"".join(part(1, attribute(key, text)) for key, text in (
        ("service.name", "shop"), ("service.instance.id", f"0123456789abcde{writer:02}")))
    scope = part(1, part(1, b"bench")) + part(2, metric)
    return part(1, part(1, resource) + part(2, scope))


def post(connection, body):
    connection.request("POST", "/v1/metrics", body, {"Content-Type": "application/x-protobuf"})
    answer = connection.getresponse()
    if answer.read() or answer.status != 200:
        raise SystemExit(f"a request is answered {answer.status}")


def slice_of(options):
    """CPU nanoseconds a line and a point; KiB that 10,000 more streams take."""
    port = free_port()
    with Pair(options.programs) as pair:
        pair.start_sidecar("--otlp", f"127.0.0.1:{port}")
        pid = pair.sidecar.pid
        lines = b"".join(frames([line(index % SERIES) for index in range(4 * SERIES)]))
        rounds = 300
        with socket.socket(socket.AF_UNIX) as events:
            events.connect(pair.path("events.sock"))
            events.sendall(lines)

            def counted():
                return sum(value for name, value in pair.values().items()
                           if name.startswith("app_requests_total"))
            wait_for(lambda: counted() == 4 * SERIES, "the first lines")
            before = cpu_seconds(pid)
            for _ in range(rounds):
                events.sendall(lines)
            # Without a scrape, which would be paid for, too.
            time.sleep(0.5)
            a_line = (cpu_seconds(pid) - before) / (rounds * 4 * SERIES)
            wait_for(lambda: counted() == 4 * SERIES * (rounds + 1), "all lines")
        bodies = [request(number) for number in range(1, REQUESTS + 3)]
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for index, body in enumerate(bodies):
            if index == 2:
                before = cpu_seconds(pid)
            post(connection, body)
        a_point = (cpu_seconds(pid) - before) / (REQUESTS * POINTS)
        before = resident_kib(pid)
        for writer in range(1, 21):
            post(connection, request(1, writer))
        streams = pair.values()["metrics_sidecar_otlp_streams"]
        if streams != 21 * SERIES:
            raise SystemExit(f"there are {streams} streams")
        return a_line, a_point, resident_kib(pid) - before


def otlp(options):
    """A known point of OpenTelemetry : a known line in frames of 8 KB, in CPU time."""
    found = [slice_of(options) for _ in range(options.slices)]
    ratios = [point / a_line for a_line, point, _ in found]
    lines, points, streams = (statistics.median(each) for each in zip(*found))
    print(f"  {'a point : a line':<52} {statistics.median(ratios):6.2f}   ({min(ratios):.2f} to "
          f"{max(ratios):.2f})  {points * 1e9:.0f} : {lines * 1e9:.0f} ns")
    print(f"  {'10,000 streams of counters':<52} {streams / 1024:6.2f} MiB", flush=True)
