"""What is answered is counted, each request once, whoever is killed.

    Tests/System/run counted [KILLS=200] [SEED=N]
"""
import glob
import os
import random
import signal
import socket
import subprocess
import time
from unittest import TestCase, main

from support import PROGRAMS, dice, setting
from support.checks import check, wait_for
from support.pair import Pair, cpu, loaded
from support.prometheus import Prometheus
from support.sidecar import frame

KILLS = setting("KILLS", 200)
# What `server_requests_total` is the sum of.
PARTS = ("healthcheck_requests_total", "main_requests_total", "bye_request_total")


class Counted(TestCase):
    def test_endpoints(self):
        """The three endpoints byte for byte, and the metrics page line for line."""
        bodies = {"/": b'{"message":"Hello World"}', "/health": b'{"health": "ok"}',
                  "/bye": b'{"msg": "Bye Bye"}'}
        with Pair() as pair:
            pair.start_sidecar()
            pair.start_app()
            counts = {"/": 4, "/health": 26, "/bye": 0, "/nope": 7, "/docs": 3}
            for path, count in counts.items():
                for _ in range(count):
                    answer = pair.get(pair.api, path)
                    if path in bodies:
                        check(answer.endswith(b"\r\n\r\n" + bodies[path]), f"{path}: {answer}")
                        check(b"Content-Type: application/json\r\n" in answer, f"{path}: {answer}")
                    elif path == "/nope":
                        check(answer.startswith(b"HTTP/1.1 404 "), f"{path}: {answer}")
            page = pair.get(pair.metrics, "/metrics").split(b"\r\n\r\n", 1)[1].decode()
            expected = """\
# HELP server_requests_total Total number of requests to this webserver
# TYPE server_requests_total counter
server_requests_total 30.0
# HELP healthcheck_requests_total Total number of requests to healthcheck
# TYPE healthcheck_requests_total counter
healthcheck_requests_total 26.0
# HELP main_requests_total Total number of requests to main endpoint
# TYPE main_requests_total counter
main_requests_total 4.0
# HELP bye_request_total Total number of requests to bye endpoint
# TYPE bye_request_total counter
bye_request_total 0.0
# HELP app_starts_total Number of times the application has started
# TYPE app_starts_total counter
app_starts_total 1.0
"""
            check(page.startswith(expected), f"the page starts with\n{page[:1200]}")
            print("  3 endpoints and the page of 40 requests are as promised")

    def test_second_app(self):
        """A second App on the port of a first one says so in a line, and takes none of its
        requests."""
        with Pair() as pair:
            pair.start_sidecar()
            pair.start_app()
            second = subprocess.run(
                [os.path.join(PROGRAMS, "simple-server"), "--listen", f"127.0.0.1:{pair.api}",
                 "--events-socket", pair.path("events.sock")],
                capture_output=True, text=True, timeout=20)
            check(second.returncode == 1 and second.stderr.count("\n") == 1
                  and "another program listens there" in second.stderr, f"a second App: {second}")
            for _ in range(40):
                pair.get(pair.api, "/bye")
            values = pair.values()
            check(values["bye_request_total"] == 40 and values["app_starts_total"] == 1, values)
            print("  a second App finds the address in use")

    def test_sidecar_killed(self):
        """Promise 2: answered = counted, however often the sidecar is killed under load."""
        with Pair() as pair:
            pair.start_sidecar()
            pair.start_app()
            generator = dice()
            with loaded(pair) as loads:
                for _ in range(KILLS):
                    time.sleep(generator.random() * 0.04)
                    pair.sidecar.kill()
                    pair.sidecar.wait()
                    if generator.random() < 0.3:
                        time.sleep(generator.random() * 0.03)
                    pair.start_sidecar(wait=generator.random() < 0.5)
            answered = sum(load.answered for load in loads)
            check(all(load.sent == load.answered for load in loads), "a request was not answered")
            wait_for(lambda: pair.total() >= answered, "the counts")
            time.sleep(0.1)
            counted = pair.total()
            check(counted == answered, f"answered {answered}, counted {counted}")
            values = pair.values()
            parts = sum(values[n] for n in PARTS)
            check(parts == counted, f"the parts are {parts}, the sum is {counted}")
            durations = sum(v for n, v in values.items()
                            if n.startswith("http_request_duration_seconds_count"))
            check(durations == counted, f"durations {durations}, counted {counted}")
            check(values["metrics_sidecar_state_resets_total"] == 0, "the state file was set aside")
            print(f"  {KILLS} kills, {answered} answered = {counted:.0f} counted")

    def test_app_killed(self):
        """Promise 1: answered <= counted <= sent, however often the App is killed under load."""
        with Pair() as pair:
            pair.start_sidecar()
            pair.start_app()
            with loaded(pair, reconnect=True, pause=0.005) as loads:
                for _ in range(50):
                    time.sleep(random.random() * 0.06)
                    pair.app.kill()
                    pair.app.wait()
                    pair.start_app()
            time.sleep(0.1)
            answered, sent = sum(l.answered for l in loads), sum(l.sent for l in loads)
            counted = pair.total()
            check(answered <= counted <= sent,
                  f"answered {answered}, counted {counted}, sent {sent}")
            starts = pair.values()["app_starts_total"]
            check(starts == 51, f"{starts} starts counted of 51")
            print(f"  50 kills, {answered} answered <= {counted:.0f} counted <= {sent} sent")

    def test_gone_client_counts(self):
        """Promise 1: what a client had handed to the kernel counts, although it died before its
        answer."""
        with Pair() as pair:
            pair.start_sidecar()
            expected = 0
            for number in range(20):
                pair.sidecar.send_signal(signal.SIGSTOP)
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(pair.path("events.sock"))
                    client.setblocking(False)
                    client.send(frame(f"_session|{number:032x}"))
                    # Several reads of the sidecar, each of which it acknowledges to nobody.
                    sequence = 0
                    try:
                        while True:
                            sequence += 1
                            pending = frame(f"_seq|{sequence}", *["handed.over:1|c"] * 500)
                            if client.send(pending) < len(pending):
                                break
                            expected += 500
                    except BlockingIOError:
                        pass
                pair.sidecar.send_signal(signal.SIGCONT)
            check(expected > 20 * 65_536 // len("handed.over:1|c\n"), f"only {expected} fit")
            counted = pair.values().get("handed_over_total", 0)
            check(counted == expected, f"handed over {expected}, counted {counted:.0f}")
            print(f"  20 clients that died, {expected} handed over = {counted:.0f} counted")

    def test_deaf_client_costs_nothing(self):
        """A client that reads no acknowledgement for a while is no work, and then gets the
        newest."""
        with Pair() as pair, socket.socket(socket.AF_UNIX) as client:
            pair.start_sidecar()
            client.connect(pair.path("events.sock"))
            client.settimeout(20)
            client.sendall(frame(f"_session|{1:032x}"))
            sent = 0
            while sent < 2000:  # the kernel holds some 280 answers of a few bytes
                sent += 1
                client.sendall(frame(f"_seq|{sent}", "deaf:1|c"))
                time.sleep(0.001)
            wait_for(lambda: pair.values().get("deaf_total") == sent, "the counts")
            before = cpu(pair.sidecar)
            time.sleep(1)
            used = cpu(pair.sidecar) - before
            check(used < 0.5, f"{used:.2f} s of CPU in a second of nothing")
            answers = b""
            while not answers.endswith(f"_ack|{sent}".encode()):
                chunk = client.recv(65536)
                check(chunk, f"closed after {answers[-40:]}")
                answers += chunk
            time.sleep(0.2)
            before = cpu(pair.sidecar)
            time.sleep(1)
            used += cpu(pair.sidecar) - before
            check(used < 0.5, f"{used:.2f} s of CPU in two seconds of nothing")
            print(f"  {answers.count(b'_ack|')} answers to {sent} frames, the last one whole; "
                  f"{used:.2f} s of CPU while nothing was read")

    def test_scrapes_consistent(self):
        """Promise 5: every scrape under load sees whole frames, and all that was answered before
        it."""
        with Pair() as pair:
            pair.start_sidecar()
            pair.start_app()
            scrapes, end = 0, time.monotonic() + 4
            with loaded(pair, pause=0.001) as loads:
                while time.monotonic() < end:
                    before = sum(load.answered for load in loads)
                    values = pair.values()
                    total = values["server_requests_total"]
                    parts = sum(values[n] for n in PARTS)
                    check(parts == total, f"scrape {scrapes}: sum {total}, parts {parts}")
                    check(total >= before,
                          f"scrape {scrapes}: {total} counted, {before} answered before")
                    scrapes += 1
            print(f"  {scrapes} scrapes under load, each whole and complete")

    def test_damaged_state(self):
        """Promise 6: a damaged state file is set aside; a second sidecar on one file is refused."""
        with Pair() as pair:
            with open(pair.path("state"), "wb") as f:
                f.write(os.urandom(10000))
            pair.start_sidecar()
            check(pair.values()["metrics_sidecar_state_resets_total"] == 1,
                  "the reset is not counted")
            check(len(glob.glob(pair.path("state.damaged-*"))) == 1, "the file is not set aside")
            second = subprocess.run(
                [os.path.join(PROGRAMS, "metrics-sidecar"), "--state", pair.path("state"),
                 "--events-socket", "", "--statsd-socket", "", "--listen", "127.0.0.1:0"],
                capture_output=True, text=True, timeout=10)
            check(second.returncode == 1 and "another sidecar has it" in second.stderr, str(second))
            print(f"  set aside and counted; the second one: {second.stderr.strip()}")

    def test_prometheus(self):
        """A real Prometheus scrapes the pair under load and agrees with the client."""
        with Pair() as pair:
            pair.start_sidecar()
            pair.start_app()
            with Prometheus(pair.metrics, pair.folder) as server:
                wait_for(lambda: server.value("up") == 1, "up to be 1", 60)
                with loaded(pair, 1) as (load,):
                    time.sleep(8)
                wait_for(lambda: server.value("server_requests_total") == load.answered,
                         "Prometheus to have the count", 60)
                check(server.value("min_over_time(up[1m])") == 1, "up was not 1 all the time")
                # increase() extrapolates by up to 1.1 intervals, of the eight or more that were
                # sampled.
                grown = server.value("increase(server_requests_total[1m])")
                check(abs(grown / load.answered - 1) < 0.2,
                      f"increase {grown}, answered {load.answered}")
                print(f"  up is 1; Prometheus has server_requests_total {load.answered} = "
                      f"answered; "
                      f"increase() says {grown:.0f}")


if __name__ == "__main__":
    main()
