#!/usr/bin/env python3
"""What one client of the line sockets may do to the others: take places, hold half frames, send
what is no line. Standard library.

    Tests/System/run neighbours
"""
import json
import socket
import time
from unittest import TestCase, main

from support import dice
from support.checks import check, wait_for
from support.pair import resident
from support.sidecar import Sidecar, Wire, frame

CLOSED = 'metrics_sidecar_connections_closed_total{reason="%s"}'
REFUSED = "metrics_sidecar_connections_refused_total"
RULES = json.dumps({"families": [
    {"name": "busy", "type": "gauge", "merge": "livesum", "events": [{"event": "busy"}]}]})


def ended(connection):
    """Whether the other side has closed."""
    connection.settimeout(20)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


class Neighbours(TestCase):
    def test_a_silent_client_makes_room(self):
        """At --max-connections the client that was silent longest makes room; where all have just
        sent, a new one is refused, and /-/ready tells. Who owns a gauge is not touched."""
        with Sidecar("--max-connections=3", rules=RULES) as sidecar:
            owner = Wire(sidecar).send(frame("busy:5|g"))
            sidecar.expect({"busy": 5})
            silent = Wire(sidecar).send(frame("a:1|c"))
            other = Wire(sidecar).send(frame("a:1|c"))
            sidecar.expect({"a_total": 2})
            check(Wire(sidecar).answers(1) == ["closed"], "one more got room at once")
            check("--max-connections" in sidecar.page("/-/ready"), "it says that it is ready")

            taken = []

            def is_taken():
                taken[:] = [Wire(sidecar)]
                try:
                    return taken[0].send(frame("_session|" + "b" * 32)).answers(1) == ["_ack|0"]
                except OSError:
                    return False

            wait_for(is_taken, "room")
            check(ended(silent.socket), "the one that was silent longest is still there")
            sidecar.expect({CLOSED % "evicted": 1, "busy": 5, "metrics_sidecar_connections": 3})
            check(sidecar.page("/-/ready") is not None, "it does not answer")
            for client in (owner, other):
                client.send(frame("a:1|c"))
            sidecar.expect({"a_total": 4})

    def test_half_frames(self):
        """1,000 clients with 60 KB of a frame each stay within --max-client-memory; a client whose
        frame goes on, and one that owns a gauge, are not touched."""
        with Sidecar("--max-client-memory=8MiB", rules=RULES) as sidecar:
            owner = Wire(sidecar).send(frame("busy:5|g"))
            sidecar.expect({"busy": 5})
            before = resident(sidecar.process)
            half = (500_000).to_bytes(4, "little") + b"x" * 60_000
            clients, most = [], 0
            for number in range(1000):
                client = sidecar.unix("events.sock", socket.SOCK_STREAM)
                try:
                    client.sendall(half)
                except OSError:
                    pass
                clients.append(client)
                if number % 100 == 99:
                    sidecar.values()
                    most = max(most, resident(sidecar.process))
            values = sidecar.values()
            check(values[CLOSED % "memory"] > 800, f"{values[CLOSED % 'memory']} were closed")
            check(most - before < 20 << 20, f"{most - before} bytes more")
            check(values["busy"] == 5, "the client that owns a gauge was closed")
            # Who has made progress within a second goes last.
            time.sleep(1.1)
            wire = Wire(sidecar).send(frame("_session|" + "a" * 32),
                                      frame("_seq|1", *["a:1|c"] * 100_000))
            check(wire.answers(2) == ["_ack|0", "_ack|1"], "a long frame is not taken")
            for client in clients:
                client.close()
            owner.send(frame("busy:6|g"))
            sidecar.expect({"a_total": 100_000, "busy": 6})

    def test_a_request_of_http_is_no_line(self):
        """What a page can have a browser send to a line socket counts nothing, and closes it."""
        long = "POST /" + "x" * 9000 + " HTTP/1.1\r\nHost: x\r\n\r\njobs:1|c\n"
        requests = ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", long,
                    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\njobs:1|c\n",
                    "POST /a:1|c HTTP/1.1\r\nx:1|c\r\n\r\njobs:1|c\n"]
        with Sidecar() as sidecar:
            for number, request in enumerate(requests):
                for client in (socket.create_connection(("127.0.0.1", sidecar.tcp)),
                               sidecar.unix("events.sock", socket.SOCK_STREAM)):
                    client.sendall(request.encode())
                    check(ended(client), f"open after {request[:40]!r}")
                    client.close()
                sidecar.expect({CLOSED % "http_request": 2 * number + 2})
            sidecar.send_tcp(b"GET /jobs:1|c\nGET / HTTP/1.1 took:2|c\n")
            values = sidecar.expect({"GET__jobs_total": 1, "GET___HTTP_1_1_took_total": 2})
            check("jobs_total" not in values, "a line of a request counts")

    def test_bodies_cut_anywhere(self):
        """Requests with bodies wait for those without one, and are answered whole and in their
        order wherever they are cut."""
        chance = dice()
        with Sidecar("--push") as sidecar:
            for number in range(150):
                requests, statuses = b"", []
                for each in range(chance.randint(1, 6)):
                    body = b"n%d %d\n" % (each, number) * chance.choice((1, 1, 500))
                    refused = len(body) > 100
                    kind = chance.randrange(3)
                    head = b"PUT /metrics/job/j%d HTTP/1.1\r\nHost: x\r\n" % each
                    if kind == 0:
                        requests += b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
                    elif kind == 1:
                        requests += head + b"Content-Length: %d\r\n\r\n" % len(body) + body
                    else:
                        at = chance.randrange(1, len(body))
                        requests += head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(
                            b"%x\r\n%s\r\n" % (len(part), part)
                            for part in (body[:at], body[at:])) + b"0\r\n\r\n"
                    statuses.append(400 if kind and refused else 200)
                with socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=20) as client:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    answers = client.makefile("rb")
                    while requests:
                        cut = chance.choice((1, 20, 200, 9000))
                        client.sendall(requests[:cut])
                        requests = requests[cut:]
                    told = []
                    for _ in statuses:
                        told.append(int(answers.readline().split()[1]))
                        length = 0
                        while (line := answers.readline()) not in (b"\r\n", b""):
                            if line.lower().startswith(b"content-length:"):
                                length = int(line.split(b":")[1])
                        answers.read(length)
                    check(told == statuses, number, told, statuses)

    def test_a_log_that_stays_short(self):
        """What clients do a thousand times is told twenty times a second, and how often it was left
        out."""
        with Sidecar(rules='{"families": []}') as sidecar:
            start = time.monotonic()
            for _ in range(1000):
                with sidecar.unix("events.sock", socket.SOCK_STREAM) as client:
                    client.sendall(b"GET / HTTP/1.1\r\n")
            sidecar.expect({CLOSED % "http_request": 1000})
            for text in ('{"families": []}', "{"):
                with open(sidecar.path("rules.json"), "w", encoding="ascii") as file:
                    file.write(text)
                with socket.create_connection(("127.0.0.1", sidecar.metrics)) as client:
                    client.sendall(b"POST /-/reload HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
                    answers = 0
                    while answers < 1000:
                        answers += client.recv(1 << 20).count(b"HTTP/1.1 ")
            seconds = int(time.monotonic() - start) + 2
            wait_for(lambda: sidecar.get("/-/reload", "POST") and
                     "such lines were left out)" in sidecar.output(), "what was left out")
            lines = len(sidecar.output().splitlines())
            check(lines < 20 * (seconds + 2), lines, "lines in", seconds, "s")

    def test_a_minus(self):
        """`level:-5|g` is -5 on Unix datagrams and in frames, and a step elsewhere."""
        with Sidecar() as sidecar:
            sidecar.send(*["outdoor:-5|g"] * 3)
            Wire(sidecar).send(*[frame("framed:-5|g")] * 3)
            for _ in range(3):
                sidecar.send_udp(b"udp:-5|g")
                sidecar.send_tcp(b"tcp:-5|g\n")
                with sidecar.unix("events.sock", socket.SOCK_STREAM) as client:
                    client.sendall(b"plain:-5|g\n")
            sidecar.expect({"outdoor": -5, "framed": -5, "udp": -15, "tcp": -15, "plain": -15})


if __name__ == "__main__":
    main()
