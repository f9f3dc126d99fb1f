#!/usr/bin/env python3
"""What the sidecar exposes, read by programs that others wrote: the official Python parsers,
promtool, protobuf with the public field numbers, a real Prometheus; and numbers to the last bit.

    Tests/System/run exposition
"""
import contextlib
import gzip
import json
import math
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from unittest import TestCase, main

from support.checks import check, wait_for
from support.prometheus import Prometheus
from support.readers import (
    OPEN, PROTO, parse_open, parse_protobuf, parse_text, samples_of_protobuf, samples_of_text,
    without_time)
from support.sidecar import Sidecar

# What Prometheus 2 and 3 send.
PROMETHEUS_2 = ("application/openmetrics-text;version=1.0.0,"
                "application/openmetrics-text;version=0.0.1;q=0.75,"
                "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
PROMETHEUS_3 = ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                "application/openmetrics-text;version=0.0.1;q=0.5,"
                "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                "text/plain;version=0.0.4;q=0.3,*/*;q=0.2")


def fill(sidecar):
    for endpoint in ("/", "/bye", 'qu"o\\te', "ümläut", "multi word"):
        sidecar.send(f"http.hits:3|c|#endpoint:{endpoint}")
        sidecar.send(*(f"http.wait:{value}|d|#endpoint:{endpoint}" for value in (0.003, 0.3, 42)))
    sidecar.send("load:0.1|g", "empty:0|g", "huge:1.7976931348623157e308|g", "tiny:5e-324|g",
                 "minus:-12.5|g", "bytes_bytes:7|g", "odd:1|g", "odd.total:5|c",
                 "long:1|g|#text:" + "x" * 300,
                 # Names that others have already, as their own, their samples' or the sidecar's.
                 "clash:1|h", "clash_count:2|c", "clash_created:3|c", "clash_bucket:1|g",
                 "odd.total_created:2|c", "metrics_sidecar_series:5|g", "process_open_fds:1|g")


@contextlib.contextmanager
def filled(*flags):
    """A sidecar with a series of each kind and odd names; it has to end well."""
    with Sidecar(*flags) as sidecar:
        fill(sidecar)
        yield sidecar
        sidecar.stop()
        check(sidecar.process.returncode == 0, "it ends with", sidecar.process.returncode)


def same_samples(sidecar):
    response, text = sidecar.get()
    check(response.getheader("content-type") == "text/plain; version=0.0.4; charset=utf-8",
          response.getheader("content-type"))
    by_text = samples_of_text(parse_text(text.decode()))
    check(by_text[("http_hits_total", (("endpoint", "ümläut"),))] == 3.0, "the count is wrong")
    check(by_text[("huge", ())] == sys.float_info.max and by_text[("tiny", ())] == 5e-324,
          "numbers at the edge")

    response, page = sidecar.get(accept=OPEN)
    check(response.getheader("content-type")
          == "application/openmetrics-text; version=1.0.0; charset=utf-8")
    families = list(parse_open(page.decode()))
    types = {family.name: family.type for family in families}
    check(types["http_hits"] == "counter" and types["http_wait"] == "histogram", types)
    # `odd` is a gauge, so `odd_total` cannot be the counter `odd`.
    check(types["odd"] == "gauge" and types["odd_total"] == "unknown", types)
    check([f.unit for f in families if f.name == "bytes_bytes"] == ["bytes"], "no unit")
    by_open = samples_of_text(families)
    check(b"_hits_created" not in page, "OpenMetrics has start times that nobody asked for")
    check(page.endswith(b"# EOF\n"), "no # EOF")
    check(without_time(by_open) == without_time(by_text), "OpenMetrics has other samples")

    response, page = sidecar.get(accept=PROTO)
    check("encoding=delimited" in response.getheader("content-type"))
    families = parse_protobuf(page)
    check(without_time(samples_of_protobuf(families)) == without_time(by_text),
          "protobuf has other samples",
          set(without_time(samples_of_protobuf(families)).items())
          ^ set(without_time(by_text).items()))
    counter = next(f for f in families if f.name == "http_hits_total")
    check(all(abs(m.counter.created_timestamp.seconds - time.time()) < 60
              for m in counter.metric), "no start time")

    print("  samples:", len(by_text))


def negotiated(sidecar):
    for accept, wanted in (
            (PROMETHEUS_2, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            (PROMETHEUS_3, "application/openmetrics-text; version=1.0.0; charset=utf-8; "
                           "escaping=allow-utf-8"),
            ("text/plain;version=1.0.0;escaping=allow-utf-8",
             "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
            ("application/json", "text/plain; version=0.0.4; charset=utf-8"),
            ("*/*", "text/plain; version=0.0.4; charset=utf-8")):
        response, page = sidecar.get(accept=accept)
        check(response.getheader("content-type") == wanted, accept,
              response.getheader("content-type"))


def exact_values():
    """Numbers of every size, and a family `exact` that has them by their place in the list."""
    source = random.Random(7)
    values = []
    while len(values) < 3000:
        value = struct.unpack("<d", source.randbytes(8))[0]
        if math.isfinite(value):
            values.append(value)
    values += [float(2 ** n) for n in range(64)] + [10.0 ** n for n in range(-30, 30)]
    values += [source.randrange(10 ** 15) / 1000 for _ in range(500)]
    values = [value for value in values if value >= 0]
    return values, [f"exact:{value!r}|g|#n:{n}" for n, value in enumerate(values)]


RULES = """{"families": [
  {"name": "traced_total", "type": "counter", "exemplar": "trace_id", "labels": ["q"],
   "events": [{"event": "traced"}]},
  {"name": "traced_seconds", "type": "histogram", "exemplar": "trace_id",
   "events": [{"event": "took"}]},
  {"name": "traced_bytes", "type": "histogram", "native": true, "exemplar": "trace_id",
   "events": [{"event": "size"}]}]}"""


def entry(event, **more):
    return {"name": "took", "labels": ["l"], "events": [{"event": event}], **more}


# One name in several entries with their own buckets.
FORMS = json.dumps({"families": [
    entry("a", type="histogram", buckets=[1, 2], help="Took"), entry("b", buckets=[5]),
    entry("c", native=True), entry("d", native=True, buckets=[0.5], ttl="1h"),
    {"name": "paused", "type": "summary", "quantiles": [0.5], "events": [{"event": "p"}]},
    {"name": "paused", "quantiles": [0.9], "labels": ["l"], "events": [{"event": "q"}]}]})


class Exposition(TestCase):
    def test_formats(self):
        """Text, OpenMetrics and protobuf have the same samples, read by other makers' parsers."""
        with filled() as sidecar:
            same_samples(sidecar)
            negotiated(sidecar)

    def test_created(self):
        """--created-lines: a start time for each series of a counter or histogram, nothing else."""
        with filled("--created-lines") as sidecar:
            page = sidecar.get(accept=OPEN)[1].decode()
            by_open = samples_of_text(parse_open(page))
            for name, count in (("http_hits_created", 5), ("http_wait_created", 5),
                                ("load_created", 0)):
                found = [value for (each, _), value in by_open.items() if each == name]
                check(len(found) == count, name, found)
                check(all(abs(value - time.time()) < 60 for value in found), name, found)
            by_text = samples_of_text(parse_text(sidecar.get()[1].decode()))
            check(without_time(by_open) == without_time(by_text), "OpenMetrics has other samples")

    def test_head_and_filter(self):
        """HEAD, ?name[]= and a stable order."""
        with filled() as sidecar:
            # A self-metric may get one digit more between the two, so a page without them is
            # compared.
            path = "/metrics?name[]=http_hits_total"
            for fields in ({}, {"accept": OPEN}, {"accept": PROTO}, {"accept_encoding": "gzip"}):
                whole, body = sidecar.get(path, **fields)
                head, nothing = sidecar.get(path, method="HEAD", **fields)
                check(nothing == b"" and head.getheader("content-length").strip() == str(len(body)),
                      "HEAD differs", head.getheader("content-length"), len(body))
                check(whole.getheader("content-type") == head.getheader("content-type"))
            _, page = sidecar.get("/metrics?name%5B%5D=http_wait_count&name[]=load")
            names = {family.name for family in parse_text(page.decode())}
            check(names == {"http_wait", "load"}, names)
            _, page = sidecar.get("/metrics?name[]=metrics_sidecar_series", accept=OPEN)
            check([f.name for f in parse_open(page.decode())] == ["metrics_sidecar_series"], page)
            _, page = sidecar.get("/metrics?name[]=no_such_family")
            check(page == b"", page)
            first = [line.split(b" ")[0] for line in sidecar.get()[1].splitlines()]
            second = [line.split(b" ")[0] for line in sidecar.get()[1].splitlines()]
            check(first == second, "the order changes")

    def test_promtool(self):
        """promtool reads the page and has nothing to say of the self-metrics."""
        with filled() as sidecar:
            check(shutil.which("promtool"), "promtool is not installed (Debian: prometheus)")
            for path in ("/metrics",):
                _, page = sidecar.get(path)
                # The page has names that its linter does not like on purpose; parse errors are told
                # apart.
                done = subprocess.run(["promtool", "check", "metrics"], input=page,
                                      capture_output=True)
                check(b"error while linting" not in done.stderr, done.stderr.decode())
            # What the sidecar says of itself has no lint at all.
            _, page = sidecar.get()
            own = page[page.index(b"# HELP metrics_sidecar_events_total"):]
            done = subprocess.run(["promtool", "check", "metrics"], input=own, capture_output=True)
            check(done.returncode == 0, (done.stdout + done.stderr).decode())

    def test_numbers(self):
        """Numbers come back to the last bit in each format."""
        values, lines = exact_values()
        with Sidecar() as sidecar:
            sidecar.send(*lines)
            for accept, parse in (("", lambda page: samples_of_text(parse_text(page.decode()))),
                                  (OPEN, lambda page: samples_of_text(parse_open(page.decode()))),
                                  (PROTO, lambda page: samples_of_protobuf(parse_protobuf(page)))):
                found = parse(sidecar.get("/metrics?name[]=exact", accept=accept)[1])
                for n, value in enumerate(values):
                    check(found[("exact", (("n", str(n)),))] == value, "differs:", value)
        print("  numbers:", len(found))

    def test_compressed(self):
        """gzip is what Python's zlib reads, no longer than its level 1 by more than 15 %."""
        with filled() as sidecar:
            sidecar.send(*exact_values()[1])
            for fields in ({}, {"accept": OPEN}, {"accept": PROTO}):
                path = "/metrics?name[]=exact&name[]=http_wait&name[]=long"
                _, plain = sidecar.get(path, **fields)
                response, packed = sidecar.get(path, accept_encoding="gzip", **fields)
                check(response.getheader("content-encoding") == "gzip", "not compressed")
                check(gzip.decompress(packed) == plain, "gzip gives another page")
                level_1 = len(zlib.compress(plain, 1))
                check(len(packed) < level_1 * 1.15, "too long:", len(packed), "zlib has", level_1)
            for field in ("identity", "gzip;q=0", "br", "gzip;q=0.1, identity;q=0.5"):
                response, _ = sidecar.get(accept_encoding=field)
                check(response.getheader("content-encoding") is None, field)
            for field in ("gzip", "gzip, deflate", "br;q=1.0, gzip;q=0.8, *;q=0.1", "*"):
                response, _ = sidecar.get(accept_encoding=field)
                check(response.getheader("content-encoding") == "gzip", field)

    def test_large(self):
        """Pages of many slices, several at once, whole in each format; a client that leaves; a
        stop."""
        with filled("--max-series", "20000") as sidecar:
            count = 9000
            for start in range(0, count, 500):
                sidecar.send(*(f"many:1|c|#n:{n},path:/api/v1/things/{n % 7}"
                               for n in range(start, start + 500)))
            path = "/metrics?name[]=many_total"
            _, plain = sidecar.get(path)
            check(plain.count(b"\nmany_total{") == count, "lines are missing")
            results = []

            def scrape(fields):
                _, body = sidecar.get(path, **fields)
                if "accept_encoding" in fields:
                   body = gzip.decompress(body)
                if "accept" in fields:
                   body = samples_of_protobuf(parse_protobuf(body))
                   check(len(body) == count, "protobuf has", len(body))
                else:
                   check(body == plain, "another page")
                results.append(True)

            kinds = ({}, {"accept_encoding": "gzip"}, {"accept": PROTO},
                    {"accept": PROTO, "accept_encoding": "gzip"})
            threads = [threading.Thread(target=scrape, args=(kinds[n % 4],)) for n in range(24)]
            for thread in threads:
                thread.start()
            for _ in range(10):
                gone = socket.create_connection(("127.0.0.1", sidecar.metrics))
                gone.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
                gone.close()
            for thread in threads:
                thread.join(30)
            check(len(results) == len(threads), "some scrapes failed")
            print("  pages at once:", len(results))

    def test_prometheus(self):
        """A real Prometheus, with native histograms on (protobuf) and off (OpenMetrics)."""
        with filled() as sidecar:
            # With native histograms on, Prometheus asks for protobuf; without, for OpenMetrics.
            for features in (["--enable-feature=native-histograms"], []):
                with Prometheus(sidecar.metrics, sidecar.folder, *features) as server:
                   wait_for(lambda: server.value('http_hits_total{endpoint="/bye"}') == 3,
                            "Prometheus to have a sample", 60)
                   check(server.value("up") == 1, "not up")
                   count = server.value('http_wait_bucket{endpoint="/bye",le="+Inf"}')
                   check(count == 3, count)

    def test_forms(self):
        """One name with several sets of buckets or quantiles: every parser and a real Prometheus
        read it, and it outlives a kill."""
        lines = [f"{name}:{value}|h|#l:{name}" for name in "abcdpq" for value in (0.3, 3, 30)]

        def bounds(families):
            return {metric.label[0].value: [b.upper_bound for b in metric.histogram.bucket
                                            if b.upper_bound < math.inf]
                    for family in families if family.name == "took" for metric in family.metric}

        with Sidecar("--push", rules=FORMS) as sidecar:
            for times in (1, 2):
                sidecar.send(*lines)
                by_text = samples_of_text(parse_text(sidecar.get()[1].decode()))
                by_open = samples_of_text(parse_open(sidecar.get(accept=OPEN)[1].decode()))
                families = parse_protobuf(sidecar.get(accept=PROTO)[1])
                by_proto = samples_of_protobuf(families)
                check(without_time(by_open) == without_time(by_text), "OpenMetrics differs")
                check(without_time(by_proto) == without_time(by_text), "protobuf differs")
                check(bounds(families) == {"a": [1, 2], "b": [5], "c": [], "d": [0.5]}, families)
                check(by_text["took_bucket", (("l", "b"), ("le", "5.0"))] == 2 * times, by_text)
                check(by_text["took_count", (("l", "c"),)] == 3 * times, by_text)
                check(sidecar.get()[1].count(b"# TYPE took histogram") == 1, "not one head")
                check(("paused", (("l", "q"), ("quantile", "0.9"))) in by_text, by_text)
                sidecar.process.kill()
                sidecar.process.wait()
                sidecar.start()
            for features in (["--enable-feature=native-histograms"], []):
                with Prometheus(sidecar.metrics, sidecar.folder, *features) as server:
                    wait_for(lambda: server.value('took_bucket{l="b",le="+Inf"}') == 6
                             or features and server.value("up") == 1, "Prometheus", 60)
                    check(server.value("up") == 1, "not up")

    def test_names(self):
        """--utf8-names: what each scheme writes, and what the official parsers read."""
        with Sidecar("--utf8-names") as sidecar:
            sidecar.send("http.requests:3|c|#http.path:/a,bübel:\"x", "wait.seconds:0.3|h",
                         "plain:1|g", "größe:2|g")
            wanted = {("http.requests_total", (("bübel", '"x'), ("http.path", "/a"))): 3.0,
                      ("wait.seconds_count", ()): 1.0, ("plain", ()): 1.0, ("größe", ()): 2.0}
            for kind, parse in (
                    ("text/plain;version=1.0.0",
                     lambda page: samples_of_text(parse_text(page.decode()))),
                    (OPEN, lambda page: samples_of_text(parse_open(page.decode()))),
                    (PROTO, lambda page: samples_of_protobuf(parse_protobuf(page)))):
                response, page = sidecar.get(accept=kind + ";escaping=allow-utf-8")
                check(response.getheader("content-type").endswith("; escaping=allow-utf-8"),
                      response.getheader("content-type"))
                found = parse(page)
                for key, value in wanted.items():
                    check(found.get(key) == value, kind, key, found.get(key))
                check(any(name == "metrics_sidecar_series" for name, _ in found), "no own metrics")
                for scheme, name, label in (
                        ("underscores", "http_requests_total", "http_path"),
                        ("dots", "http_dot_requests__total", "http_dot_path"),
                        ("values", "U__http_2e_requests__total", "U__http_2e_path")):
                    response, page = sidecar.get(accept=f"{kind};escaping={scheme}")
                    check(response.getheader("content-type").endswith(f"; escaping={scheme}"),
                          scheme)
                    labels = [dict(key[1]) for key in parse(page) if key[0] == name]
                    check(len(labels) == 1 and labels[0].get(label) == "/a", kind, scheme, labels)
            # A scraper that does not ask gets what it always got.
            _, page = sidecar.get()
            check(b'\nhttp_requests_total{b_bel="\\"x",http_path="/a"} 3.0\n' in page,
                  page.decode())
            _, page = sidecar.get("/metrics?name[]=http.requests_total")
            check(page.count(b"\n") == 2, page.decode())

    def test_exemplars(self):
        """Exemplars as the official parser, protobuf and a real Prometheus read them."""
        with Sidecar(rules=RULES) as sidecar:
            sidecar.send(*(f"traced:2|c|#trace_id:t{n},q:a" for n in range(500)),
                         "took:320|ms|#trace_id:w1", "took:0.02|d|#trace_id:w2", "took:3|d")
            families = list(parse_open(sidecar.get(accept=OPEN)[1].decode()))
            found = {(s.name, s.labels.get("le")): s.exemplar
                     for family in families for s in family.samples if s.exemplar}
            wanted = {("traced_total", None): ("t499", 2.0),
                      ("traced_seconds_bucket", "0.5"): ("w1", 0.32),
                      ("traced_seconds_bucket", "0.025"): ("w2", 0.02)}
            check({key: (e.labels["trace_id"], e.value) for key, e in found.items()} == wanted,
                  found)
            check(all(abs(float(e.timestamp) - time.time()) < 60 for e in found.values()), "times")
            by_name = {family.name: family
                       for family in parse_protobuf(sidecar.get(accept=PROTO)[1])}
            counter = by_name["traced_total"].metric[0].counter.exemplar
            check((counter.label[0].value, counter.value) == ("t499", 2.0), counter)
            buckets = {b.exemplar.label[0].value: b.exemplar.value
                       for b in by_name["traced_seconds"].metric[0].histogram.bucket
                       if b.exemplar.label}
            check(buckets == {"w1": 0.32, "w2": 0.02}, buckets)
            # A native histogram has its own list; each of them needs a time.
            sidecar.send("size:100|h|#trace_id:n0",
                         *(f"size:{2 ** n}|h|#trace_id:n{n}" for n in range(6, 9)))
            families = {family.name: family
                        for family in parse_protobuf(sidecar.get(accept=PROTO)[1])}
            own = families["traced_bytes"].metric[0].histogram.exemplars
            check({e.label[0].value: e.value for e in own} == {"n6": 64, "n7": 128, "n8": 256}, own)
            check(all(e.label[0].name == "trace_id" and abs(e.timestamp.seconds - time.time()) < 60
                      for e in own), own)
            check(b"trace_id" not in sidecar.get()[1], "text has an exemplar")
            with Prometheus(sidecar.metrics, sidecar.folder,
                            "--enable-feature=exemplar-storage,native-histograms") as server:
                def asked(name):
                    data = server.ask(f"query_exemplars?query={name}&start=0&end=9999999999")
                    return {e["labels"]["trace_id"] for each in data or []
                            for e in each["exemplars"]}
                wait_for(lambda: asked("traced_total"), "Prometheus to have an exemplar")
                check(asked("traced_total") == {"t499"}, asked("traced_total"))


if __name__ == "__main__":
    main()
