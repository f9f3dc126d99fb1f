"""The worst of each request, frame and datagram there is: how long the loop stands for it, by CPU.
A table of all of them; each stays below 100 ms at the default limits.

    Tests/System/run worst [TRIES=3] [ONLY=push]
"""
import gzip
import itertools
import json
import os
import signal
import socket
import time
from unittest import main

from support.checks import check, free_port, wait_for
from support.dear_rules import DEAR, MANY, dear, name
from support.otlp_worst import requests
from support.push_bodies import PROTOBUF, TEXT, double, family, field, label, varint
from support.sidecar import Session, Sidecar, Wire, frame
from support.worst import WorstCase

MIB = 1 << 20
OM = "application/openmetrics-text; version=1.0.0; escaping=underscores"
PB = PROTOBUF + "; escaping=underscores"


def filled(line, byte_count=MIB - 64):
    """As many lines as fit: `line(number)` makes each."""
    lines, size = [], 0
    for number in itertools.count():
        text = line(number)
        size += (len(text.encode()) if isinstance(text, str) else len(text)) + 1
        if size > byte_count:
            return lines
        lines.append(text)


def sent(*lines):
    """A frame of 1 MiB with a session's number, until it is acknowledged."""
    def act(sidecar):
        wire = Wire(sidecar)
        wire.socket.settimeout(60)
        wire.send(frame("_session|" + os.urandom(16).hex()))
        for number, each in enumerate(lines, 1):
            wire.send(frame(f"_seq|{number}", *each))
        answers = wire.answers(len(lines) + 1)
        check(answers[-1] == f"_ack|{len(lines)}", answers[-3:])
    return act


def tags(number, count=30):
    return ",".join(f"k{each}:{number}" for each in range(count))


FRAMES = {
    "known lines": lambda n: f"a{n % 100}:1|c",
    "new names": lambda n: f"n{n}:1|c",
    "new series": lambda n: f"s:1|c|#k:{n}",
    "new series of 30 tags": lambda n: f"s:1|c|#{tags(n)}",
    "new series of long values": lambda n: f"s:1|c|#k:{n:0900}",
    "new histograms": lambda n: f"t:1|ms|#k:{n}",
    "odd names": lambda n: f"é.{n}-ü:1|c|#ö.{n}:ä",
    "values of many digits": lambda n: f"v:{n}.{'1' * 300}e-{n % 400}|g",
    "values packed": lambda n: "p:" + ":".join(["1.5"] * 2000) + "|ms",
    "sets": lambda n: f"u:{n}|s",
    "sample rates": lambda n: f"r:1|c|@0.{n:09}",
    "refused": lambda n: f"{n}|{n}",
    "times": lambda n: "g:1|g|T1e400",
    "exemplars": lambda n: f"e{n % 100}:1|c|x:trace_id={n},span_id={n}",
    "declarations": lambda n: f"_family|d{n}|c|help {n}",
    "one family that changes its type": lambda n: f"_family|d|{'cg'[n % 2]}|x",
    "series made before": lambda n: f"_series|m:1|c|#k:{n}",
    "spectator": lambda n: f"c:spec,k={n}:1",
    "empty lines": lambda n: "",
}

RULES = json.dumps({"families": [
    {"name": "s_native", "type": "histogram", "native": True, "events": [{"event": "native.*"}]},
    {"name": "s_summary", "type": "summary", "quantiles": [0.5, 0.9],
     "constants": {"k": "$1"}, "events": [{"event": "summary.*"}]},
    {"name": "s_set", "type": "set", "exact": 40000, "events": [{"event": "set"}]},
    {"name": "s_busy", "type": "gauge", "merge": "livesum", "constants": {"k": "$1"},
     "events": [{"event": "busy.*"}]}]})
RULED = {
    "native histograms": lambda n: f"native.a:{1.1 ** (n % 6000 - 3000)}|d",
    "summaries": lambda n: f"summary.{n % 5000}:{n}|d",
    "an exact set": lambda n: f"set:{n}|s",
    "merged gauges": lambda n: f"busy.{n % 9000}:{n}|g",
}


def datagrams(sidecar):
    """As many as wait at once, of 60 KB, new series each."""
    clients = []
    numbers = itertools.count()
    for _ in range(40):
        client = sidecar.unix("statsd.sock")
        client.setblocking(False)
        clients.append(client)
        try:
            while True:
                client.send("\n".join(filled(lambda _: f"w:1|c|#k:{next(numbers)}",
                                             60_000)).encode())
        except BlockingIOError:
            pass
    return clients


def datagrams_of_names(sidecar):
    """A line each, while others ask."""
    with sidecar.unix("statsd.sock") as client:
        for number in range(60):
            client.send(name(number).encode())
    wait_for(sidecar.page, "the page")


def names(kind, count=40):
    """As many new names in one frame, in frames of one, or as plain lines."""
    def act(sidecar):
        lines = [name(number) for number in range(count)]
        if kind == "frame":
            sent(lines)(sidecar)
        elif kind == "frames":
            session = Session(sidecar.path("events.sock"))
            for line in lines:
                session.put(line)
            session.flush()
        else:
            with socket.create_connection(("127.0.0.1", sidecar.tcp)) as client:
                client.sendall("\n".join(lines + [""]).encode())
            sidecar.page()
    return act


def full(sidecar, line=lambda n: f"f{n % 50}:1|c|#a:{n:0900},b:é\"{n}"):
    """10,000 series, 9 MB of text."""
    lines = [line(number) for number in range(10_000)]
    for start in range(0, len(lines), 1000):
        sent(lines[start:start + 1000])(sidecar)


def got(path="/metrics", method="GET", most=300, **fields):
    def act(sidecar):
        response, _ = sidecar.get(path, method, **fields)
        check(response.status < most, path, response.status)
    return act


READS = {
    "text": got(), "text, gzip": got(accept_encoding="gzip"),
    "OpenMetrics": got(accept=OM), "OpenMetrics, gzip": got(accept=OM, accept_encoding="gzip"),
    "protobuf": got(accept=PB), "protobuf, gzip": got(accept=PB, accept_encoding="gzip"),
    "text, escaping=values": got(accept="text/plain;version=1.0.0;escaping=values"),
    "protobuf, escaping=dots": got(accept=PROTOBUF + ";escaping=dots"),
    "2,000 names": got("/metrics?" + "&".join(f"name[]=f{n % 50}_total" for n in range(350))),
    "groups": got("/api/v1/metrics"), "status": got("/api/v1/status"), "page": got(
        "/", accept="text/html"), "ready": got("/-/ready"),
    "reload": got("/-/reload", "POST"),
}


def pushed(body, path="/metrics/job/j", method="POST", kind=TEXT, most=600, encoding=None):
    content = body() if callable(body) else body

    def act(sidecar):
        fields = {"Content-Type": kind, "Content-Length": str(len(content))}
        if encoding:
            fields["Content-Encoding"] = encoding
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
        with socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=120) as client:
            client.sendall(head.encode() + content)
            answer = b""
            while chunk := client.recv(65536):
                answer += chunk
        check(answer.startswith(b"HTTP/1.1 ") and int(answer[9:12]) < most, answer[:300])
    return act


def text(line, head=""):
    return (head + "\n".join(filled(line, MIB - 200 - len(head))) + "\n").encode()


def one_family_of_protobuf():
    metrics, size = [], 0
    for number in itertools.count():
        metric = label(b"k", str(number).encode()) + field(3, double(1, 1))
        size += len(metric) + 3
        if size > MIB - 100:
            return family(b"pb_total", 0, *metrics)
        metrics.append(metric)


def many_families_of_protobuf():
    return b"".join(filled(lambda n: family(f"p{n}".encode(), 1, field(2, double(1, 1))),
                           MIB - 40_000))


def subsets(sidecar):
    """8,191 groups: each subset of 13 label names."""
    names = [f"l{n}" for n in range(13)]
    with socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=120) as client:
        answers = client.makefile("rb")
        for bits in range(8191):
            path = "".join(f"/{name}/v" for at, name in enumerate(names) if bits >> at & 1)
            client.sendall(f"POST /metrics/job/j{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                           "Content-Length: 4\r\n\r\na 1\n".encode())
            length = 0
            while (line := answers.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answers.read(length)


def with_all_names():
    names = ",".join(f'l{n}="v"' for n in range(13))
    return "".join(f'b{{{names},n="{n}"}} 1\n' for n in range(5000)).encode()


PUSHES = {
    "one family": pushed(lambda: text(lambda n: f"m{{k=\"{n}\"}} 1", "# TYPE m counter\n")),
    "many families": pushed(lambda: text(lambda n: f"m{n} 1")),
    "families with types": pushed(lambda: text(lambda n: f"# TYPE m{n} gauge\nm{n} 1")),
    "histograms": pushed(lambda: text(
        lambda n: f'h_bucket{{k="{n}",le="+Inf"}} 1\nh_sum{{k="{n}"}} 1\nh_count{{k="{n}"}} 1',
        "# TYPE h histogram\n")),
    "150,000 labels": pushed(b"m{" + b",".join(b"l%d=\"\"" % n for n in range(80_000)) + b"} 1\n"),
    "32 labels": pushed(lambda: text(
        lambda n: "m{" + ",".join(f'l{each}="{n}"' for each in range(32)) + "} 1")),
    "numbers of many digits": pushed(lambda: text(lambda n: f"m{n} 1.{'7' * 700}e-30")),
    "comments": pushed(lambda: text(lambda n: f"# {n}")),
    "one long help": pushed(b"# HELP m " + b"\\n" * 500_000 + b"\nm 1\n"),
    "the same twice": pushed(lambda: text(lambda n: f"m{{k=\"{n % 40000}\"}} 1")),
    "gzip": pushed(lambda: gzip.compress(text(lambda n: f"m{{k=\"{n}\"}} 1")), encoding="gzip"),
    "gzip of zeros": pushed(lambda: gzip.compress(b"\0" * 64 * MIB), encoding="gzip"),
    "protobuf, one family": pushed(one_family_of_protobuf, kind=PROTOBUF),
    "protobuf, many families": pushed(many_families_of_protobuf, kind=PROTOBUF),
    "protobuf, one long number": pushed(
        varint(MIB - 10) + b"\xff" * (MIB - 10), kind=PROTOBUF),
    "adding up": pushed(lambda: text(lambda n: f"m{{k=\"{n}\"}} 1", "# TYPE m counter\n"),
                        "/metrics/job/add?mode=aggregate"),
    "replacing": pushed(lambda: text(lambda n: f"m{{k=\"{n}\"}} 2", "# TYPE m counter\n"),
                        method="PUT"),
    "deleting": pushed(b"", method="DELETE"),
    "long labels": pushed(lambda: text(lambda n: f"p{{k=\"{n:080}\"}} 1")),
    "a long path": pushed(b"a 1\n", "/metrics/job/" + "/".join(
        f"l{n}/{'v' * 200}" for n in range(30))),
    "wipe": pushed(b"", "/api/v1/admin/wipe", "PUT", most=300),
}


class Worst(WorstCase):
    def test_frames(self):
        """A frame of 1 MiB of whatever, into an empty sidecar and into one that is full."""
        for name, line in FRAMES.items():
            self.measure(f"frame: {name}", sent(filled(line)))
        for name, line in FRAMES.items():
            self.measure(f"frame into a full one: {name}", sent(filled(line)), before=full)
        for name, line in RULED.items():
            self.measure(f"frame: {name}", sent(filled(line), filled(line)), rules=RULES)
        self.judge("Frames")

    def test_a_frame_of_many_turns_is_whole(self):
        """A frame that takes several turns shows whole or not at all, and a worker killed amidst
        of it loses and doubles nothing."""
        numbers, sent_count = itertools.count(), 0
        with Sidecar("--supervise") as sidecar:
            session, kills = Session(sidecar.path("events.sock")), 0
            # Before the room for series is gone.
            sidecar.send("first:0|c", "last:0|c", "n:0|c")
            for number in range(12):
                lines = filled(lambda _: f"n:1|c|#k:{next(numbers)}", MIB - 100)
                sent_count += len(lines)
                session.put("first:1|c", *lines, "last:1|c")
                for _ in range(100):
                    try:
                        session.connect()
                        if number % 2 == 0:
                            # It is applied in some 150 ms; whatever it has come to.
                            time.sleep(0.01 * number)
                            os.kill(sidecar.worker(), signal.SIGKILL)
                            kills += 1
                            number += 1
                        for _ in range(5):
                            page = sidecar.values()
                            check(page.get("first_total") == page.get("last_total"),
                                  page.get("first_total"), page.get("last_total"))
                        session.flush()
                        break
                    except (OSError, TypeError):
                        session.close()
                        wait_for(sidecar.page, "the next worker")
            values = sidecar.expect({"first_total": 12, "last_total": 12})
            count = sum(value for name, value in values.items() if name.startswith("n_total"))
            check(count == sent_count, count, "of", sent_count, "lines were counted")
            print(f"  12 frames, {sent_count} lines, {kills} kills")

    def test_datagrams(self):
        """All the datagrams that 40 clients can leave while nobody reads."""
        def act(sidecar):
            sidecar.process.send_signal(signal.SIGSTOP)
            clients = datagrams(sidecar)
            sidecar.process.send_signal(signal.SIGCONT)
            wait_for(sidecar.page, "the page")
            for client in clients:
                client.close()
        self.measure("datagrams of 60 KB, new series", act)
        self.judge("Datagrams of 60 KB")

    def test_rules(self):
        """Names of 250 bytes that nobody has seen, with the dearest rules there can be."""
        for number, expressions in enumerate(DEAR):
            self.measure(f"datagrams of a name each, expression {number}", datagrams_of_names,
                         rules=dear(expressions))
        self.measure("datagrams of a name each, 60,000 globs", datagrams_of_names, rules=MANY)
        for kind in ("frame", "frames", "lines"):
            self.measure(f"new names in {kind}", names(kind), rules=dear(DEAR[0]))
        self.judge("Dear rules")

    def test_reads(self):
        """Each path, of a sidecar with 10,000 long series and 9,000 pushed ones."""
        def before(sidecar):
            full(sidecar)
            PUSHES["long labels"](sidecar)
        for name, act in READS.items():
            self.measure(f"read: {name}", act, "--push", before=before)
        self.judge("Requests")

    def test_pushes(self):
        """Each push of 1 MiB: into an empty store, and into one that has 8,191 groups."""
        flags = "--push", "--push-aggregate", "--push-admin"
        for name, act in PUSHES.items():
            before = PUSHES["one family"] if name in ("replacing", "deleting", "wipe") else None
            self.measure(f"push: {name}", act, *flags, before=before)
        self.measure("8,191 groups of the subsets of 13 names", subsets, *flags)
        beside = {name: PUSHES[name] for name in ("one family", "adding up", "wipe")}
        beside["5,000 series with all 13 names"] = pushed(with_all_names)
        for name, act in beside.items():
            self.measure(f"push beside them: {name}", act, *flags, before=subsets)
        self.judge("Pushes")

    def test_otlp(self):
        """Each request of OTLP that is as long as it may be."""
        port = free_port()
        for name, act in requests(port):
            self.measure(f"OTLP: {name}", act, "--otlp", f"127.0.0.1:{port}")
        self.judge("Requests of OTLP")


if __name__ == "__main__":
    main()
