#!/usr/bin/env python3
"""Whatever was sent, pushed or written into the rules, each page can be read: by the official
Python parsers, protobuf with the public field numbers, promtool, and a real Prometheus.

    Tests/System/run any_page [SEED=1] [ROUNDS=20]

Each round has a sidecar of its own and is made of its seed alone, which a failure names. Names are
drawn from few that are much like each other, so that they meet.
"""
import http.client
import json
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
from unittest import TestCase, main

import prometheus_client
from prometheus_client.exposition import generate_latest

from support import PROGRAMS, setting
from support.checks import check, missing, wait_for
from support.prometheus import Prometheus
from support.readers import FAMILY, OPEN, PROTO, parse_open, parse_protobuf, parse_text
from support.sidecar import Sidecar

SEED = setting("SEED", 1)
ROUNDS = setting("ROUNDS", 20)

BASES = ["h", "s", "c", "a", "a.b", "a-b", "a--b", "a__b", "1a", "_1a", "1--a", "U__a_2e_b", "é",
         "a/b", "wait.seconds", "le", "quantile", "process_cpu_seconds", "push_time_seconds",
         "metrics_sidecar_series", "", "_", "x:y", "total", "a b", 'q"u\\o', "long" * 20]
ENDINGS = ["", "", "", "_total", "_created", "_count", "_sum", "_bucket", "_seconds",
           ".total", "_bytes"]
PLAIN = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABELS = ["a", "a.b", "a-b", "a--b", "a__b", "_a", "1a", "le", "quantile", "job", "instance",
          "overflow", "__x", "U__a_2e_b", "é", "x:y", "exported__a", "exported_a", "trace_id",
          "__name__", "a b"]
VALUES = ["", "x", "y", '"', "\\", "\\n", "}", "{", "#", ' # {a="b"} 1', "ü😱", "\r", "\0",
          "\u2028", "\x85", "v" * 300, "a,b", "=", " "]
NUMBERS = [0, 1, 2, 3, 7, -1, 0.5, -2.5, 1e16, 1e308, -1e308, 5e-324, 2**53, 2**64]
ODD_NUMBERS = NUMBERS + [float("nan"), float("inf"), float("-inf"), -0.0]
HELP = ["", "Help", 'a "quote', "a \\\\ slash", "\\n", "  ", "é\u2028", "# EOF", "x\r", '"',
        "tab\t"]
FORMATS = [("text/plain", parse_text), ("text/plain;version=1.0.0", parse_text), (OPEN, parse_open),
           ("application/openmetrics-text;version=0.0.1", parse_open), (PROTO, parse_protobuf)]
SCHEMES = ["", "underscores", "dots", "values", "allow-utf-8"]


class Draw(random.Random):
    """Random names, values and texts."""

    def name(self):
        return self.choice(BASES) + self.choice(ENDINGS)

    def plain(self):
        """A name that Prometheus has always allowed."""
        while not PLAIN.fullmatch(name := self.name()):
            pass
        return name

    def labels(self, most=3):
        return {self.choice(LABELS): self.choice(VALUES) for _ in range(self.randrange(most + 1))}

    def pushed_labels(self):
        """Most often without `__`: with it the whole push is refused."""
        labels = self.labels(2)
        if self.random() < 0.2:
            return labels
        return {name: value for name, value in labels.items() if not name.startswith("__")}

    def number(self, numbers=tuple(ODD_NUMBERS)):
        return float(self.choice(numbers))

    # What is sent.

    def event(self):
        """A line of bytes, in one of the dialects."""
        labels = [(name, value.replace("\n", "")) for name, value in self.labels().items()]
        name, tail = self.name(), ""
        dialect = self.randrange(6)
        if dialect == 0:
            name += "".join(f",{label}={value}" for label, value in labels)
        elif dialect == 1:
            name += "[" + ",".join(f"{label}={value}" for label, value in labels) + "]"
        else:
            tail = "|#" + ",".join(f"{label}:{value}" for label, value in labels)
        rate = self.choice(["", "", "", "|@0.5", "|@1e-9", "|@0.3"])
        value = repr(self.number(NUMBERS))
        line = f"{name}:{value}|{self.choice(['c', 'c', 'g', 'ms', 'h', 'd', 's'])}{rate}{tail}"
        data = line.encode()
        if self.random() < 0.1 and data:
            at = self.randrange(len(data))
            data = data[:at] + bytes([self.randrange(128, 256)]) + data[at + 1:]
        return data.replace(b"\n", b"")

    def rules(self):
        """Some that are without a mistake."""
        while True:
            text = self.any_rules()
            with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                program = os.path.join(PROGRAMS, "metrics-sidecar")
                done = subprocess.run([program, "check-rules", file.name], capture_output=True)
                if done.returncode == 0:
                    return text

    def any_rules(self):
        families, names = [], set()
        for _ in range(self.randrange(6)):
            kind = self.choice(
                ["counter", "gauge", "histogram", "summary", "set", "event", "native"])
            name = self.plain()
            if name in names:
                continue
            names.add(name)
            family = {"name": name, "type": "histogram" if kind == "native" else kind,
                      "help": self.choice(HELP), "other_tags": "keep",
                      "events": [{"event": self.choice([self.name() or "*", "*a*", "h*"])}]}
            if kind == "native":
                family["native"] = True
            if kind in ("histogram", "native") and self.random() < 0.7:
                family["buckets"] = self.choice([[-1, 0, 1], [0.1, 1], [1e300]])
            if kind == "summary":
                family["quantiles"] = [0, 0.5, 1]
            if kind in ("counter", "histogram", "native") and self.random() < 0.5:
                family["exemplar"] = "trace_id"
            families.append(family)
            for _ in range(self.choice([0, 0, 1, 3])):
                families.append(self.further(name, kind))
        return json.dumps({"families": families})

    def further(self, name, kind):
        """Another entry of a name, with a time to live, buckets or quantiles of its own."""
        family = {"name": name, "other_tags": "keep",
                  "events": [{"event": self.choice([self.name() or "*", "*b*", "*"])}]}
        if self.random() < 0.3:
            family["ttl"] = self.choice(["1m", "1h", "0"])
        if kind in ("histogram", "native", "event"):
            family |= self.choice([{}, {"buckets": [2]}, {"buckets": [0.5, 5]}, {"native": True},
                                   {"native": True, "buckets": [1], "max_buckets": 20}])
        if kind == "summary":
            family |= self.choice([{}, {"quantiles": [0.9]}, {"window": "1h"}])
        return family

    # What is pushed.

    def path(self):
        labels = "".join(f"/{self.choice(LABELS[:5])}/{self.choice(['x', 'y', '%22'])}"
                         for _ in range(self.randrange(2)))
        return (f"/metrics/job/{self.choice(['j', 'k'])}{labels}"
                f"{self.choice(['', '', '?mode=aggregate'])}")

    def text_push(self):
        """Text that may be wrong or inconsistent."""
        lines = []
        for _ in range(self.randrange(1, 5)):
            name, kind = self.plain(), self.choice(
                ["counter", "counter", "gauge", "histogram", "summary", "untyped", None])
            if self.random() < 0.5:
                lines.append(f"# HELP {name} {self.choice(HELP)}")
            if kind:
                lines.append(f"# TYPE {name} {kind}")
            for _ in range(self.randrange(1, 4)):
                lines += self.text_series(name, kind)
        return ("\n".join(lines) + "\n").encode()

    def text_series(self, name, kind):
        labels = {label: value for label, value in self.pushed_labels().items()
                  if PLAIN.fullmatch(label) and ":" not in label}

        def line(suffix, value, **more):
            pairs = ",".join('%s="%s"' % (label, text.replace("\\", "\\\\").replace('"', '\\"'))
                             for label, text in {**labels, **more}.items())
            return f"{name}{suffix}{{{pairs}}} {value!r}".replace("inf", "Inf")
        if kind == "histogram":
            return [line("_bucket", self.number(), le=str(bound))
                    for bound in sorted(self.sample([-1, 0, 0.5, 1, 5, "+Inf"], 3), key=str)
                    ] + [line("_sum", self.number()), line("_count", self.number())]
        if kind == "summary":
            return [line("", self.number(), quantile=str(quantile))
                    for quantile in self.sample([-1, 0, 0.5, 0.99, 1, 2, "+Inf"], 2)
                    ] + [line("_sum", self.number()), line("_count", self.number())]
        return [line("", self.number())]

    def protobuf_push(self):
        body = b""
        for _ in range(self.randrange(1, 4)):
            family = FAMILY(name=self.plain(), help=self.choice(HELP), type=self.randrange(6))
            for _ in range(self.randrange(1, 3)):
                metric = family.metric.add()
                for name, value in self.pushed_labels().items():
                    metric.label.add(name=name, value=value)
                self.fill(metric, family.type)
            message = family.SerializeToString()
            length = len(message)
            while length > 127:
                body += bytes([length & 127 | 128])
                length >>= 7
            body += bytes([length]) + message
        return body

    def fill(self, metric, kind):
        if kind == 0:
            metric.counter.value = self.number()
        elif kind == 1:
            metric.gauge.value = self.number()
        elif kind == 2:
            metric.summary.sample_count = self.randrange(9)
            metric.summary.sample_sum = self.number()
            for quantile in self.sample([-1, 0, 0.5, 1, 2], 2):
                metric.summary.quantile.add(quantile=quantile, value=self.number())
        elif kind == 3:
            metric.untyped.value = self.number()
        else:
            histogram = metric.histogram
            histogram.sample_sum = self.number()
            if self.random() < 0.5:
                histogram.sample_count = self.randrange(9)
            else:
                histogram.sample_count_float = self.number()
            for bound in sorted(self.sample([-1, 0, 1, 5], 2)):
                histogram.bucket.add(upper_bound=bound, cumulative_count_float=self.number())
            if self.random() < 0.3:
                histogram.schema, histogram.zero_threshold = 0, 0.1
                histogram.positive_span.add(offset=0, length=1)
                histogram.positive_delta.append(2)

    def client_push(self):
        """What the official Python client pushes: start times beside its families."""
        registry = prometheus_client.CollectorRegistry()
        for kind in (prometheus_client.Counter, prometheus_client.Histogram,
                     prometheus_client.Summary,
                     prometheus_client.Gauge):
            if self.random() < 0.7:
                try:
                    made = kind(self.plain(), self.choice(HELP) or "x", registry=registry)
                except ValueError:
                    continue
                getattr(made, "observe", getattr(made, "inc", None))(self.choice([0, 1, 2.5]))
        return generate_latest(registry)


def request(sidecar, method, path, body, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.metrics, timeout=20)
    connection.request(method, path, body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def act(draw, sidecar):
    """One random thing; what became of a push."""
    choice = draw.randrange(8)
    if choice < 4:
        with sidecar.unix("statsd.sock", socket.SOCK_DGRAM) as s:
            s.send(b"\n".join(draw.event() for _ in range(draw.randrange(1, 12))))
        return None
    if choice == 4 and draw.random() < 0.5:
        with open(sidecar.path("rules.json"), "w", encoding="utf-8") as file:
            file.write(draw.rules())
        request(sidecar, "POST", "/-/reload", b"")
        return None
    method = draw.choice(["PUT", "POST"])
    if choice == 5:
        return request(sidecar, method, draw.path(), draw.protobuf_push(), **{
            "Content-Type": "application/vnd.google.protobuf; "
                            "proto=io.prometheus.client.MetricFamily; encoding=delimited"})
    body = draw.client_push() if choice == 6 else draw.text_push()
    return request(sidecar, method, draw.path(), body)


# What is read.

def unique(series, what):
    seen = set()
    for each in series:
        check(each not in seen, what, "has twice:", each)
        seen.add(each)


def read(parse, page, what):
    """Reads a page by an official parser, which has to take all of it; no series is there twice."""
    try:
        families = list(parse(page if parse is parse_protobuf else page.decode()))
    except ValueError as error:
        raise AssertionError(f"{what}: {error}") from error
    if parse is parse_open:
        unique(((s.name, frozenset(s.labels.items())) for f in families for s in f.samples), what)
    if parse is parse_text:
        # Its parser calls a counter `a` the same as `a_total`, so the lines themselves are
        # compared.
        unique((line.rsplit(" ", 1)[0] for line in page.decode().split("\n")
                if line and line[0] != "#"), what)
    if parse is not parse_protobuf:
        return
    unique((family.name for family in families), what)
    for family in families:
        check(family.name, what, "has a family without a name")
        for metric in family.metric:
            unique((label.name for label in metric.label), what)
            check(not any(label.name.startswith("__") for label in metric.label), what, metric)
        unique((frozenset((label.name, label.value) for label in metric.label)
                for metric in family.metric), f"{what}: {family.name}")


def pages(draw, sidecar, what):
    """Each page in each form and escaping, and one with a filter."""
    for accept, parse in FORMATS:
        for scheme in SCHEMES:
            accepted = accept + (f";escaping={scheme}" if scheme else "")
            path = "/metrics"
            if draw.random() < 0.2:
                path += "?" + "&".join(f"name[]={draw.plain()}" for _ in range(3))
            response, page = sidecar.get(path, accept=accepted)
            check(response.status == 200, what, response.status)
            read(parse, page, f"{what}, {path}, {accepted}")


def promtool(sidecar, what):
    """promtool, whose linter has things to say of such names, finds no mistake of grammar."""
    page = sidecar.get()[1]
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
    check(b"error while linting" not in done.stderr, what, done.stderr.decode())


def scraped(sidecar, what):
    """A real Prometheus takes the page as OpenMetrics, and as protobuf."""
    for features in ([], ["--enable-feature=native-histograms"]):
        with Prometheus(sidecar.metrics, sidecar.folder, *features) as server:
            wait_for(lambda: server.value("up") is not None, what + ": a scrape", 60)
            target = server.ask("targets")["activeTargets"][0]
            check(server.value("up") == 1, what, features, target["lastError"])


def one_round(seed):
    """How many pushes were taken, and how many refused."""
    draw = Draw(seed)
    what = f"SEED={seed} ROUNDS=1"
    flags = ["--push", *(flag for flag in ("--utf8-names", "--created-lines", "--push-aggregate")
                         if draw.random() < 0.4)]
    with Sidecar(*flags, rules=draw.rules() if draw.random() < 0.6 else "{}") as sidecar:
        became = [act(draw, sidecar) for _ in range(draw.randrange(10, 60))]
        pages(draw, sidecar, what)
        promtool(sidecar, what)
        if seed % 20 == 1:
            scraped(sidecar, what)
        check(sidecar.process.poll() is None, what, "the sidecar has ended")
    return became.count(200), became.count(400)


class AnyPage(TestCase):
    def test_any_page(self):
        """Random events, rules and pushes: every page in each form and escaping can be read."""
        for tool in ("promtool", "prometheus"):
            if not shutil.which(tool):
                missing(f"{tool} is not installed: Debian's package prometheus")
        taken, refused = (sum(counts)
                          for counts in zip(*map(one_round, range(SEED, SEED + ROUNDS))))
        check(ROUNDS < 10 or taken > ROUNDS, "hardly a push was taken:", taken)
        print(f"  {ROUNDS} rounds, {taken} pushes taken, {refused} refused")


if __name__ == "__main__":
    main()
