#!/usr/bin/env python3
"""The worst of what neighbours do beside one request, and of signals and time: how long the
loop stands for it, by CPU. The other half of the table of test_worst.

    Tests/System/run worst_beside [TRIES=3] [ONLY=clients]
"""
import base64
import gzip
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from unittest import main

from support import PROGRAMS
from support.attacks import attacked
from support.checks import check, free_port, wait_for
from support.full_sockets import fill, standing
from support.sidecar import Wire, frame
from support.worst import WorstCase
from test_worst import MIB, PUSHES, RULES, filled, full, got, pushed, sent, text


# Heaps of requests.

def request(line, *fields):
    return ("\r\n".join([line + " HTTP/1.1", "Host: 127.0.0.1", *fields]) + "\r\n\r\n").encode()


def piped(one, reads=1 << 20):
    """64 KB of the same request in one write; as many answers are read."""
    def act(sidecar):
        count = 65_536 // len(one)
        with socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=60) as client:
            client.sendall(one * count)
            seen, last = 0, b""
            while seen < min(count, reads) and (chunk := client.recv(1 << 18)):
                seen += (last[-8:] + chunk).count(b"HTTP/1.1 ")
                last = chunk
    return act


MANY_NAMES = "&".join(f"name[]=f{n % 50}_total" for n in range(350))
PIPED = {
    "/-/healthy": piped(request("GET /-/healthy")),
    "/-/ready": piped(request("GET /-/ready")),
    "/api/v1/rejected": piped(request("GET /api/v1/rejected"), 400),
    "/api/v1/history": piped(request(f"GET /api/v1/history?{MANY_NAMES}"), 20),
    "/api/v1/rules": piped(request("GET /api/v1/rules"), 400),
    "/api/v1/status": piped(request("GET /api/v1/status"), 100),
    "/api/v1/metrics": piped(request("GET /api/v1/metrics"), 20),
    "/api/v1/tail": piped(request("GET /api/v1/tail?viewer=7")),
    "viewers that are too many": piped(b"".join(
        request(f"GET /api/v1/tail?viewer={n}&name=**a*b*c") for n in range(1, 40))),
    "the page": piped(request("GET /", "Accept: text/html"), 100),
    "/metrics": piped(request("GET /metrics"), 5),
    "/metrics in OpenMetrics": piped(
        request("GET /metrics", "Accept: application/openmetrics-text"), 5),
    "/metrics with gzip": piped(request("GET /metrics", "Accept-Encoding: gzip"), 5),
    "POST /-/reload": piped(request("POST /-/reload", "Content-Length: 0")),
    "no such path": piped(request("GET /x")),
    "pushes of a byte": piped(request("POST /metrics/job/j", "Content-Length: 1") + b"\n"),
    "pushes that are refused": piped(request("POST /metrics/job/j", "Content-Length: 1") + b"x"),
    "pushes of gzip": piped(request(
        "POST /metrics/job/j", "Content-Encoding: gzip",
        f"Content-Length: {len(gzip.compress(bytes(MIB - 100)))}")
        + gzip.compress(bytes(MIB - 100)), 20),
    "deletions": piped(request("DELETE /metrics/job/j")),
}


def chunks_of_a_byte(sidecar):
    body = b"1\r\n#\r\n" * 200_000 + b"0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=60) as client:
        client.sendall(request("POST /metrics/job/j", "Transfer-Encoding: chunked") + body)
        check(client.recv(4096), "no answer")


# Lines that are in no frame.

def plain(name, lines):
    """1 MiB of plain lines to a socket of streams."""
    def act(sidecar):
        data = ("\n".join(lines) + "\n").encode()
        if name == "tcp":
            sidecar.send_tcp(data)
        else:
            with sidecar.unix("events.sock", socket.SOCK_STREAM) as client:
                client.sendall(data)
        wait_for(sidecar.page, "the page")
    return act


def datagrams(name, line):
    """As many datagrams as a socket holds, of a line each."""
    def act(sidecar):
        clients = []
        with standing(sidecar):
            for start in range(100):
                if name == "udp":
                    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    client.connect(("127.0.0.1", sidecar.udp))
                else:
                    client = sidecar.unix(name)
                client.setblocking(False)
                clients.append(client)
                try:
                    for number in range(200):
                        client.send(line(200 * start + number).encode())
                except BlockingIOError:
                    pass
        wait_for(sidecar.page, "the page")
        return clients
    return act


# Many clients.

def arrive(port):
    """As many connections at once as the kernel lets wait, beside a scrape."""
    def act(sidecar):
        clients = []
        with standing(sidecar):
            for _ in range(4000):
                client = socket.socket(socket.AF_UNIX if port == "events" else socket.AF_INET)
                client.setblocking(False)
                try:
                    client.connect(sidecar.path("events.sock") if port == "events" else
                                   ("127.0.0.1", getattr(sidecar, port)))
                except BlockingIOError:
                    pass
                except OSError:
                    break
                clients.append(client)
        wait_for(sidecar.page, "the page")
        return clients
    return act


def owners(sidecar):
    """900 clients that own 9,000 gauges together."""
    clients = [sidecar.unix("events.sock", socket.SOCK_STREAM) for _ in range(900)]
    for number, client in enumerate(clients):
        lines = "".join(f"busy.{10 * number + each}:1|g\n" for each in range(10))
        client.sendall(lines.encode())
    sidecar.page()
    return clients


def disconnect(sidecar):
    clients = owners(sidecar)
    with standing(sidecar):
        for client in clients:
            client.close()
    wait_for(sidecar.page, "the page")


def sessions(sidecar):
    """More sessions than there is room for, on 1,000 connections."""
    wires = [Wire(sidecar) for _ in range(1000)]
    with standing(sidecar):
        for wire in wires:
            wire.send(frame("_session|" + os.urandom(16).hex()), frame("_seq|1", "s:1|c"))
    for wire in wires:
        wire.answers(1)
    for _ in range(4000):
        wire = Wire(sidecar)
        wire.send(frame("_session|" + os.urandom(16).hex()))
        wire.answers(1)
        wire.socket.close()
    return wires


def half_frames(sidecar):
    """Half frames that are more than all memory for clients."""
    wires = []
    for _ in range(100):
        wire = Wire(sidecar)
        wires.append(wire)
        try:
            wire.send((MIB - 1).to_bytes(4, "little") + b"x" * 900_000)
        except OSError:
            pass
    return wires


def unread(sidecar):
    """250 clients that ask for long pages and read nothing."""
    clients = []
    for _ in range(250):
        client = socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=60)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(request("GET /metrics") * 10)
        clients.append(client)
    time.sleep(2)
    return clients


def bodies(count, body, port="metrics", kind="text/plain", path="/metrics/job/j", chunked=False):
    """Clients that send such bodies for four seconds, and read no answer."""
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    sent = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n" if chunked else body
    whole = request(f"POST {path}", f"Content-Type: {kind}", "Content-Encoding: gzip",
                    length) + sent

    def act(sidecar):
        with attacked(sidecar.metrics if port == "metrics" else port, [(count, b"", whole)]):
            time.sleep(4)
    return act


def viewers(name):
    """`tail` of eight viewers, who read nothing further."""
    def before(sidecar):
        for number in range(1, 9):
            sidecar.get(f"/api/v1/tail?viewer={number}&name={name}")
    return before


def passwords(sidecar):
    clients = []
    for number in range(200):
        client = socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=60)
        words = base64.b64encode(f"name:{number}".encode()).decode()
        client.sendall(request("POST /metrics/job/j", "Content-Length: 4",
                               f"Authorization: Basic {words}") + b"a 1\n")
        clients.append(client)
    for client in clients:
        client.recv(4096)


# Signals and time.

def signals(number, count):
    def act(sidecar):
        for _ in range(count):
            sidecar.process.send_signal(number)
        wait_for(sidecar.page, "the page")
    return act


def new_rules(count, salt):
    return json.dumps({"families": [
        {"name": f"r{n}", "type": "counter", "help": salt, "constants": {"k": "$1"},
         "events": [{"event": f"f{n}.*"}]} for n in range(count)]})


def reload(count):
    def act(sidecar):
        with open(sidecar.path("rules.json"), "w", encoding="utf-8") as f:
            f.write(new_rules(count, "changed"))
        got("/-/reload", "POST")(sidecar)
    return act


def full_clients(sidecar, act):
    with standing(sidecar):
        clients, lines = fill(sidecar)
        act()
    sidecar.expect({"kkk_total": lines}, 60)
    return clients


def reload_beside(sidecar):
    with open(sidecar.path("rules.json"), "w", encoding="utf-8") as f:
        f.write(new_rules(10, "changed"))
    return full_clients(sidecar, lambda: sidecar.process.send_signal(signal.SIGHUP))


def stop_beside(sidecar):
    return full_clients(sidecar, sidecar.process.terminate)


def expires(sidecar):
    wait_for(lambda: not any(name.startswith("f1_total") for name in sidecar.values()),
             "the end of the series")


def pushed_series_expire(sidecar):
    wait_for(lambda: "p{" not in (sidecar.page() or "p{"), "the end of the pushed series")


class WorstBeside(WorstCase):
    def test_piped(self):
        """64 KB of each request in one write, of a sidecar with 10,000 long series and 9,000
        pushed ones."""
        def before(sidecar):
            full(sidecar)
            PUSHES["long labels"](sidecar)
            sent([f"{n}|{n}" + "\x01\"é" * 80 for n in range(300)])(sidecar)
        for name, act in PIPED.items():
            self.measure(name, act, "--push", before=before)
        self.measure("a push in chunks of a byte", chunks_of_a_byte, "--push")
        self.judge("Requests in heaps")

    def test_lines(self):
        """Lines in no frame, and datagrams, as many as the kernel holds."""
        new = filled(lambda n: f"n:1|c|#k:{n}")
        for name in ("tcp", "events.sock"):
            self.measure(f"1 MiB of new series over {name}", plain(name, new))
        for name in ("udp", "statsd.sock"):
            self.measure(f"datagrams of {name}, a new series each",
                         datagrams(name, lambda n: f"n:1|c|#k:{n}"))
        self.measure("datagrams of spectator.sock, a new series each",
                     datagrams("spectator.sock", lambda n: f"c:n,k={n}:1"))
        self.judge("Lines without frames")

    def test_clients(self):
        """Clients in numbers."""
        for port, name in (("metrics", "--listen"), ("tcp", "--statsd-tcp"),
                           ("events", "events.sock")):
            self.measure(f"4,000 connections at once to {name}", arrive(port))
        self.measure("900 clients that own 9,000 gauges go at once", disconnect, rules=RULES)
        self.measure("5,000 sessions, 1,000 of them at once", sessions)
        self.measure("half frames beyond all memory", half_frames)
        self.measure("250 readers of long pages that read nothing", unread, before=full)
        zeros = gzip.compress(bytes(MIB - 10))
        self.measure("200 clients that push a MiB of zeros by gzip", bodies(200, zeros), "--push")
        self.measure("200 that push it in chunks", bodies(200, zeros, chunked=True), "--push")
        port = free_port()
        for name, kind, body in (("zeros", "x-protobuf", bytes(4 * MIB - 10)),
                                 ("JSON", "json", b'{"resourceMetrics":[' + b"[" * 4 * MIB)):
            self.measure(
                f"100 clients of OTLP with 4 MiB of {name} by gzip",
                bodies(100, gzip.compress(body[:4 * MIB - 10]), port, f"application/{kind}",
                       "/v1/metrics"), "--otlp", f"127.0.0.1:{port}")
        known, long = (filled(lambda n: f"a{n % 100}:1|c"),
                       filled(lambda n: f"{'a' * 4000}{n}:1|c|#k:v"))
        for name in ("*", "*b*c*", "**" + "a*" * 1500 + "b"):
            short = name if len(name) < 9 else "a glob of 3,000 bytes"
            self.measure(f"known lines, with eight viewers of {short}", sent(known, known),
                         before=viewers(name))
            self.measure(f"long names, with eight viewers of {short}", sent(long),
                         before=viewers(name))
        line = subprocess.run([os.path.join(PROGRAMS, "metrics-sidecar"), "hash-password", "name"],
                              input=b"right", capture_output=True, check=True).stdout
        with tempfile.NamedTemporaryFile() as file:
            file.write(line)
            file.flush()
            self.measure("200 wrong passwords", passwords, "--push", "--push-auth", file.name)
        self.judge("Clients")

    def test_signals(self):
        """Signals, reloads, and what ends by itself."""
        self.measure("1,000 SIGHUP", signals(signal.SIGHUP, 1000), rules=new_rules(1000, "a"))
        for count in (1000, 5000):
            self.measure(f"a changed file of {count:,} rules, with 10,000 series", reload(count),
                         rules=new_rules(count, "a"), before=lambda sidecar, count=count:
                         full(sidecar, lambda n: f"f{n % count}.{n}:1|c"))
        self.measure("a changed file of rules, beside 400 full clients", reload_beside,
                     rules=new_rules(10, "a"))
        self.measure("SIGTERM with --linger, beside 400 full clients", stop_beside,
                     "--linger", "60s")
        self.measure("10,000 series that expire at once", expires, "--series-ttl", "2s",
                     before=full)
        self.measure("9,000 pushed series that expire at once", pushed_series_expire, "--push",
                     before=pushed(lambda: text(lambda n: f"p{{k=\"{n:080}\"}} 1"),
                                   "/metrics/job/j?ttl=2s"))
        self.judge("Signals and time")


if __name__ == "__main__":
    main()
