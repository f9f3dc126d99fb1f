#!/usr/bin/env python3
"""Pushes: the same requests to the sidecar and to Debian's Pushgateway, the official Python client,
kills right after an answer, and pushes a CPU second of both.

    .ci/python .ci/push.py --programs dist/linux-amd64 [--only NAME]

The requests are in push_requests.py. Every difference from Pushgateway that is expected has a line
there in DIFFERENCES, and docs/push.md explains it. Only loopback, free ports, a folder of its own.
"""
import base64
import gzip
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import checks
from checks import check, free_port
from push_requests import DIFFERENCES, HISTOGRAM_TEXT, OTHER_SERIES, PROTOBUF, REQUESTS

GO_PATH = "/usr/share/gocode"


class Program:
    """A server in a folder of its own."""

    def __init__(self, name, command):
        self.name = name
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="push-")
        self.command = command
        self.start()

    def start(self):
        arguments = [part.format(port=self.port, folder=self.folder) for part in self.command]
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(arguments, stdout=self.log, stderr=self.log)
        for _ in range(2000):
            try:
                self.request("GET", "/-/ready")
                return
            except OSError:
                check(self.process.poll() is None, f"{self.name} ended: see {self.folder}/log")
                time.sleep(0.005)
        raise SystemExit(f"FAILED: {self.name} does not answer")

    def request(self, method, path, body=b"", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def cpu_ticks(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def sidecar(options, *flags):
    return Program(
        "sidecar",
        [options.program, "--listen", "127.0.0.1:{port}", "--events-socket", "", "--statsd-socket",
         "", "--state", "{folder}/state", "--push", *flags])


def pushgateway(options):
    return Program(
        "pushgateway",
        [options.pushgateway, "--web.listen-address=127.0.0.1:{port}", "--persistence.file=",
         "--web.enable-admin-api"])


def samples(page, may_repeat=False):
    """Lines of an exposition as {series: value}, types as {"TYPE name": type}; times only as 0 or
    1. What each server says of itself is left out."""
    own = re.compile(r"^(go_|process_|promhttp_|pushgateway_|metrics_sidecar_)")
    found = {}
    for line in page.decode().splitlines():
        if line.startswith("# TYPE "):
            name, _, kind = line[7:].partition(" ")
            if not own.match(name):
                found[f"TYPE {name}"] = kind
        elif line.startswith("# HELP "):
            name, _, text = line[7:].partition(" ")
            if not own.match(name) and text:
                found[f"HELP {name}"] = text
        elif line and not own.match(line):
            series, value = line.rsplit(" ", 1)
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', series))
            for bound in ("le", "quantile"):
                # Pushed as labels of untyped families they are texts, which stay as they are.
                try:
                    labels[bound] = str(float(labels[bound].replace("Inf", "inf")))
                except (KeyError, ValueError):
                    pass
            key = series.split("{")[0] + json.dumps(labels, sort_keys=True)
            number = float(value.replace("Inf", "inf").replace("NaN", "nan"))
            if series.startswith(("push_time_seconds", "push_failure_time_seconds")):
                number = float(number > 0)
            check(may_repeat or key not in found, f"the series {key} is there twice")
            found[key] = repr(number)
    return found


def compare(options):
    """The same requests to both."""
    ours, theirs = sidecar(options, "--push-admin"), pushgateway(options)
    with ours, theirs:
        unexpected = []
        seen = set()
        for name, method, path, body, headers in REQUESTS:
            here = ours.request(method, path, body, headers)
            there = theirs.request(method, path, body, headers)
            if here[0] != there[0]:
                seen.add(name)
                if DIFFERENCES.get(name) != (here[0], there[0]):
                    unexpected.append(f"{name}: {here[0]} here, {there[0]} there: {here[1][:150]} / {there[1][:150]}")
        pages = [samples(p.request("GET", "/metrics")[1], p is theirs) for p in (ours, theirs)]
        for key in sorted(set(pages[0]) | set(pages[1])):
            pair = (pages[0].get(key), pages[1].get(key))
            if pair[0] != pair[1] and not any(re.match(p, key) for p in OTHER_SERIES):
                unexpected.append(f"{key}: {pair[0]} here, {pair[1]} there")
        for name in set(DIFFERENCES) - seen:
            unexpected.append(f"{name}: no difference any more; take it out of the table")
        check(not unexpected, "differences:\n  " + "\n  ".join(unexpected))
        # A group whose key has an empty instance is a twin of the one without.
        for program in (ours, theirs):
            twin = program.request("PUT", "/metrics/job/c/instance@base64/=", b"u2 1\n")[0]
            check(twin == 400, f"a twin of a group: {twin}")
        after = [p.request("GET", "/metrics")[0] for p in (ours, theirs)]
        check(after[0] == 200, f"/metrics after a refused push: {after[0]}")
        print(f"  after a push that both refuse, /metrics is {after[0]} here and {after[1]} there")
        wipe = [p.request("PUT", "/api/v1/admin/wipe")[0] for p in (ours, theirs)]
        check(wipe == [202, 202], f"wipe: {wipe}")
        check(not samples(ours.request("GET", "/metrics")[1]), "groups after a wipe")
    print(f"  {len(REQUESTS)} requests, {len(DIFFERENCES)} with another status and {len(OTHER_SERIES)} kinds of "
          f"series told otherwise, {len(pages[0])} lines of exposition compared")


def documented(_):
    """Every expected difference is explained."""
    with open("docs/push.md") as page:
        text = page.read()
    for name in DIFFERENCES:
        check(f"`{name}`" in text, f"docs/push.md does not explain `{name}`")
    for pattern, why in OTHER_SERIES.items():
        check(why in text, f"docs/push.md does not say: {why}")


def same_api(options):
    """The query API of both."""

    def cleaned(data):
        out = {}
        for group in data["data"]:
            for name, value in group.items():
                if isinstance(value, dict) and "time_stamp" in value:
                    check(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$", value.pop("time_stamp")), "a time")
                    if name.startswith("push_"):
                        for metric in value["metrics"]:
                            metric["value"] = float(metric["value"]) > 0
            out[json.dumps(group["labels"], sort_keys=True)] = group
        return out

    ours, theirs = sidecar(options), pushgateway(options)
    with ours, theirs:
        for path, body in [
            ("/metrics/job/a/z/1", b"# HELP b \"q\" \\\\ \\n<\n# TYPE b gauge\nb{x=\"1\"} 2.5\nb{x=\"2\"} 1234567\n"
             b"b{x=\"3\"} 0.00001234\nb{x=\"4\"} 123456\nb{x=\"5\"} -Inf\nb{x=\"6\\n\\\"<\"} 1e21\nb{x=\"7\"} -0.5\n"),
            ("/metrics/job/h", HISTOGRAM_TEXT),
            ("/metrics/job/s", b"# TYPE s summary\ns{quantile=\"0.5\"} 0.0001\ns_sum 1\ns_count 2\n"),
            ("/metrics/job/bad", b"x 1 5\n"),
        ]:
            for program in (ours, theirs):
                program.request("PUT", path, body)
        answers = [cleaned(json.loads(p.request("GET", "/api/v1/metrics")[1])) for p in (ours, theirs)]
        check(answers[0] == answers[1], f"the API's answers differ:\n{answers[0]}\n{answers[1]}")
        status = json.loads(ours.request("GET", "/api/v1/status")[1])
        check(set(status["data"]) == {"flags", "start_time", "build_information"}, "status")
        print(f"  {len(answers[0])} groups, the same but for the times")


def python_client(options):
    """The official Python client."""
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
    from prometheus_client import REGISTRY, delete_from_gateway, push_to_gateway, pushadd_to_gateway
    from prometheus_client.exposition import basic_auth_handler
    from prometheus_client.parser import text_string_to_metric_families
    ours, theirs = sidecar(options), pushgateway(options)
    with ours, theirs:
        for program in (ours, theirs):
            gateway = f"127.0.0.1:{program.port}"
            registry = CollectorRegistry()
            Counter("jobs", "Jobs", ["kind"], registry=registry).labels('a"\n\\').inc(3)
            Gauge("temperature", "How warm", registry=registry).set(-1.5)
            Histogram("seconds", "Time", registry=registry).observe(0.3)
            Summary("size", "Size", registry=registry).observe(7)
            push_to_gateway(gateway, "batch", registry, {"path": "/a/b", "empty": ""})
            more = CollectorRegistry()
            Gauge("temperature", "How warm", registry=more).set(20)
            pushadd_to_gateway(gateway, "batch", more, {"path": "/a/b", "empty": ""})
            push_to_gateway(gateway, "gone", registry)
            delete_from_gateway(gateway, "gone")
            push_to_gateway(gateway, "whole", REGISTRY, {"instance": "i"})
        ignored = re.compile(r".*(_created|python_)")
        pages = []
        for program in (ours, theirs):
            page = program.request("GET", "/metrics")[1]
            list(text_string_to_metric_families(page.decode()))
            pages.append({k: v for k, v in samples(page).items() if not ignored.match(k)})
        check(pages[0] == pages[1], f"{set(pages[0].items()) ^ set(pages[1].items())}")
        check(any('"path": "/a/b"' in key for key in pages[0]), "the group is there")
        check(not any('"gone"' in key for key in pages[0]), "a deleted group is there")
        print(f"  push, pushadd, delete: {len(pages[0])} lines of exposition, the same in both")
    line = subprocess.run(
        [options.program, "hash-password", "ci"], input=b"se:cret\n", capture_output=True, check=True).stdout
    with tempfile.NamedTemporaryFile() as file:
        file.write(line)
        file.flush()
        with sidecar(options, "--push-auth", file.name, "--push-admin") as program:
            gateway = f"127.0.0.1:{program.port}"
            registry = CollectorRegistry()
            Gauge("temperature", "How warm", registry=registry).set(1)

            def handler(**arguments):
                return basic_auth_handler(**arguments, username="ci", password="se:cret")

            push_to_gateway(gateway, "batch", registry, handler=handler)
            for method, path in [("PUT", "/metrics/job/batch"), ("DELETE", "/metrics/job/batch"), ("PUT", "/api/v1/admin/wipe")]:
                check(program.request(method, path)[0] == 401, f"{method} {path} without a password")
            wrong = {"Authorization": "Basic " + base64.b64encode(b"ci:guess").decode()}
            answers = [program.request("PUT", "/metrics/job/batch", b"", wrong)[0] for _ in range(20)]
            check(set(answers) <= {401, 429} and 429 in answers, f"guesses: {answers}")
            push_to_gateway(gateway, "batch", registry, handler=handler)
            check(b'temperature{instance="",job="batch"} 1.0' in program.request("GET", "/metrics")[1], "the push")

            def reload(text, told):
                with open(file.name, "wb") as passwords:
                    passwords.write(text)
                start = os.path.getsize(os.path.join(program.folder, "log"))
                program.process.send_signal(signal.SIGHUP)
                end = time.monotonic() + 30
                while time.monotonic() < end:
                    with open(os.path.join(program.folder, "log"), "rb") as log:
                        log.seek(start)
                        if told in log.read():
                            return
                    time.sleep(0.01)
                raise SystemExit(f"FAILED: no line in the log: {told}")

            reload(b"nonsense\n", b"the passwords stay as they were")
            push_to_gateway(gateway, "batch", registry, handler=handler)
            reload(b"# nobody\n", b"the passwords were read again")
            known = {"Authorization": "Basic " + base64.b64encode(b"ci:se:cret").decode()}
            answers = {program.request("PUT", "/metrics/job/batch", b"", known)[0] for _ in range(3)}
            check(answers <= {401, 429}, f"a password that was taken out: {answers}")
            reload(line, b"the passwords were read again")
            end = time.monotonic() + 30
            while program.request("PUT", "/metrics/job/batch", b"", known)[0] != 200:
                check(time.monotonic() < end, "a password that was put back")
                time.sleep(0.2)
    print("  basic auth: known passwords pass, guesses are 401 and then 429; SIGHUP reads the file again")


def go_client(options):
    """Go's client_golang."""
    check(shutil.which("go"), "go is missing: Debian's golang-go")
    check(os.path.isdir(GO_PATH + "/src/github.com/prometheus/client_golang/prometheus/push"),
          "client_golang is missing: Debian's golang-github-prometheus-client-golang-dev")
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "push")
        # What Debian has built its own packages with: no module is downloaded.
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": GO_PATH, "GOFLAGS": "",
                       "GOCACHE": os.path.join(folder, "cache")}
        subprocess.run(["go", "build", "-o", program, ".ci/push_client.go"], env=environment, check=True)
        ours, theirs = sidecar(options), pushgateway(options)
        with ours, theirs:
            pages = []
            for server in (ours, theirs):
                subprocess.run([program, f"http://127.0.0.1:{server.port}"], check=True)
                page = samples(server.request("GET", "/metrics")[1])
                # The client's own process and runtime have other values each time.
                pages.append({k: v if "pushed_" in k or k.startswith("push") else "" for k, v in page.items()})
            check(pages[0] == pages[1], f"{set(pages[0].items()) ^ set(pages[1].items())}")
            check(any('"path": "/a/b"' in key and "pushed_seconds" in key for key in pages[0]), "the group is there")
            check(not any('"gone"' in key for key in pages[0]), "a deleted group is there")
            native = subprocess.run([program, f"http://127.0.0.1:{ours.port}", "native"], capture_output=True, text=True)
            check(native.returncode == 1 and "native histogram, which cannot be pushed here" in native.stdout,
                  f"a native histogram: {native.stdout}")
    print(f"  Push, Add, Delete as protobuf and text: {len(pages[0])} lines of exposition, the same in both")


def beyond(options):
    """What Pushgateway does not have."""
    with sidecar(options, "--max-push-size", "64KiB", "--max-push-groups", "3", "--max-push-series", "50") as program:
        def push(path, body, headers=None, method="POST"):
            return program.request(method, path, body, headers or {})

        counter = b"# TYPE runs_total counter\nruns_total 2\n"
        for _ in range(3):
            check(push("/metrics/job/a?mode=aggregate", counter)[0] == 200, "aggregate")
        page = program.request("GET", "/metrics")[1]
        check(b'runs_total{instance="",job="a"} 6.0' in page, "counters add up")
        status, text = push("/metrics/job/b?check=1", b"# TYPE runs_total gauge\nruns_total 1\n")
        check(status == 400 and b"runs_total is a counter" in text, f"check=1: {status} {text}")
        status, text = push("/metrics/job/b?check=1", counter)
        check(status == 200 and text == b"ok: 1 families, 1 series\n", f"check=1: {status} {text}")
        check(b'job="b"' not in program.request("GET", "/metrics")[1], "a dry run left something")
        check(push("/metrics/job/b?ttl=1s", b"short 1\n")[0] == 200, "ttl")
        check(push("/metrics/job/c", b"short_too 1\n", {"Push-TTL": "1s"})[0] == 200, "Push-TTL")
        check(push("/metrics/job/d", b"x 1\n")[0] == 507, "a fourth group")
        check(push("/metrics/job/a", b"".join(b"x%d 1\n" % n for n in range(51)))[0] == 507, "51 series")
        check(push("/metrics/job/a", b"#" * 70_000)[0] == 413, "a long body")
        bomb = gzip.compress(b"#" * 50_000_000)
        check(len(bomb) < 65_536, "the bomb is small")
        check(push("/metrics/job/a", bomb, {"Content-Encoding": "gzip"})[0] == 413, "a gzip bomb")
        end = time.monotonic() + 10
        while time.monotonic() < end and b"short" in program.request("GET", "/metrics")[1]:
            time.sleep(0.05)
        page = program.request("GET", "/metrics")[1]
        check(b"short" not in page and b'job="a"' in page, "groups whose time is over")
        check(program.request("PUT", "/api/v1/admin/wipe")[0] == 404, "wipe without --push-admin")
        print("  aggregate, dry run, time to live, limits, a gzip bomb of 50 MB")


def fields(message):
    """Fields of a protobuf message as (number, value)."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
        else:
            length = 8 if key & 7 == 1 else number()
            yield key >> 3, message[at:at + length]
            at += length


def formats(options):
    """One family of events, of the sidecar and of pushes, in each format."""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
    from prometheus_client.parser import text_string_to_metric_families as text
    with tempfile.TemporaryDirectory() as folder:
        statsd = os.path.join(folder, "statsd")
        with sidecar(options, "--statsd-socket", statsd) as program:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                client.sendto(b"jobs:3|c|#kind:mail\nwait:30|ms", statsd)
            body = (b"# TYPE jobs_total counter\njobs_total{kind=\"x\"} 4\n# TYPE process_open_fds gauge\n"
                    b"process_open_fds 7\n" + HISTOGRAM_TEXT +
                    b"# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 3\ns_count 2\nu 5\n")
            check(program.request("GET", "/metrics")[0] == 200, "a scrape")
            check(program.request("PUT", "/metrics/job/p", body)[0] == 200, "the push")
            status, answer = program.request("PUT", "/metrics/job/q", b"# TYPE jobs_total gauge\njobs_total 1\n")
            check(status == 400 and b"jobs_total is a counter here" in answer, f"another type: {answer}")
            expected = {"jobs": 2, "process_open_fds": 2, "h": 5, "s": 3, "u": 1, "push_time_seconds": 2}
            for name, parse, accept in [
                ("text", text, "text/plain"),
                ("OpenMetrics", openmetrics, "application/openmetrics-text;version=1.0.0"),
            ]:
                page = program.request("GET", "/metrics", headers={"Accept": accept})[1].decode()
                found = {}
                for family in parse(page):
                    check(family.name not in found, f"{name}: {family.name} is there twice")
                    found[family.name] = len([s for s in family.samples if not s.name.endswith("_created")])
                counts = {key: found.get(key) for key in expected}
                check(counts == expected, f"{name}: {counts}")
            page = program.request(
                "GET", "/metrics", headers={"Accept": PROTOBUF.replace("; ", ";")})[1]
            found = {}
            for _, message in fields(b"".join(b"\x0a" + part for part in split_delimited(page))):
                parts = list(fields(message))
                name = dict(parts)[1].decode()
                check(name not in found, f"protobuf: {name} is there twice")
                found[name] = sum(1 for number, _ in parts if number == 4)
            counts = {key: found.get(key) for key in ("jobs_total", "process_open_fds", "h", "s", "u")}
            check(counts == {"jobs_total": 2, "process_open_fds": 2, "h": 1, "s": 1, "u": 1}, f"protobuf: {counts}")
    print("  text, OpenMetrics, protobuf: each family once, with the series of both")


def beside_events(options):
    """Families that events have, a damaged file and a full one."""

    def value(program, name):
        match = re.search(rb"^%s (\S+)$" % name.encode(), program.request("GET", "/metrics")[1], re.M)
        return float(match[1]) if match else None

    with tempfile.TemporaryDirectory() as folder:
        statsd = os.path.join(folder, "statsd")
        with sidecar(options, "--statsd-socket", statsd, "--state-size", "4MiB") as program:
            histogram = b"# TYPE wait_seconds histogram\nwait_seconds_bucket{le=\"7\"} 1\nwait_seconds_sum 1\nwait_seconds_count 1\n"
            before = b"# TYPE jobs_total gauge\njobs_total 1\n" + histogram
            check(program.request("PUT", "/metrics/job/before", before)[0] == 200, "a push before the events")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                client.sendto(b"jobs:3|c\nwait:30|ms", statsd)
            page = program.request("GET", "/metrics")[1]
            check(page.count(b"# TYPE jobs_total ") == 1 and b"jobs_total 3.0\n" in page, "the events' counter")
            check(b'jobs_total{instance' not in page and b'le="7.0"' not in page, "a push that breaks a family is shown")
            hidden = [value(program, 'metrics_sidecar_push_series_hidden{family="%s"}' % n) for n in ("jobs_total", "wait_seconds")]
            check(hidden == [1, 1], f"{hidden} series are told to be hidden")
            # The same series, pushed first and sent as an event later, and the other way round.
            first, second = (b"# TYPE %s_total counter\n%s_total 5\n" % (n, n) for n in (b"first", b"second"))
            check(program.request("PUT", "/metrics/job/twice", first)[0] == 200, "a push before its event")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                client.sendto(b"first:1|c|#job:twice,instance:\nsecond:1|c|#job:twice,instance:", statsd)
            page = program.request("GET", "/metrics")[1]
            for name in (b"first_total", b"second_total"):
                found = re.findall(rb'^%s{instance="",job="twice"} (\S+)$' % name, page, re.M)
                check(found == [b"1.0"], f"{name}: {found}")
            check(value(program, 'metrics_sidecar_push_series_hidden{family="first_total"}') == 1, "a hidden series is told")
            for query in ("?check=1", ""):
                status, text = program.request("POST", "/metrics/job/twice" + query, second)
                check(status == 400 and b"is there already, from events" in text, f"{status} {text}")
            check(value(program, 'metrics_sidecar_events_rejected_total{reason="type_conflict"}') == 0, "an event is refused")
            program.kill()
            program.start()
            page = program.request("GET", "/metrics")[1]
            check(page.count(b'first_total{instance="",job="twice"} ') == 1, "the series after a restart")
            check(program.request("DELETE", "/metrics/job/twice")[0] == 202, "delete")
            for what, body in [
                ("a counter here", b"# TYPE jobs_total gauge\njobs_total 1\n"), ("other buckets", histogram),
                ("taken for lines of wait_seconds", b"wait_seconds_count 1\n"),
            ]:
                status, text = program.request("PUT", "/metrics/job/after", body)
                check(status == 400 and what.encode() in text, f"{what}: {status} {text}")
            check(program.request("DELETE", "/metrics/job/before")[0] == 202, "delete")
            check(b"push_series_hidden{" not in program.request("GET", "/metrics")[1], "hidden series after a delete")
            body = b"".join(b"filler{n=\"%d\"} 1\n" % n for n in range(900))
            count = 0
            while program.request("PUT", f"/metrics/job/full/group/{count}", body)[0] == 200:
                count += 1
            check(count > 10, f"only {count} groups fit")
            for n in range(count):
                check(program.request("DELETE", f"/metrics/job/full/group/{n}")[0] == 202, "delete in a full file")
            check(program.request("PUT", "/metrics/job/full", body)[0] == 200, "a push into an emptied file")
            program.kill()
            with open(os.path.join(program.folder, "state.push"), "r+b") as file:
                file.write(b"damaged!")
            program.start()
            check(value(program, "metrics_sidecar_push_state_resets_total") == 1, "the counter of damaged files")
            with open(os.path.join(program.folder, "log"), "rb") as log:
                check(b"is not trusted" in log.read(), "a line in the log about the damaged file")
            check(any(".damaged-" in name for name in os.listdir(program.folder)), "the damaged file is kept")
    print(f"  hidden and counted, refused; {count} groups deleted of a full file; a damaged one told")


def split_delimited(page):
    at = 0
    while at < len(page):
        start = at
        length = shift = 0
        while True:
            byte = page[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        at += length
        yield page[start:at]


def kills(options):
    """Killed right after the answer."""
    lost = 0
    with sidecar(options) as program:
        for number in range(options.kills):
            body = b"# TYPE last gauge\nlast %d\n" % number + b"".join(
                b"filler{n=\"%d\"} %d\n" % (n, number) for n in range(number % 200))
            status, _ = program.request("PUT", f"/metrics/job/j{number % 3}", body)
            program.kill()
            check(status == 200, f"push {number}: {status}")
            program.start()
            page = program.request("GET", "/metrics")[1]
            expected = b'last{instance="",job="j%d"} %d.0\n' % (number % 3, number)
            whole = page.count(b'job="j%d",n="' % (number % 3)) == number % 200
            lost += expected not in page or not whole
        check(lost == 0, f"{lost} of {options.kills} pushes were lost or torn")
        check(b"damaged" not in open(os.path.join(program.folder, "log"), "rb").read(), "a damaged file")
    print(f"  {options.kills} kills, no push lost, none torn")


def wrk(program, body, seconds):
    script = os.path.join(program.folder, "push.lua")
    text = body.decode().replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    with open(script, "w") as file:
        file.write(f'wrk.method = "PUT"\nwrk.body = "{text}"\n')
    before = program.cpu_ticks()
    out = subprocess.run(
        ["wrk", "-t1", "-c8", f"-d{seconds}", "-s", script,
         f"http://127.0.0.1:{program.port}/metrics/job/backup/instance/db-1"],
        capture_output=True, text=True, check=True).stdout
    ticks = program.cpu_ticks() - before
    check("Non-2xx" not in out, out)
    count = int(re.search(r"(\d+) requests in", out).group(1))
    return count * os.sysconf("SC_CLK_TCK") / max(1, ticks)


def rates(options):
    """Pushes a CPU second of the server (8 connections)."""
    three = (b"# TYPE runs_total counter\nruns_total 3\n# HELP last_success_seconds When it last went well\n"
             b"# TYPE last_success_seconds gauge\nlast_success_seconds 1.7e9\n# TYPE items gauge\nitems{kind=\"mail\"} 25.5\n")
    hundred = b"# HELP stage_seconds How long each stage took\n# TYPE stage_seconds gauge\n" + b"".join(
        b'stage_seconds{stage="stage-%d",region="eu-west-1"} %.3f\n' % (n, n * 1.234) for n in range(100))
    ours, theirs = sidecar(options), pushgateway(options)
    with ours, theirs:
        for what, body, factor in [("3 series", three, 10), ("100 series", hundred, 5)]:
            here, there = wrk(ours, body, options.seconds), wrk(theirs, body, options.seconds)
            print(f"  {what}: sidecar {here:,.0f}, pushgateway {there:,.0f}: {here / there:.1f} times")
            check(here > factor * there, f"less than {factor} times the rate of Pushgateway")


CHECKS = [documented, compare, same_api, python_client, go_client, beyond, beside_events, formats, kills, rates]


def main():
    parser = checks.parser(__doc__)
    parser.add_argument("--pushgateway", default=shutil.which("prometheus-pushgateway"))
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    check(options.pushgateway, "no prometheus-pushgateway on PATH: Debian's package of that name")

    def call(each, programs):
        options.program = os.path.join(programs, "metrics-sidecar")
        each(options)

    checks.run(CHECKS, options, call)
    print("pushes: all checks passed")


if __name__ == "__main__":
    main()
