#!/usr/bin/env python3
"""Every limit of docs/settings.md on a real sidecar: set small, gone over, told by its counter,
while what was known goes on counting. Standard library.

    Tests/System/run limits
"""
import contextlib
import gzip
import http.client
import json
import os
import re
import socket
from unittest import TestCase, main

from support.checks import check, free_port, wait_for
from support.pair import resident
from support.flags import flags, metrics_at_limits
from support.sidecar import Sidecar, Wire, frame

OPEN = "application/openmetrics-text;version=1.0.0"
PROTO = ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
         "encoding=delimited")
REASON = 'metrics_sidecar_events_rejected_total{reason="%s"}'
PUSHES = 'metrics_sidecar_pushes_total{result="%s"}'
HTTP = 'metrics_sidecar_http_connections_closed_total{reason="%s"}'
REFUSED = "metrics_sidecar_series_refused_total"
RULES = json.dumps({"families": [
    {"name": "known_total", "type": "counter", "exemplar": "trace", "labels": ["q"],
     "events": [{"event": "known"}]},
    {"name": "shared", "type": "gauge", "merge": "sum", "events": [{"event": "shared"}]}]})

# A limit that lines go over: its flag, the lines beyond it, and what the page says then.
# `known:1|c` counts before, with them and after them.
LINES = [
    ("--max-series=1", ["new:1|c", "newer:2|h", "level:1|g"],
     {REFUSED: 3, REASON % "series_limit": 1, 'new_total{overflow="true"}': 1,
      'newer_count{overflow="true"}': 1,
      'metrics_sidecar_overflowing_family{family="new_total"}': 1}),
    ("--max-exposition-size=512", ["new:1|c|#t:" + "v" * 600, "level:1|g|#t:" + "v" * 600],
     {REFUSED: 2, REASON % "exposition_limit": 1, 'new_total{overflow="true"}': 1,
      'metrics_sidecar_overflowing_family{family="new_total"}': 1}),
    ("--max-family-series=1", ["many:1|c|#t:a", "many:2|c|#t:b", "many:4|c|#t:c", "many:8|c|#t:a"],
     {REFUSED: 2, 'many_total{t="a"}': 9, 'many_total{overflow="true"}': 6}),
    ("--max-families=1", ["new:1|c", "newer:1|g"], {REASON % "family_limit": 2}),
    ("--max-line-length=64", ["a:1|c|#t:" + "v" * 56, "b:1|c|#t:" + "v" * 55],
     {REASON % "line_too_long": 1, 'b_total{t="' + "v" * 55 + '"}': 1}),
    ("--max-labels=2", ["a:1|c|#t:1,u:2,v:3", "b:1|c|#t:1,u:2"],
     {REASON % "too_many_labels": 1, 'b_total{t="1",u="2"}': 1}),
    ("--max-name-length=16", ["n" * 17 + ":1|c", "n" * 16 + ":1|c", "a:1|c|#" + "t" * 17 + ":v"],
     {REASON % "name_too_long": 2, "n" * 16 + "_total": 1}),
    ("--max-label-value-length=16", ["a:1|c|#t:" + "v" * 17, "b:1|c|#t:" + "v" * 16],
     {REASON % "label_value_too_long": 1, 'b_total{t="' + "v" * 16 + '"}': 1}),
    ("--max-datagram-size=256", ["a:1|c\n" * 43, "b:1|c\n" * 42],
     {REASON % "datagram_too_long": 1, "b_total": 42}),
]

PUSH = "POST /metrics/job/a HTTP/1.1\r\nHost: x\r\n"


def ask(sidecar, text):
    """A connection of its own that has sent `text`."""
    asking = socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=20)
    asking.sendall(text.encode())
    return asking


class Limits(TestCase):
    def test_documented(self):
        """Each counter that docs/settings.md names is on the page, and each --max-… flag has a
        check here."""
        with open(__file__, encoding="utf-8") as file:
            text = file.read()
        missing = [flag for flag in flags() if flag.startswith("max-")
                   and f'"--{flag}=' not in text]
        check(not missing, "no check here for", missing)
        with Sidecar("--push", f"--otlp=127.0.0.1:{free_port()}") as sidecar:
            page = sidecar.page()
            for flag, name in metrics_at_limits():
                check(f"\n{name} " in page or f"# TYPE {name} " in page,
                      f"docs/settings.md names {name} for --{flag}; it is not on the page")

    def test_damaged_files(self):
        """--max-damaged-files: the oldest copy makes room, each set aside is counted."""
        with Sidecar("--max-damaged-files=1") as sidecar:
            for text in (b"old", b"new"):
                sidecar.process.kill()
                sidecar.process.wait()
                with open(sidecar.path("state"), "wb") as file:
                    file.write(text * 5000)
                sidecar.start()
                sidecar.expect({"metrics_sidecar_state_resets_total": 1})
            kept = [name for name in os.listdir(sidecar.folder) if ".damaged-" in name]
            check(len(kept) == 1, "kept:", kept)
            with open(sidecar.path(kept[0]), "rb") as file:
                check(file.read(3) == b"new", "the oldest is kept")

    def test_lines(self):
        """Limits that a line or a datagram goes over: it is counted and has no effect, others have
        theirs."""
        for flag, beyond, expected in LINES:
            with Sidecar(flag) as sidecar:
                client = sidecar.unix("statsd.sock")
                for line in ["known:1|c", *beyond, "known:1|c"]:
                    client.send(line.encode())
                values = sidecar.expect({"known_total": 2, **expected})
                refused = [reason for reason in values if reason.startswith(REASON.split("%")[0])
                           and values[reason] and reason not in expected]
                check(not refused, flag, "is counted as", refused)
                check(not any(name.startswith("a_total") for name in values), flag,
                      "lets events in")
                print("  " + flag)

    def test_frame_size(self):
        """--max-frame-size: the client is closed, its session's next connection goes on."""
        with Sidecar("--max-frame-size=256") as sidecar:
            session = "_session|" + "a1" * 16
            wire = Wire(sidecar).send(frame(session), frame("_seq|1", "known:1|c"))
            check(wire.answers(2) == ["_ack|0", "_ack|1"], "the session did not begin")
            wire.send(frame("_seq|2", *["a:1|c"] * 50))
            check(wire.answers(1)[-1] == "closed", "a long frame was taken")
            wire = Wire(sidecar).send(frame(session), frame("_seq|2", "known:1|c"))
            check(wire.answers(2) == ["_ack|1", "_ack|2"], "the session did not go on")
            values = sidecar.expect({"known_total": 2,
                                     'metrics_sidecar_frames_total{result="rejected"}': 1})
            check("a_total" not in values, "a long frame was applied")

    def test_half_frames(self):
        """Long frames that never end: memory is bounded over all clients, and others go on."""
        with Sidecar() as sidecar:
            wire = Wire(sidecar).send(frame("_session|" + "a1" * 16), frame("_seq|1", "known:1|c"))
            check(wire.answers(2) == ["_ack|0", "_ack|1"], "the session did not begin")
            length = 1 << 20
            half = length.to_bytes(4, "little") + b"x" * (length - 1)
            clients = []
            for _ in range(100):
                clients.append(sidecar.unix("events.sock", socket.SOCK_STREAM))
                try:
                    clients[-1].sendall(half)
                except OSError:
                    # Closed in the midst of it.
                    pass
            # One that ends its frame in time counts, and so do short ones.
            wire.send(frame("_seq|2", "known:1|c"))
            check(wire.answers(1) == ["_ack|2"], "the session does not go on")
            values = sidecar.expect({"known_total": 2})
            closed = values['metrics_sidecar_connections_closed_total{reason="memory"}']
            check(70 <= closed < 100, f"{closed} of 100 clients with half a frame were closed")
            check(values["metrics_sidecar_connections"] == 101 - closed,
                  "clients were not closed")
            with open(f"/proc/{sidecar.process.pid}/status") as f:
                most = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
            check(most < 48 << 10, f"{most} KiB resident")
            for client in clients:
                client.close()
            # With the room back, a long frame is taken again.
            wait_for(lambda: sidecar.values()["metrics_sidecar_connections"] == 1,
                     "the others to go")
            wire.send(frame("_seq|3", *["known:1|c"] * 90_000))
            check(wire.answers(1) == ["_ack|3"], "a long frame is not taken")
            sidecar.expect({"known_total": 90_002})

    def test_connections(self):
        """--max-connections: one more is closed at once, those that there are go on."""
        with Sidecar("--max-connections=1") as sidecar:
            known = sidecar.unix("events.sock", socket.SOCK_STREAM)
            known.sendall(b"known:1|c\n")
            sidecar.expect({"known_total": 1})
            more = sidecar.unix("events.sock", socket.SOCK_STREAM)
            more.settimeout(20)
            check(more.recv(1) == b"", "a second client was not closed")
            known.sendall(b"known:1|c\n")
            sidecar.expect({"known_total": 2, "metrics_sidecar_connections_refused_total": 1,
                            "metrics_sidecar_connections": 1})

    def test_tcp_connections(self):
        """--max-tcp-connections: as many idle TCP clients as come take no place of events.sock, and
        /-/ready says so."""
        with Sidecar("--max-connections=4", "--max-tcp-connections=8") as sidecar:
            idle = [socket.create_connection(("127.0.0.1", sidecar.tcp)) for _ in range(12)]
            sidecar.expect({"metrics_sidecar_connections": 8,
                            "metrics_sidecar_connections_refused_total": 4})
            wires = [Wire(sidecar).send(frame(f"_session|{number:032x}"), frame("_seq|1", "a:1|c"))
                     for number in range(4)]
            for wire in wires:
                check(wire.answers(2) == ["_ack|0", "_ack|1"], "a session beside them")
            check(sidecar.page("/-/ready") == "ready\n", "it is not ready")
            for client in idle:
                client.close()

    def test_sessions(self):
        """--max-sessions: the one without a connection makes room; where all are connected, a new
        one is closed."""
        def opened(sidecar, digit):
            return Wire(sidecar).send(frame("_session|" + digit * 32), frame("_seq|1", "known:1|c"))

        with Sidecar("--max-sessions=1") as sidecar:
            silent = opened(sidecar, "a")
            check(silent.answers(2) == ["_ack|0", "_ack|1"], "the first session")
            check(opened(sidecar, "b").answers(1)[-1] == "closed", "a second session got room")
            silent.send(frame("_seq|2", "known:1|c"))
            check(silent.answers(1) == ["_ack|2"], "the first session did not go on")
            silent.socket.close()
            sidecar.expect({"metrics_sidecar_connections": 0})
            check(opened(sidecar, "c").answers(2) == ["_ack|0", "_ack|1"], "no room was made")
            sidecar.expect({"known_total": 3, "metrics_sidecar_sessions": 1,
                            "metrics_sidecar_sessions_evicted_total": 1,
                            'metrics_sidecar_frames_total{result="rejected"}': 1})

    def test_gauge_clients(self):
        """--max-gauge-clients: a further client has no part in the series, those that have go
        on."""
        with Sidecar("--max-gauge-clients=1", rules=RULES) as sidecar:
            first, second = (sidecar.unix("events.sock", socket.SOCK_STREAM) for _ in range(2))
            first.sendall(b"shared:1|g\n")
            sidecar.expect({"shared": 1})
            second.sendall(b"shared:10|g\n")
            sidecar.expect({"shared": 1, REASON % "client_limit": 1})
            first.sendall(b"shared:2|g\n")
            sidecar.expect({"shared": 2, REASON % "client_limit": 1})

    def test_exemplars(self):
        """--max-exemplars: those that there are go on, and every event counts."""
        with Sidecar("--max-exemplars=1", rules=RULES) as sidecar:
            sidecar.send("known:1|c|#q:a,trace:a1", "known:1|c|#q:b,trace:b1",
                         "known:1|c|#q:a,trace:a2")
            sidecar.expect({'known_total{q="a"}': 2, 'known_total{q="b"}': 1,
                            REASON % "exemplar_limit": 1})
            _, page = sidecar.get(accept="application/openmetrics-text;version=1.0.0")
            check(b'trace="a2"' in page and b'trace="b1"' not in page, page.decode())

    def test_http_connections(self):
        """--max-http-connections: one at rest, or with an unfinished request, makes room; where
        none can, only probes are answered."""
        with Sidecar("--max-http-connections=1", "--push") as sidecar:
            resting = ask(sidecar, "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            check(resting.recv(4096).startswith(b"HTTP/1.1 200 "), "no answer")
            before = sidecar.values()[HTTP % "evicted"]
            check(resting.recv(1) == b"", "the one at rest was not closed")
            check(before >= 1, "the one at rest did not count")
            half = ask(sidecar, PUSH + "Content-Length: 9\r\n\r\nx")
            check(sidecar.page("/-/healthy") == "healthy\n", "an unfinished body keeps its place")
            check(half.recv(1) == b"", "the one in the middle of a body was not closed")
            # Answers that wait for their reader keep the place, for a moment.
            busy = ask(sidecar, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1500)
            check(busy.recv(1) == b"H", "no answer")
            more = ask(sidecar, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            check(more.recv(12) == b"HTTP/1.1 503", "a second connection got room")
            check(sidecar.page("/-/healthy") == "healthy\n", "a probe was not answered")
            busy.close()
            more.close()
            sidecar.expect({HTTP % "refused": 1})
            check(sidecar.values()[HTTP % "slow"] == 0, "somebody was slow")

    def test_client_memory(self):
        """--max-client-memory: chunks of a byte, bodies that stop and answers that nobody reads, of
        many clients: those that hold most go, and probes and scrapes are answered."""
        with Sidecar("--push", "--max-client-memory=2MiB") as sidecar:
            before = resident(sidecar.process)
            attacks = [PUSH + "Transfer-Encoding: chunked\r\n\r\n" + "1\r\nA\r\n" * 30_000,
                       PUSH + "Content-Length: 1000000\r\n\r\n" + "x" * 200_000,
                       "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1500]
            clients = []
            for number in range(120):
                client = ask(sidecar, "")
                clients.append(client)
                with contextlib.suppress(OSError):  # It may have to go.
                    client.sendall(attacks[number % 3].encode())
                if number % 10 == 9:
                    check(sidecar.page("/-/healthy") == "healthy\n", "a probe was not answered")
            values = sidecar.values()
            check(values[HTTP % "memory"] >= 20, values[HTTP % "memory"], "clients were closed")
            check(values["metrics_sidecar_client_memory_bytes"] <= 2 << 20,
                  "the limit does not hold")
            grown = resident(sidecar.process) - before
            check(grown < 8 << 20, f"they cost {grown} bytes")
            print(f"  {len(clients)} clients: {values[HTTP % 'memory']:.0f} closed, "
                  f"{grown >> 10} KiB more")
            for client in clients:
                client.close()
            sidecar.expect({"metrics_sidecar_client_memory_bytes": 0})

    def test_exposition_memory(self):
        """--max-exposition-size=10MiB, the default: series with the longest labels that there may
        be cost a scrape of any kind no more than that, and what the page is sent from."""
        formats = [{}, {"accept": OPEN}, {"accept": PROTO},
                   {"accept": PROTO, "accept_encoding": "gzip"}]
        with Sidecar("--max-exposition-size=10MiB") as sidecar:
            long = ",".join(f"t{n}:" + "v" * 1000 for n in range(7))
            for start in range(0, 10_000, 1):
                sidecar.send(f"many:1|c|#n:{start},{long}")
            values = sidecar.values()
            sizes = [len(sidecar.get(**fields)[1]) for fields in formats]
            check(max(sizes) < 11 << 20, f"pages of {sizes} bytes")
            check(values[REFUSED] > 8000 and sum(
                value for name, value in values.items() if name.startswith("many_total")) == 10_000,
                f"{values[REFUSED]} were refused, of 10,000 series of 7 KB")
            with open(f"/proc/{sidecar.process.pid}/status", encoding="utf-8") as file:
                peak = int(re.search(r"^VmHWM:\s+(\d+) kB", file.read(), re.M)[1])
            check(peak < 56 << 10, f"the peak is {peak} KiB")
            print(f"  pages of {sizes} bytes, a peak of {peak} KiB")

    def test_unread_pages(self):
        """--max-unread-pages: readers that take nothing are closed, and a page costs what it costs
        one."""
        with Sidecar("--max-unread-pages=1MiB", "--max-series=70000",
                     "--max-family-series=70000") as sidecar:
            value = "v" * 100
            for start in range(0, 60_000, 300):
                sidecar.send(*(f"many:1|c|#t:{value}{n}" for n in range(start, start + 300)))
            size = len(sidecar.page())
            check(size > 4 << 20, f"a page of {size} bytes: too small for what the kernel buffers")
            before = resident(sidecar.process)
            readers = []
            for _ in range(24):
                reader = socket.socket()
                reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                reader.settimeout(20)
                reader.connect(("127.0.0.1", sidecar.metrics))
                reader.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                # Its page has begun, so it is one of its own.
                check(reader.recv(16).startswith(b"HTTP/1.1 200"), "no answer")
                readers.append(reader)
            grown = resident(sidecar.process) - before
            check(grown < 4 * size, f"{len(readers)} readers of {size} bytes cost {grown}")
            check(len(sidecar.page()) > size - 1000, "a page is not whole")
            closed = sidecar.values()[HTTP % "slow"]
            check(closed >= 20, f"{closed} of {len(readers)} readers were closed")
            print(f"  {len(readers)} readers that take nothing of {size} bytes: {closed:.0f} "
                  f"closed, "
                  f"{max(grown, 0) >> 10} KiB more")
            for reader in readers:
                reader.close()

    def test_otlp(self):
        """--max-otlp-size: 413, also of what a small body becomes; --max-otlp-streams: a new
        writer's points are refused, a known one's count."""
        def export(value, writer="a", padding=0, encode=bytes, **fields):
            point = {"asInt": value, "startTimeUnixNano": 1, "timeUnixNano": value}
            body = json.dumps({"resourceMetrics": [{
                "resource": {"attributes": [
                    {"key": "service.instance.id", "value": {"stringValue": writer}}]},
                "scopeMetrics": [{"metrics": [{"name": "jobs", "sum": {
                    "aggregationTemporality": 2, "isMonotonic": True,
                    "dataPoints": [point]}}]}]}]}) + " " * padding
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("POST", "/v1/metrics", encode(body.encode()),
                               {"Content-Type": "application/json", **fields})
            status = connection.getresponse().status
            connection.close()
            return status

        port = free_port()
        with Sidecar(f"--otlp=127.0.0.1:{port}", "--max-otlp-size=1KiB",
                     "--max-otlp-streams=1") as sidecar:
            check(export(2) == 200, "a first request")
            check(export(9, padding=2000) == 413, "a body above the limit")
            check(export(9, padding=20_000, encode=gzip.compress,
                         **{"Content-Encoding": "gzip"}) == 413, "a body that grows above it")
            check(export(5, writer="b") == 200, "a further writer")
            check(export(3) == 200, "the first writer again")
            sidecar.expect({"jobs_total": 3, REASON % "stream_limit": 1,
                            'metrics_sidecar_otlp_requests_total{result="refused"}': 2})

    def test_pushes(self):
        """--max-push-size, -groups, -series, -group-size: 413 or 507; a known group goes on."""
        def push(sidecar, job, body, encoding=None):
            connection = http.client.HTTPConnection("127.0.0.1", sidecar.metrics, timeout=20)
            connection.request("PUT", "/metrics/job/" + job, body,
                               {"Content-Encoding": encoding} if encoding else {})
            status = connection.getresponse().status
            connection.close()
            return status

        long = b"# " + b"x" * 1100 + b"\na 1\n"
        large = b"".join(b'a{b="%d-%s"} 1\n' % (i, b"v" * 100) for i in range(700))
        for flag, beyond, status, result in (
                ("--max-push-size=1024", [("known", long, None)], 413, "too_large"),
                ("--max-push-size=1024", [("known", gzip.compress(long), "gzip")], 413,
                 "too_large"),
                ("--max-push-groups=1", [("other", b"a 1\n", None)], 507, "limited"),
                ("--max-push-series=1", [("known", b"a 1\nb 1\n", None)], 507, "limited"),
                ("--max-push-group-size=64KiB", [("known", large, None)], 507, "limited")):
            with Sidecar("--push", flag) as sidecar:
                check(push(sidecar, "known", b"known 1\n") == 200, flag,
                      "refuses what it has room for")
                for job, body, encoding in beyond:
                    answered = push(sidecar, job, body, encoding)
                    check(answered == status, flag, "is answered", answered)
                check(push(sidecar, "known", b"known 2\n") == 200, flag, "refuses a known group")
                sidecar.expect({'known{instance="",job="known"}': 2, PUSHES % result: len(beyond),
                                PUSHES % "applied": 2})
                print("  " + flag)


if __name__ == "__main__":
    main()
