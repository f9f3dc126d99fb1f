"""What Pushgateway does not have, and pushes beside events.

    Tests/System/run push_beyond
"""
import base64
import gzip
import hashlib
import http.client
import os
import re
import socket
import tempfile
import threading
import time
from unittest import TestCase, main

from support.checks import check
from support.push_bodies import HISTOGRAM_TEXT
from support.push_servers import sidecar
from support.readers import PROTO, parse_open, parse_protobuf, parse_text


class Beyond(TestCase):
    def test_beyond(self):
        """What Pushgateway does not have."""
        with sidecar("--max-push-size", "64KiB", "--max-push-groups", "3", "--max-push-series",
                     "50") as program:
            def push(path, body, headers=None, method="POST"):
                return program.request(method, path, body, headers or {})

            counter = b"# TYPE runs_total counter\nruns_total 2\n"
            for _ in range(3):
                check(push("/metrics/job/a?mode=aggregate", counter)[0] == 200, "aggregate")
            page = program.request("GET", "/metrics")[1]
            check(b'runs_total{instance="",job="a"} 6.0' in page, "counters add up")
            status, text = push("/metrics/job/b?check=1",
                                b"# TYPE runs_total gauge\nruns_total 1\n")
            check(status == 400 and b"runs_total is a counter" in text, f"check=1: {status} {text}")
            status, text = push("/metrics/job/b?check=1", counter)
            check(status == 200 and text == b"ok: 1 families, 1 series\n",
                  f"check=1: {status} {text}")
            check(b'job="b"' not in program.request("GET", "/metrics")[1],
                  "a dry run left something")
            check(push("/metrics/job/b?ttl=1s", b"short 1\n")[0] == 200, "ttl")
            check(push("/metrics/job/c", b"short_too 1\n", {"Push-TTL": "1s"})[0] == 200,
                  "Push-TTL")
            check(push("/metrics/job/d", b"x 1\n")[0] == 507, "a fourth group")
            check(push("/metrics/job/a", b"".join(b"x%d 1\n" % n for n in range(51)))[0] == 507,
                  "51 series")
            check(push("/metrics/job/a", b"#" * 70_000)[0] == 413, "a long body")
            bomb = gzip.compress(b"#" * 50_000_000)
            check(len(bomb) < 65_536, "the bomb is small")
            check(push("/metrics/job/a", bomb, {"Content-Encoding": "gzip"})[0] == 413,
                  "a gzip bomb")
            end = time.monotonic() + 10
            while time.monotonic() < end and b"short" in program.request("GET", "/metrics")[1]:
                time.sleep(0.05)
            page = program.request("GET", "/metrics")[1]
            check(b"short" not in page and b'job="a"' in page, "groups whose time is over")
            check(program.request("PUT", "/api/v1/admin/wipe")[0] == 404,
                  "wipe without --push-admin")
            print("  aggregate, dry run, time to live, limits, a gzip bomb of 50 MB")

    def test_passwords(self):
        """A flood of wrong passwords from one address: a right one from another is taken within
        five seconds, and everything else goes on meanwhile."""
        salt, count = b"0123456789abcdef", 20_000
        words = [base64.b64encode(each).decode() for each in (
            salt, hashlib.pbkdf2_hmac("sha256", b"right", salt, count))]
        line = f"ci:pbkdf2-sha256${count}${words[0]}${words[1]}\n"
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(line)
            file.flush()
            with sidecar("--push-auth", file.name) as program:
                def push(password, source):
                    address = (source, 0)
                    connection = http.client.HTTPConnection(
                        "127.0.0.1", program.port, timeout=60, source_address=address)
                    word = base64.b64encode(f"ci:{password}".encode()).decode()
                    connection.request("PUT", "/metrics/job/j", b"x 1\n",
                                       {"Authorization": "Basic " + word})
                    status = connection.getresponse().status
                    connection.close()
                    return status

                statuses = []

                def guess(thread):
                    for number in range(5):
                        statuses.append(push(f"{thread}-{number}", "127.0.0.2"))

                threads = [threading.Thread(target=guess, args=(n,)) for n in range(8)]
                for thread in threads:
                    thread.start()
                while not statuses:
                    time.sleep(0.001)
                start = time.monotonic()
                check(push("right", "127.0.0.1") == 200, "the right password")
                took = time.monotonic() - start
                check(took < 5, f"the right password waited {took:.1f} s")
                for thread in threads:
                    thread.join()
                check(set(statuses) <= {401, 429} and 401 in statuses, set(statuses))
                check(push("right", "127.0.0.2") == 200, "a known password")
                page = program.request("GET", "/metrics")[1]
                check(b'pushes_total{result="unauthorized"} 40.0' in page, "each is counted")
                print(f"  40 guesses; the right one waited {took:.2f} s")

    def test_beside_events(self):
        """Families that events have, a damaged file and a full one."""

        def value(program, name):
            match = re.search(rb"^%s (\S+)$" % name.encode(), program.request("GET", "/metrics")[1],
                              re.M)
            return float(match[1]) if match else None

        with tempfile.TemporaryDirectory() as folder:
            statsd = os.path.join(folder, "statsd")
            with sidecar("--statsd-socket", statsd, "--state-size", "4MiB") as program:
                histogram = (b"# TYPE wait_seconds histogram\nwait_seconds_bucket{le=\"7\"} 1\n"
                             b"wait_seconds_sum 1\nwait_seconds_count 1\n")
                before = b"# TYPE jobs_total gauge\njobs_total 1\n" + histogram
                check(program.request("PUT", "/metrics/job/before", before)[0] == 200,
                      "a push before the events")
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                    client.sendto(b"jobs:3|c\nwait:30|ms", statsd)
                page = program.request("GET", "/metrics")[1]
                check(page.count(b"# TYPE jobs_total ") == 1 and b"jobs_total 3.0\n" in page,
                      "the events' counter")
                check(b'jobs_total{instance' not in page and b'le="7.0"' not in page,
                      "a push that breaks a family is shown")
                hidden = [value(program, 'metrics_sidecar_push_series_hidden{family="%s"}' % n)
                          for n in ("jobs_total", "wait_seconds")]
                check(hidden == [1, 1], f"{hidden} series are told to be hidden")
                # The same series, pushed first and sent as an event later, and the other way round.
                first, second = (b"# TYPE %s_total counter\n%s_total 5\n" % (n, n)
                                 for n in (b"first", b"second"))
                check(program.request("PUT", "/metrics/job/twice", first)[0] == 200,
                      "a push before its event")
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                    client.sendto(
                        b"first:1|c|#job:twice,instance:\nsecond:1|c|#job:twice,instance:", statsd)
                page = program.request("GET", "/metrics")[1]
                for name in (b"first_total", b"second_total"):
                    found = re.findall(rb'^%s{[^}]*job="twice"} (\S+)$' % name, page, re.M)
                    check(found == [b"1.0"], f"{name}: {found}")
                check(value(program, 'metrics_sidecar_push_series_hidden{family="first_total"}')
                      == 1, "a hidden series is told")
                for query in ("?check=1", ""):
                    status, text = program.request("POST", "/metrics/job/twice" + query, second)
                    check(status == 400 and b"is there already, from events" in text,
                          f"{status} {text}")
                check(value(
                    program, 'metrics_sidecar_events_rejected_total{reason="type_conflict"}') == 0,
                      "an event is refused")
                program.kill()
                program.start()
                page = program.request("GET", "/metrics")[1]
                check(page.count(b'first_total{job="twice"} ') == 1,
                      "the series after a restart")
                check(program.request("DELETE", "/metrics/job/twice")[0] == 202, "delete")
                for what, body in [
                    ("a counter here", b"# TYPE jobs_total gauge\njobs_total 1\n"),
                    ("other buckets", histogram),
                    ("taken for lines of wait_seconds", b"wait_seconds_count 1\n"),
                ]:
                    status, text = program.request("PUT", "/metrics/job/after", body)
                    check(status == 400 and what.encode() in text, f"{what}: {status} {text}")
                check(program.request("DELETE", "/metrics/job/before")[0] == 202, "delete")
                check(b"push_series_hidden{" not in program.request("GET", "/metrics")[1],
                      "hidden series after a delete")
                body = b"".join(b"filler{n=\"%d\"} 1\n" % n for n in range(900))
                count = 0
                while program.request("PUT", f"/metrics/job/full/group/{count}", body)[0] == 200:
                    count += 1
                check(count > 10, f"only {count} groups fit")
                for n in range(count):
                    check(program.request("DELETE", f"/metrics/job/full/group/{n}")[0] == 202,
                          "delete in a full file")
                check(program.request("PUT", "/metrics/job/full", body)[0] == 200,
                      "a push into an emptied file")
                program.kill()
                with open(os.path.join(program.folder, "state.push"), "r+b") as file:
                    file.write(b"damaged!")
                program.start()
                check(value(program, "metrics_sidecar_push_state_resets_total") == 1,
                      "the counter of damaged files")
                with open(os.path.join(program.folder, "log"), "rb") as log:
                    check(b"is not trusted" in log.read(),
                          "a line in the log about the damaged file")
                check(any(".damaged-" in name for name in os.listdir(program.folder)),
                      f"the damaged file is kept: {os.listdir(program.folder)}")
        print(f"  hidden and counted, refused; {count} groups deleted of a full file; a damaged "
              f"one told")

    def test_formats(self):
        """One family of events, of the sidecar and of pushes, in each format."""
        with tempfile.TemporaryDirectory() as folder:
            statsd = os.path.join(folder, "statsd")
            with sidecar("--statsd-socket", statsd) as program:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                    client.sendto(b"jobs:3|c|#kind:mail\nwait:30|ms", statsd)
                body = (b"# TYPE jobs_total counter\njobs_total{kind=\"x\"} 4\n# TYPE "
                        b"process_open_fds gauge\n"
                        b"process_open_fds 7\n" + HISTOGRAM_TEXT +
                        b"# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 3\ns_count 2\nu 5\n")
                check(program.request("GET", "/metrics")[0] == 200, "a scrape")
                check(program.request("PUT", "/metrics/job/p", body)[0] == 200, "the push")
                status, answer = program.request("PUT", "/metrics/job/q",
                                                 b"# TYPE jobs_total gauge\njobs_total 1\n")
                check(status == 400 and b"jobs_total is a counter here" in answer,
                      f"another type: {answer}")
                expected = {"jobs": 2, "process_open_fds": 2, "h": 5, "s": 3, "u": 1,
                            "push_time_seconds": 2}
                for name, parse, accept in [
                    ("text", parse_text, "text/plain"),
                    ("OpenMetrics", parse_open, "application/openmetrics-text;version=1.0.0"),
                ]:
                    page = program.request("GET", "/metrics",
                                           headers={"Accept": accept})[1].decode()
                    found = {}
                    for family in parse(page):
                        check(family.name not in found, f"{name}: {family.name} is there twice")
                        found[family.name] = len([s for s in family.samples
                                                  if not s.name.endswith("_created")])
                    counts = {key: found.get(key) for key in expected}
                    check(counts == expected, f"{name}: {counts}")
                found = {}
                for family in parse_protobuf(program.request("GET", "/metrics",
                                                             headers={"Accept": PROTO})[1]):
                    check(family.name not in found, f"protobuf: {family.name} is there twice")
                    found[family.name] = len(family.metric)
                counts = {key: found.get(key)
                          for key in ("jobs_total", "process_open_fds", "h", "s", "u")}
                check(counts == {"jobs_total": 2, "process_open_fds": 2, "h": 1, "s": 1, "u": 1},
                      f"protobuf: {counts}")
        print("  text, OpenMetrics, protobuf: each family once, with the series of both")


if __name__ == "__main__":
    main()
