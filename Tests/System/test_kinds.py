#!/usr/bin/env python3
"""Sets, summaries, native histograms and gauges of several clients in a running sidecar: by the
official parsers, by protobuf of another make, by a real Prometheus with native histograms on; and
exactly once while the sidecar is killed.

    Tests/System/run kinds [SEED=N]
"""
import json
import math
import shutil
import socket
import subprocess
import time
from unittest import TestCase, main

from support import dice
from support.checks import check, wait_for
from support.prometheus import Prometheus
from support.readers import (
    OPEN, PROTO, parse_open, parse_protobuf, parse_text, samples_of_protobuf, samples_of_text,
    without_time)
from support.sidecar import Session, Sidecar

RULES = {"families": [
    {"name": "query_seconds", "type": "summary", "quantiles": [0.5, 0.9, 0.99], "window": "1h",
     "labels": ["table"], "events": [{"event": "query"}]},
    {"name": "size_bytes", "type": "histogram", "native": True, "help": "Of answers",
     "events": [{"event": "size"}]},
    {"name": "drift", "type": "histogram", "native": True, "bucket_factor": 1.01,
     "max_buckets": 50, "zero_threshold": 0.001, "buckets": [-1, 1],
     "events": [{"event": "drift"}]},
    {"name": "users", "type": "set", "window": "1h", "events": [{"event": "user"}]},
    {"name": "crowd", "type": "set", "window": "1h", "exact": 1024,
     "events": [{"event": "visitor"}]},
    {"name": "busy", "type": "gauge", "merge": "livesum", "events": [{"event": "busy"}]},
    {"name": "busy_ever", "type": "gauge", "merge": "sum", "events": [{"event": "busy"}]},
    {"name": "busy_most", "type": "gauge", "merge": "livemax", "client": "pid",
     "events": [{"event": "busy.tagged"}]},
    {"name": "done_total", "type": "counter", "events": [{"event": "done"}]},
]}


def started():
    return Sidecar(rules=json.dumps(RULES))


def text_of(sidecar):
    return samples_of_text(parse_text(sidecar.get()[1].decode()))


def value(sidecar, name, **labels):
    return text_of(sidecar).get((name, tuple(sorted(labels.items()))))


def quantile(values, q):
    return sorted(values)[math.ceil(q * len(values)) - 1]


def near(found, exact, error, *words):
    check(abs(found / exact - 1) <= error, *words, "found", found, "exactly", exact)


def sets(sidecar):
    sidecar.send(*(f"user:{name}|s" for name in ("alice", "bob", "alice", "a:b", "ümläut")))
    check(value(sidecar, "users") == 4, "a set of four has", value(sidecar, "users"))
    sidecar.send(*(f"visitor:v{n % 30000}|s|@0.5" for n in range(60000)))
    near(value(sidecar, "crowd"), 30000, 4 * 1.2 / 32, "a set of 30,000")
    print("  sets: four are four; of 30,000 it says", int(value(sidecar, "crowd")))


def summaries(sidecar, dice):
    values = [dice.lognormvariate(-3, 0.5) for _ in range(20000)]
    sidecar.send(*(f"query:{v!r}|d|#table:a" for v in values))
    sidecar.send(*("query:0.1|d|@0.3|#table:rated" for _ in range(3000)))
    labels = {"table": "a"}
    check(value(sidecar, "query_seconds_count", **labels) == len(values), "samples are missing")
    near(value(sidecar, "query_seconds_sum", **labels), math.fsum(values), 1e-9, "the sum")
    for q in (0.5, 0.9, 0.99):
        near(value(sidecar, "query_seconds", quantile=repr(q), **labels), quantile(values, q),
             0.023, "quantile", q)
    check(value(sidecar, "query_seconds_count", table="rated") == 10000, "rates weigh wrong")
    print("  summaries: quantiles of 20,000 within 2.3 %, sum and count exact, @0.3 too")


def bucket_counts(histogram):
    """Counts by side and index, as Prometheus reads spans and deltas."""
    counts = {}
    for side, spans, deltas in ((1, histogram.positive_span, histogram.positive_delta),
                                (-1, histogram.negative_span, histogram.negative_delta)):
        deltas = iter(deltas)
        index = count = 0
        for position, span in enumerate(spans):
            check(position == 0 or span.offset > 0, "spans that could be one")
            index += span.offset
            for _ in range(span.length):
                count += next(deltas)
                check(count > 0, "an empty bucket")
                counts[side, index] = count
                index += 1
        check(next(deltas, None) is None, "more deltas than buckets")
    return counts


def native(sidecar, dice):
    values = [dice.lognormvariate(8, 1) for _ in range(20000)]
    drift = [dice.gauss(0, 10) ** 3 for _ in range(5000)] + [0, 0.0005, -0.0005]
    sidecar.send(*(f"size:{v!r}|h" for v in values), *(f"drift:{v!r}|h" for v in drift))
    families = {f.name: f for f in parse_protobuf(sidecar.get(accept=PROTO)[1])}
    for name, sent, factor in (("size_bytes", values, 1.1), ("drift", drift, None)):
        histogram = families[name].metric[0].histogram
        check(histogram.sample_count == len(sent), name, "has", histogram.sample_count)
        near(histogram.sample_sum, math.fsum(sent), 1e-9, "the sum")
        counts = bucket_counts(histogram)
        wanted = {}
        zeros = 0
        for v in sent:
            if abs(v) <= histogram.zero_threshold:
                zeros += 1
                continue
            # Each in its bucket, by the logarithm.
            index = math.ceil(math.log2(abs(v)) * 2 ** histogram.schema)
            key = (1 if v > 0 else -1, index)
            wanted[key] = wanted.get(key, 0) + 1
        check(histogram.zero_count == zeros, "zeros", histogram.zero_count, zeros)
        check(counts == wanted, name, "has other buckets")
        check(factor is None or histogram.schema == 3, "schema", histogram.schema)
    drift_histogram = families["drift"].metric[0].histogram
    check(len(bucket_counts(drift_histogram)) <= 50, "too many buckets")
    check([b.upper_bound for b in drift_histogram.bucket] == [-1, 1, math.inf], "fixed buckets")
    check(not families["size_bytes"].metric[0].histogram.bucket, "fixed buckets without a rule")
    check(value(sidecar, "size_bytes_bucket", le="+Inf") == len(values), "no +Inf")
    print("  native histograms: each of 25,000 samples in its bucket; schema 8 became",
          drift_histogram.schema, "for 50 buckets")
    return values


def formats(sidecar):
    by_text = text_of(sidecar)
    by_open = samples_of_text(parse_open(sidecar.get(accept=OPEN)[1].decode()))
    by_protobuf = samples_of_protobuf(parse_protobuf(sidecar.get(accept=PROTO)[1]))
    # OpenMetrics has no sum where values may be negative.
    signed = {key for key in by_text if key[0] in ("drift_sum", "drift_count")}
    check({k: v for k, v in without_time(by_open).items() if k not in signed}
          == {k: v for k, v in without_time(by_text).items() if k not in signed},
          "OpenMetrics has other samples")
    check(without_time(by_protobuf) == without_time(by_text), "protobuf has other samples")
    page = sidecar.get()[1]
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    problems = [line for line in checked.stderr.decode().splitlines()
                if "error while linting" in line or "parsing" in line]
    check(not problems, problems)
    print("  text, OpenMetrics and protobuf agree, and promtool reads them")


def prometheus(sidecar, values):
    with Prometheus(sidecar.metrics, sidecar.folder,
                    "--enable-feature=native-histograms") as server:
        wait_for(lambda: server.value("histogram_count(size_bytes)") is not None,
                 "Prometheus to have a native histogram")
        check(server.value("histogram_count(size_bytes)") == len(values), "another count")
        near(server.value("histogram_sum(size_bytes)"), math.fsum(values), 1e-9, "the sum")
        for q in (0.1, 0.5, 0.9):
            near(server.value(f"histogram_quantile({q},size_bytes)"), quantile(values, q), 0.05,
                 "Prometheus' quantile", q)
        median = server.value("histogram_quantile(0.5,size_bytes)")
        check(server.value("users") == 4, "the set is missing")
        found = server.value('query_seconds{table="a",quantile="0.5"}')
        check(found is not None, "the summary is missing")
    print(f"  a real Prometheus: median of the native histogram {median:.0f}, exactly "
          f"{quantile(values, 0.5):.0f}")


def conflicts(sidecar):
    sidecar.send("done:5|g", "done:1|c", "fresh:1|s", *["fresh:1|g"] * 3)
    name = "metrics_sidecar_type_conflicts_total"
    check(value(sidecar, name, family="done_total") == 1, "no conflict is told")
    check(value(sidecar, name, family="fresh") == 3, "no conflict is told")
    check(value(sidecar, "done_total") == 1, "the count is wrong")
    print("  conflicts of type are counted by family")


class Kinds(TestCase):
    def test_kinds(self):
        """Sets, summaries and native histograms by every reader, and types that conflict."""
        check(shutil.which("promtool"), "promtool is not installed (Debian: prometheus)")
        with started() as sidecar:
            sets(sidecar)
            chance = dice()
            summaries(sidecar, chance)
            values = native(sidecar, chance)
            formats(sidecar)
            conflicts(sidecar)
            prometheus(sidecar, values)

    def test_gauges(self):
        """Gauges of several clients: connections, a session over a kill, containers and tags."""
        with started() as sidecar:
            events = sidecar.path("events.sock")
            plain = []
            for number in (1, 2, 4):
                client = socket.socket(socket.AF_UNIX)
                client.connect(events)
                client.sendall(f"busy:{number}|g\n".encode())
                plain.append(client)
            session = Session(events)
            session.put("busy:8|g", "busy.tagged:5|g|#pid:7")
            session.flush()
            sidecar.send("busy:16|g|c:ci-one", "busy:8|g|c:ci-two", "busy:+8|g|c:ci-two",
                         "busy.tagged:3|g|#pid:8")
            wait_for(lambda: value(sidecar, "busy") == 47, "the sum of several clients")
            check(value(sidecar, "busy_ever") == 47 and value(sidecar, "busy_most") == 5,
                  "other sums")
            plain[1].close()
            wait_for(lambda: value(sidecar, "busy") == 45, "a dead worker's part to go")
            check(value(sidecar, "busy_ever") == 47, "a sum of all forgets")
            # Killed: connections end, a session has time to come back.
            sidecar.process.kill()
            sidecar.process.wait()
            sidecar.start()
            check(value(sidecar, "busy") == 40, "after a kill", value(sidecar, "busy"))
            session.close()
            session.put("busy:+1|g")
            session.flush()
            check(value(sidecar, "busy") == 41, "a session does not find its part")
            session.close()
            wait_for(lambda: value(sidecar, "busy") == 32, "a dead session's part to go")
            check(value(sidecar, "busy_most") == 3, "the greatest of those that live")
            # A last line without its newline is that client's, and goes with it.
            with sidecar.unix("events.sock", socket.SOCK_STREAM) as client:
                client.sendall(b"busy:64|g")
            wait_for(lambda: value(sidecar, "busy_ever") == 112, "a line without its newline")
            wait_for(lambda: value(sidecar, "busy") == 32, "the client that said it to go")

    def test_kills(self):
        """A session sends frames of all kinds while the sidecar is killed at random moments."""
        with started() as sidecar:
            session = Session(sidecar.path("events.sock"))
            chance = dice()
            sent = 0
            for round in range(12):
                moment = time.monotonic() + chance.uniform(0.0, 0.2)
                while time.monotonic() < moment:
                    lines = []
                    for _ in range(20):
                        v = chance.lognormvariate(0, 2)
                        lines += [f"query:{v!r}|d|#table:k", f"size:{v!r}|h",
                                  f"drift:{-v!r}|h|@0.5",
                                  f"user:u{sent % 250}|s", "done:1|c"]
                        sent += 1
                    session.put(*lines)
                    session.put("busy:+1|g")
                    try:
                        if session.socket is None:
                            session.connect()
                        for _, whole in session.waiting[-2:]:
                            session.socket.sendall(whole)
                    except OSError:
                        session.close()
                sidecar.process.kill()
                sidecar.process.wait()
                session.close()
                sidecar.start()
            session.flush()
            check(sent > 0, "nothing was sent")
            check(value(sidecar, "done_total") == sent, "counter", value(sidecar, "done_total"),
                  sent)
            for name, labels, count in (("query_seconds_count", {"table": "k"}, sent),
                                        ("size_bytes_count", {}, sent),
                                        ("drift_count", {}, 2 * sent),
                                        ("users", {}, min(sent, 250))):
                found = value(sidecar, name, **labels)
                check(found == count, name, "has", found, "not", count)
            check(value(sidecar, "busy_ever") == session.number / 2, "the gauge",
                  value(sidecar, "busy_ever"), session.number / 2)
            for family in parse_protobuf(sidecar.get(accept=PROTO)[1]):
                if family.name == "size_bytes":
                    histogram = family.metric[0].histogram
                    total = sum(bucket_counts(histogram).values()) + histogram.zero_count
                    check(total == sent, "buckets have", total, "not", sent)
            session.close()
            print(f"  killed 12 times: {sent} samples of each kind are counted exactly once")


if __name__ == "__main__":
    main()
