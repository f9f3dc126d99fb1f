#!/usr/bin/env python3
"""What the sidecar exposes, read by programs that others wrote: the official Python parsers,
promtool, protobuf with the public field numbers, a real Prometheus; and numbers to the last bit."""
import argparse
import gzip
import http.client
import math
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

from google.protobuf import (
    descriptor_pb2, descriptor_pool, message_factory, unknown_fields)
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_text

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from checks import free_port, wait_for
from prometheus import Prometheus

OPEN = "application/openmetrics-text;version=1.0.0"
PROTO = ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
         "encoding=delimited")
# What Prometheus 2 and 3 send.
PROMETHEUS_2 = ("application/openmetrics-text;version=1.0.0,"
                "application/openmetrics-text;version=0.0.1;q=0.75,"
                "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
PROMETHEUS_3 = ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                "application/openmetrics-text;version=0.0.1;q=0.5,"
                "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                "text/plain;version=0.0.4;q=0.3,*/*;q=0.2")


class Failed(Exception):
    pass


def expect(condition, *words):
    if not condition:
        raise Failed(" ".join(str(word) for word in words))


class Sidecar:
    """One process with everything it has in a folder of its own."""

    def __init__(self, program, folder, *flags):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.statsd = self.folder / "statsd.sock"
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            [program, "--listen", f"127.0.0.1:{self.port}",
             "--events-socket", str(self.folder / "events.sock"),
             "--statsd-socket", str(self.statsd), "--state", str(self.folder / "state"), *flags],
            stdout=self.log, stderr=self.log)
        limit = time.monotonic() + 10
        while True:
            try:
                self.get("/-/ready")
                break
            except OSError:
                expect(time.monotonic() < limit and self.process.poll() is None,
                       "the sidecar does not start:", (self.folder / "log").read_text())
                time.sleep(0.02)
        self.client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.client.connect(str(self.statsd))

    def send(self, *lines):
        batch = b""
        for line in lines:
            line = line.encode() + b"\n"
            if len(batch) + len(line) > 8000:
                self.client.send(batch)
                batch = b""
            batch += line
        if batch:
            self.client.send(batch)

    def get(self, path="/metrics", method="GET", **fields):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.client.close()
        self.log.close()


def schema():
    """The public `metrics.proto`, as far as this page uses it, by its field numbers."""
    field = descriptor_pb2.FieldDescriptorProto
    kinds = {"string": field.TYPE_STRING, "double": field.TYPE_DOUBLE, "uint64": field.TYPE_UINT64,
             "int64": field.TYPE_INT64, "int32": field.TYPE_INT32, "sint32": field.TYPE_SINT32,
             "uint32": field.TYPE_UINT32, "sint64": field.TYPE_SINT64}
    messages = {
        "Timestamp": "1 seconds int64, 2 nanos int32",
        "LabelPair": "1 name string, 2 value string",
        "Exemplar": "1 label LabelPair*, 2 value double, 3 timestamp Timestamp",
        "Gauge": "1 value double",
        "Counter": "1 value double, 2 exemplar Exemplar, 3 created_timestamp Timestamp",
        "Quantile": "1 quantile double, 2 value double",
        "Summary": "1 sample_count uint64, 2 sample_sum double, 3 quantile Quantile*, "
                   "4 created_timestamp Timestamp",
        "Untyped": "1 value double",
        "BucketSpan": "1 offset sint32, 2 length uint32",
        "Bucket": "1 cumulative_count uint64, 2 upper_bound double, 3 exemplar Exemplar, "
                  "4 cumulative_count_float double",
        "Histogram": "1 sample_count uint64, 2 sample_sum double, 3 bucket Bucket*, "
                     "4 sample_count_float double, 5 schema sint32, 6 zero_threshold double, "
                     "7 zero_count uint64, 8 zero_count_float double, 9 negative_span BucketSpan*, "
                     "10 negative_delta sint64*, 11 negative_count double*, "
                     "12 positive_span BucketSpan*, 13 positive_delta sint64*, "
                     "14 positive_count double*, 15 created_timestamp Timestamp, "
                     "16 exemplars Exemplar*",
        "Metric": "1 label LabelPair*, 2 gauge Gauge, 3 counter Counter, 4 summary Summary, "
                  "5 untyped Untyped, 6 timestamp_ms int64, 7 histogram Histogram",
        "MetricFamily": "1 name string, 2 help string, 3 type int32, 4 metric Metric*, "
                        "5 unit string",
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="metrics.proto", package="io.prometheus.client", syntax="proto2")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for number, label, kind in (part.split() for part in fields.split(", ")):
            repeated = kind.endswith("*")
            kind = kind.rstrip("*")
            made = message.field.add(
                name=label, number=int(number),
                label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL)
            if kind in kinds:
                made.type = kinds[kind]
            else:
                made.type = field.TYPE_MESSAGE
                made.type_name = f".io.prometheus.client.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("io.prometheus.client.MetricFamily"))


FAMILY = schema()
COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM = range(5)


def parse_protobuf(page):
    families = []
    index = 0
    while index < len(page):
        length = shift = 0
        while True:
            byte = page[index]
            index += 1
            length |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                break
        family = FAMILY()
        expect(family.ParseFromString(page[index:index + length]) == length, "a message is cut")
        expect(len(unknown_fields.UnknownFieldSet(family)) == 0, "unknown fields")
        families.append(family)
        index += length
    return families


def samples_of_text(families):
    return {(s.name, tuple(sorted(s.labels.items()))): s.value
            for family in families for s in family.samples}


def samples_of_protobuf(families):
    samples = {}
    for family in families:
        for metric in family.metric:
            labels = {pair.name: pair.value for pair in metric.label}

            def add(suffix, value, **more):
                key = (family.name + suffix, tuple(sorted({**labels, **more}.items())))
                expect(key not in samples, "twice:", key)
                samples[key] = value

            if family.type == HISTOGRAM:
                for bucket in metric.histogram.bucket:
                    bound = bucket.upper_bound
                    add("_bucket", bucket.cumulative_count,
                        le="+Inf" if math.isinf(bound) else repr(bound))
                if not any(math.isinf(b.upper_bound) for b in metric.histogram.bucket):
                    add("_bucket", metric.histogram.sample_count, le="+Inf")
                add("_count", metric.histogram.sample_count)
                add("_sum", metric.histogram.sample_sum)
            elif family.type == SUMMARY:
                for quantile in metric.summary.quantile:
                    add("", quantile.value, quantile=repr(quantile.quantile))
                add("_count", metric.summary.sample_count)
                add("_sum", metric.summary.sample_sum)
            elif family.type == COUNTER:
                add("", metric.counter.value)
            elif family.type == GAUGE:
                add("", metric.gauge.value)
            else:
                add("", metric.untyped.value)
    return samples


def without_time(samples):
    """Without what differs between two scrapes by nature."""
    skipped = ("process_", "metrics_sidecar_scrape", "metrics_sidecar_pause")
    return {key: value for key, value in samples.items()
            if not key[0].startswith(skipped) and not key[0].endswith("_created")}


def fill(sidecar):
    for endpoint in ("/", "/bye", 'qu"o\\te', "ümläut", "multi word"):
        sidecar.send(f"http.hits:3|c|#endpoint:{endpoint}")
        sidecar.send(*(f"http.wait:{value}|d|#endpoint:{endpoint}" for value in (0.003, 0.3, 42)))
    sidecar.send("load:0.1|g", "empty:0|g", "huge:1.7976931348623157e308|g", "tiny:5e-324|g",
                 "minus:-12.5|g", "bytes_bytes:7|g", "odd:1|g", "odd.total:5|c",
                 "long:1|g|#text:" + "x" * 300)


def formats(sidecar):
    fill(sidecar)
    response, text = sidecar.get()
    expect(response.getheader("content-type") == "text/plain; version=0.0.4; charset=utf-8",
           response.getheader("content-type"))
    by_text = samples_of_text(parse_text(text.decode()))
    expect(by_text[("http_hits_total", (("endpoint", "ümläut"),))] == 3.0, "the count is wrong")
    expect(by_text[("huge", ())] == sys.float_info.max and by_text[("tiny", ())] == 5e-324,
           "numbers at the edge")

    response, page = sidecar.get(accept=OPEN)
    expect(response.getheader("content-type")
           == "application/openmetrics-text; version=1.0.0; charset=utf-8")
    families = list(parse_open(page.decode()))
    types = {family.name: family.type for family in families}
    expect(types["http_hits"] == "counter" and types["http_wait"] == "histogram", types)
    # `odd` is a gauge, so `odd_total` cannot be the counter `odd`.
    expect(types["odd"] == "gauge" and types["odd_total"] == "unknown", types)
    expect([f.unit for f in families if f.name == "bytes_bytes"] == ["bytes"], "no unit")
    by_open = samples_of_text(families)
    created = [value for (name, _), value in by_open.items() if name == "http_hits_created"]
    expect(len(created) == 5 and all(abs(value - time.time()) < 60 for value in created), created)
    expect(page.endswith(b"# EOF\n"), "no # EOF")
    expect(without_time(by_open) == without_time(by_text), "OpenMetrics has other samples")

    response, page = sidecar.get(accept=PROTO)
    expect("encoding=delimited" in response.getheader("content-type"))
    families = parse_protobuf(page)
    expect(without_time(samples_of_protobuf(families)) == without_time(by_text),
           "protobuf has other samples",
           set(without_time(samples_of_protobuf(families)).items())
           ^ set(without_time(by_text).items()))
    counter = next(f for f in families if f.name == "http_hits_total")
    expect(all(abs(m.counter.created_timestamp.seconds - time.time()) < 60
               for m in counter.metric), "no time of birth")

    for accept, wanted in (
            (PROMETHEUS_2, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
            (PROMETHEUS_3, "application/openmetrics-text; version=1.0.0; charset=utf-8; "
                           "escaping=allow-utf-8"),
            ("text/plain;version=1.0.0;escaping=allow-utf-8",
             "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
            ("application/json", "text/plain; version=0.0.4; charset=utf-8"),
            ("*/*", "text/plain; version=0.0.4; charset=utf-8")):
        response, page = sidecar.get(accept=accept)
        expect(response.getheader("content-type") == wanted, accept,
               response.getheader("content-type"))
    print("  text, OpenMetrics and protobuf have the same samples, read by other makers' parsers:",
          len(by_text))


def head_and_filter(sidecar):
    # A self-metric may get one digit more between the two, so a page without them is compared.
    path = "/metrics?name[]=http_hits_total"
    for fields in ({}, {"accept": OPEN}, {"accept": PROTO}, {"accept_encoding": "gzip"}):
        whole, body = sidecar.get(path, **fields)
        head, nothing = sidecar.get(path, method="HEAD", **fields)
        expect(nothing == b"" and head.getheader("content-length").strip() == str(len(body)),
               "HEAD differs", head.getheader("content-length"), len(body))
        expect(whole.getheader("content-type") == head.getheader("content-type"))
    _, page = sidecar.get("/metrics?name%5B%5D=http_wait_count&name[]=load")
    names = {family.name for family in parse_text(page.decode())}
    expect(names == {"http_wait", "load"}, names)
    _, page = sidecar.get("/metrics?name[]=metrics_sidecar_series", accept=OPEN)
    expect([f.name for f in parse_open(page.decode())] == ["metrics_sidecar_series"], page)
    _, page = sidecar.get("/metrics?name[]=no_such_family")
    expect(page == b"", page)
    first = [line.split(b" ")[0] for line in sidecar.get()[1].splitlines()]
    second = [line.split(b" ")[0] for line in sidecar.get()[1].splitlines()]
    expect(first == second, "the order changes")
    print("  HEAD, ?name[]= and a stable order")


def promtool(sidecar):
    expect(shutil.which("promtool"), "promtool is not installed (Debian: prometheus)")
    for path in ("/metrics",):
        _, page = sidecar.get(path)
        # The page has names that its linter does not like on purpose; parse errors are told apart.
        done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
        expect(b"error while linting" not in done.stderr, done.stderr.decode())
    # What the sidecar says of itself has no lint at all.
    _, page = sidecar.get()
    own = page[page.index(b"# HELP metrics_sidecar_events_total"):]
    done = subprocess.run(["promtool", "check", "metrics"], input=own, capture_output=True)
    expect(done.returncode == 0, (done.stdout + done.stderr).decode())
    print("  promtool reads the page and has nothing to say of the self-metrics")


def numbers(sidecar):
    source = random.Random(7)
    values = []
    while len(values) < 3000:
        value = struct.unpack("<d", source.randbytes(8))[0]
        if math.isfinite(value):
            values.append(value)
    values += [float(2 ** n) for n in range(64)] + [10.0 ** n for n in range(-30, 30)]
    values += [source.randrange(10 ** 15) / 1000 for _ in range(500)]
    for start in range(0, len(values), 200):
        sidecar.send(*(f"exact:{value!r}|g|#n:{start + n}"
                       for n, value in enumerate(values[start:start + 200]) if value >= 0))
    for accept, parse in (("", lambda page: samples_of_text(parse_text(page.decode()))),
                          (OPEN, lambda page: samples_of_text(parse_open(page.decode()))),
                          (PROTO, lambda page: samples_of_protobuf(parse_protobuf(page)))):
        found = parse(sidecar.get("/metrics?name[]=exact", accept=accept)[1])
        for n, value in enumerate(values):
            if value >= 0:
                expect(found[("exact", (("n", str(n)),))] == value, "differs:", value)
    print("  numbers come back to the last bit:", len(found))


def compressed(sidecar):
    for fields in ({}, {"accept": OPEN}, {"accept": PROTO}):
        path = "/metrics?name[]=exact&name[]=http_wait&name[]=long"
        _, plain = sidecar.get(path, **fields)
        response, packed = sidecar.get(path, accept_encoding="gzip", **fields)
        expect(response.getheader("content-encoding") == "gzip", "not compressed")
        expect(gzip.decompress(packed) == plain, "gzip gives another page")
        level_1 = len(zlib.compress(plain, 1))
        expect(len(packed) < level_1 * 1.15, "too long:", len(packed), "zlib has", level_1)
    for field in ("identity", "gzip;q=0", "br", "gzip;q=0.1, identity;q=0.5"):
        response, _ = sidecar.get(accept_encoding=field)
        expect(response.getheader("content-encoding") is None, field)
    for field in ("gzip", "gzip, deflate", "br;q=1.0, gzip;q=0.8, *;q=0.1", "*"):
        response, _ = sidecar.get(accept_encoding=field)
        expect(response.getheader("content-encoding") == "gzip", field)
    print("  gzip is what Python's zlib reads, no longer than its level 1 by more than 15 %")


RULES = """{"families": [
  {"name": "traced_total", "type": "counter", "exemplar": "trace_id", "labels": ["q"],
   "events": [{"event": "traced"}]},
  {"name": "traced_seconds", "type": "histogram", "exemplar": "trace_id",
   "events": [{"event": "took"}]}]}"""


def exemplars(program, folder):
    """Exemplars as the official parser, protobuf and a real Prometheus read them."""
    (pathlib.Path(folder) / "rules.json").write_text(RULES)
    sidecar = Sidecar(program, folder, "--rules", os.path.join(folder, "rules.json"))
    try:
        sidecar.send(*(f"traced:2|c|#trace_id:t{n},q:a" for n in range(500)),
                     "took:320|ms|#trace_id:w1", "took:0.02|d|#trace_id:w2", "took:3|d")
        families = list(parse_open(sidecar.get(accept=OPEN)[1].decode()))
        found = {(s.name, s.labels.get("le")): s.exemplar
                 for family in families for s in family.samples if s.exemplar}
        wanted = {("traced_total", None): ("t499", 2.0), ("traced_seconds_bucket", "0.5"): ("w1", 0.32),
                  ("traced_seconds_bucket", "0.025"): ("w2", 0.02)}
        expect({key: (e.labels["trace_id"], e.value) for key, e in found.items()} == wanted, found)
        expect(all(abs(float(e.timestamp) - time.time()) < 60 for e in found.values()), "times")
        by_name = {family.name: family for family in parse_protobuf(sidecar.get(accept=PROTO)[1])}
        counter = by_name["traced_total"].metric[0].counter.exemplar
        expect((counter.label[0].value, counter.value) == ("t499", 2.0), counter)
        buckets = {b.exemplar.label[0].value: b.exemplar.value
                   for b in by_name["traced_seconds"].metric[0].histogram.bucket if b.exemplar.label}
        expect(buckets == {"w1": 0.32, "w2": 0.02}, buckets)
        expect(b"trace_id" not in sidecar.get()[1], "text has an exemplar")
        with Prometheus(sidecar.port, folder, "--enable-feature=exemplar-storage") as server:
            def asked():
                return server.ask("query_exemplars?query=traced_total&start=0&end=9999999999")
            wait_for(asked, "Prometheus to have an exemplar", 60)
            data = asked()
            expect(data[0]["exemplars"][0]["labels"] == {"trace_id": "t499"}, data)
    finally:
        sidecar.stop()
    print("  exemplars, read by the official parser, protobuf and a real Prometheus")


def names(program, folder):
    """--utf8-names: what each scheme writes, and what the official parsers read."""
    sidecar = Sidecar(program, folder, "--utf8-names")
    try:
        sidecar.send("http.requests:3|c|#http.path:/a,bübel:\"x", "wait.seconds:0.3|h",
                     "plain:1|g", "größe:2|g")
        wanted = {("http.requests_total", (("bübel", '"x'), ("http.path", "/a"))): 3.0,
                  ("wait.seconds_count", ()): 1.0, ("plain", ()): 1.0, ("größe", ()): 2.0}
        for kind, parse in (
                ("text/plain;version=1.0.0", lambda page: samples_of_text(parse_text(page.decode()))),
                (OPEN, lambda page: samples_of_text(parse_open(page.decode()))),
                (PROTO, lambda page: samples_of_protobuf(parse_protobuf(page)))):
            response, page = sidecar.get(accept=kind + ";escaping=allow-utf-8")
            expect(response.getheader("content-type").endswith("; escaping=allow-utf-8"),
                   response.getheader("content-type"))
            found = parse(page)
            for key, value in wanted.items():
                expect(found.get(key) == value, kind, key, found.get(key))
            expect(any(name == "metrics_sidecar_series" for name, _ in found), "no own metrics")
            for scheme, name, label in (
                    ("underscores", "http_requests_total", "http_path"),
                    ("dots", "http_dot_requests__total", "http_dot_path"),
                    ("values", "U__http_2e_requests__total", "U__http_2e_path")):
                response, page = sidecar.get(accept=f"{kind};escaping={scheme}")
                expect(response.getheader("content-type").endswith(f"; escaping={scheme}"), scheme)
                labels = [dict(key[1]) for key in parse(page) if key[0] == name]
                expect(len(labels) == 1 and labels[0].get(label) == "/a", kind, scheme, labels)
        # A scraper that does not ask gets what it always got.
        _, page = sidecar.get()
        expect(b'\nhttp_requests_total{b_bel="\\"x",http_path="/a"} 3.0\n' in page, page.decode())
        _, page = sidecar.get("/metrics?name[]=http.requests_total")
        expect(page.count(b"\n") == 2, page.decode())
    finally:
        sidecar.stop()
    print("  names beyond ASCII in each format and scheme, read by the official parsers")


def large(sidecar):
    """Pages of many slices, several at once, whole in each format; a client that leaves; a stop."""
    count = 9000
    for start in range(0, count, 500):
        sidecar.send(*(f"many:1|c|#n:{n},path:/api/v1/things/{n % 7}"
                       for n in range(start, start + 500)))
    path = "/metrics?name[]=many_total"
    _, plain = sidecar.get(path)
    expect(plain.count(b"\nmany_total{") == count, "lines are missing")
    results = []

    def scrape(fields):
        _, body = sidecar.get(path, **fields)
        if "accept_encoding" in fields:
            body = gzip.decompress(body)
        if "accept" in fields:
            body = samples_of_protobuf(parse_protobuf(body))
            expect(len(body) == count, "protobuf has", len(body))
        else:
            expect(body == plain, "another page")
        results.append(True)

    kinds = ({}, {"accept_encoding": "gzip"}, {"accept": PROTO},
             {"accept": PROTO, "accept_encoding": "gzip"})
    threads = [threading.Thread(target=scrape, args=(kinds[n % 4],)) for n in range(24)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        gone = socket.create_connection(("127.0.0.1", sidecar.port))
        gone.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        gone.close()
    for thread in threads:
        thread.join(30)
    expect(len(results) == len(threads), "some scrapes failed")
    print("  pages of many slices:", len(results), "at once, in each format, with clients that leave")


def prometheus(sidecar, folder):
    # With native histograms on, Prometheus asks for protobuf; without, for OpenMetrics.
    for features in (["--enable-feature=native-histograms"], []):
        with Prometheus(sidecar.port, folder, *features) as server:
            wait_for(lambda: server.value('http_hits_total{endpoint="/bye"}') == 3,
                     "Prometheus to have a sample", 60)
            expect(server.value("up") == 1, "not up")
            count = server.value('http_wait_bucket{endpoint="/bye",le="+Inf"}')
            expect(count == 3, count)
    print("  a real Prometheus reads it, with native histograms on (protobuf) and off (OpenMetrics)")


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--programs", default=".build/debug")
    arguments = options.parse_args()
    program = os.path.join(arguments.programs, "metrics-sidecar")
    with tempfile.TemporaryDirectory(prefix="exposition-") as folder:
        sidecar = Sidecar(program, folder, "--max-series", "20000")
        try:
            for check in (formats, head_and_filter, promtool, numbers, compressed, large):
                check(sidecar)
            prometheus(sidecar, folder)
        finally:
            sidecar.stop()
        for check in (names, exemplars):
            os.makedirs(os.path.join(folder, check.__name__))
            check(program, os.path.join(folder, check.__name__))
        expect(sidecar.process.returncode == 0, "it ends with", sidecar.process.returncode)
    print("exposition: all passed")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED: {failure}")
