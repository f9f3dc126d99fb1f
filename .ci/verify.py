#!/usr/bin/env python3
"""Promises checked on real processes: killed, stopped, absent, damaged. Standard library only.

    python3 .ci/verify.py --programs dist/linux-amd64 [--only NAME] [--kills 200]

Each check prints its numbers and ends the run when a promise does not hold.
"""
import errno
import glob
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import checks
from checks import check, free_port, settle, wait_for
from prometheus import Prometheus

RULES = "chart/files/rules.json"
PATHS = [b"/", b"/health", b"/bye"]


def left_out(options, why):
    """A check that cannot run here is a failure unless that was asked for."""
    if not options.allow_missing:
        raise SystemExit(f"FAILED: {why} (--allow-missing goes on without this check)")
    options.left_out += 1
    print(f"  LEFT OUT: {why}")


class Pair:
    """A sidecar and an App in a folder of their own."""

    def __init__(self, programs):
        self.programs = programs
        self.folder = tempfile.mkdtemp(prefix="verify-")
        self.api = free_port()
        self.metrics = free_port()
        self.sidecar = self.app = None
        self.log = open(os.path.join(self.folder, "log"), "wb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self.app, self.sidecar):
            if process and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        shutil.rmtree(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def start_sidecar(self, *flags, wait=True, environment=None):
        self.sidecar = subprocess.Popen(
            [os.path.join(self.programs, "metrics-sidecar"), "--listen", f"127.0.0.1:{self.metrics}",
             "--events-socket", self.path("events.sock"), "--statsd-socket", self.path("statsd.sock"),
             "--state", self.path("state"), "--rules", RULES, *flags],
            stdout=self.log, stderr=self.log,
            env={**os.environ, **(environment or {})})
        if wait:
            wait_for(lambda: self.get(self.metrics, "/-/ready") is not None, "the sidecar")

    def start_app(self, *flags, wait=True, environment=None):
        self.app = subprocess.Popen(
            [os.path.join(self.programs, "simple-server"), "--listen", f"127.0.0.1:{self.api}",
             "--events-socket", self.path("events.sock"), *flags],
            stdout=self.log, stderr=self.log,
            env={**os.environ, **(environment or {})})
        if wait:
            wait_for(lambda: listening(self.api), "the App")

    def get(self, port, path):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                answer = b""
                while chunk := s.recv(65536):
                    answer += chunk
                return answer
        except OSError:
            return None

    def values(self):
        answer = self.get(self.metrics, "/metrics")
        if not answer:
            return {}
        body = answer.split(b"\r\n\r\n", 1)[1].decode()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in body.splitlines() if line and line[0] != "#"}

    def total(self):
        return self.values().get("server_requests_total", -1)


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Load(threading.Thread):
    """Sends pipelined requests on one connection and counts the answers exactly."""

    def __init__(self, port, seed, reconnect=False):
        super().__init__(daemon=True)
        self.port, self.random, self.reconnect = port, random.Random(seed), reconnect
        self.sent = self.answered = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.converse()
            except OSError:
                pass
            if not self.reconnect:
                return
            time.sleep(0.01)

    def converse(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            pending = b""
            while not self.stopping.is_set():
                count = self.random.randint(1, 8)
                batch = b"".join(
                    b"GET " + self.random.choice(PATHS) + b" HTTP/1.1\r\nHost: x\r\n\r\n"
                    for _ in range(count))
                self.sent += count
                s.sendall(batch)
                waiting = count
                while waiting:
                    chunk = s.recv(65536)
                    if not chunk:
                        raise OSError("closed")
                    pending += chunk
                    while (end := pending.find(b"\r\n\r\n")) >= 0:
                        length = int(re.search(rb"Content-Length: (\d+)", pending[:end]).group(1))
                        if len(pending) < end + 4 + length:
                            break
                        pending = pending[end + 4 + length:]
                        self.answered += 1
                        waiting -= 1


def endpoints(programs, _):
    """The three endpoints byte for byte, and the metrics page line for line."""
    bodies = {"/": b'{"message":"Hello World"}', "/health": b'{"health": "ok"}',
              "/bye": b'{"msg": "Bye Bye"}'}
    with Pair(programs) as pair:
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


def sidecar_killed(programs, options):
    """Promise 2: answered = counted, however often the sidecar is killed under load."""
    with Pair(programs) as pair:
        pair.start_sidecar()
        pair.start_app()
        loads = [Load(pair.api, seed) for seed in range(4)]
        for load in loads:
            load.start()
        generator = random.Random(options.seed)
        for _ in range(options.kills):
            time.sleep(generator.random() * 0.04)
            pair.sidecar.kill()
            pair.sidecar.wait()
            if generator.random() < 0.3:
                time.sleep(generator.random() * 0.03)
            pair.start_sidecar(wait=generator.random() < 0.5)
        for load in loads:
            load.stopping.set()
        for load in loads:
            load.join(20)
        answered = sum(load.answered for load in loads)
        check(all(load.sent == load.answered for load in loads), "a request was not answered")
        wait_for(lambda: pair.total() >= answered, "the counts")
        time.sleep(0.1)
        counted = pair.total()
        check(counted == answered, f"answered {answered}, counted {counted}")
        values = pair.values()
        parts = sum(values[n] for n in
                    ("healthcheck_requests_total", "main_requests_total", "bye_request_total"))
        check(parts == counted, f"the parts are {parts}, the sum is {counted}")
        durations = sum(v for n, v in values.items()
                        if n.startswith("http_request_duration_seconds_count"))
        check(durations == counted, f"durations {durations}, counted {counted}")
        check(values["metrics_sidecar_state_resets_total"] == 0, "the state file was set aside")
        print(f"  {options.kills} kills, {answered} answered = {counted:.0f} counted")


def app_killed(programs, _):
    """Promise 1: answered <= counted <= sent, however often the App is killed under load."""
    with Pair(programs) as pair:
        pair.start_sidecar()
        loads = [Load(pair.api, seed, reconnect=True) for seed in range(4)]
        pair.start_app()
        for load in loads:
            load.start()
        for _ in range(50):
            time.sleep(random.random() * 0.06)
            pair.app.kill()
            pair.app.wait()
            pair.start_app()
        for load in loads:
            load.stopping.set()
        for load in loads:
            load.join(20)
        time.sleep(0.1)
        answered, sent = sum(l.answered for l in loads), sum(l.sent for l in loads)
        counted = pair.total()
        check(answered <= counted <= sent, f"answered {answered}, counted {counted}, sent {sent}")
        starts = pair.values()["app_starts_total"]
        check(starts == 51, f"{starts} starts counted of 51")
        print(f"  50 kills, {answered} answered <= {counted:.0f} counted <= {sent} sent")


def frame(*lines):
    text = "\n".join(lines).encode()
    return len(text).to_bytes(4, "little") + text


def deaf_client_costs_nothing(programs, _):
    """A client that reads no acknowledgement for a while is no work, and then gets the newest."""
    with Pair(programs) as pair, socket.socket(socket.AF_UNIX) as client:
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


def gone_client_counts(programs, _):
    """Promise 1: what a client had handed to the kernel counts, although it died before its answer."""
    with Pair(programs) as pair:
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


def scrapes_consistent(programs, _):
    """Promise 5: every scrape under load sees whole frames, and all that was answered before it."""
    with Pair(programs) as pair:
        pair.start_sidecar()
        pair.start_app()
        loads = [Load(pair.api, seed) for seed in range(4)]
        for load in loads:
            load.start()
        scrapes, end = 0, time.monotonic() + 4
        while time.monotonic() < end:
            before = sum(load.answered for load in loads)
            values = pair.values()
            total = values["server_requests_total"]
            parts = sum(values[n] for n in
                        ("healthcheck_requests_total", "main_requests_total", "bye_request_total"))
            check(parts == total, f"scrape {scrapes}: sum {total}, parts {parts}")
            check(total >= before, f"scrape {scrapes}: {total} counted, {before} answered before")
            scrapes += 1
        for load in loads:
            load.stopping.set()
        print(f"  {scrapes} scrapes under load, each whole and complete")


def resident(process):
    with open(f"/proc/{process.pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


def cpu(process):
    with open(f"/proc/{process.pid}/stat") as f:
        fields = f.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class SlowReader(threading.Thread):
    """Takes the place of the sidecar: accepts, and reads one byte a second."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.taken = 0
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(path)
        self.listener.listen()
        self.listener.settimeout(0.1)

    def run(self):
        clients = []
        while not self.stopping.is_set():
            try:
                client = self.listener.accept()[0]
                client.settimeout(0)
                clients.append(client)
            except TimeoutError:
                pass
            for client in clients:
                try:
                    self.taken += len(client.recv(1))
                except OSError:
                    pass
            self.stopping.wait(1)
        for each in [*clients, self.listener]:
            each.close()


def app_never_waits(programs, options):
    """Promise 3: a stopped, absent or slow sidecar costs the App no speed, and then all is counted."""
    def measure(pair, seconds):
        loads = [Load(pair.api, seed) for seed in range(4)]
        start = cpu(pair.app)
        for load in loads:
            load.start()
        time.sleep(seconds)
        for load in loads:
            load.stopping.set()
        for load in loads:
            load.join(20)
        check(all(load.sent == load.answered for load in loads), "a request was not answered")
        answered = sum(load.answered for load in loads)
        return answered, answered / max(cpu(pair.app) - start, 0.01)

    def begin(trouble, pair):
        if trouble == "stopped":
            pair.sidecar.send_signal(signal.SIGSTOP)
            return None
        pair.sidecar.kill()
        pair.sidecar.wait()
        if trouble == "absent":
            return None
        os.unlink(pair.path("events.sock"))
        reader = SlowReader(pair.path("events.sock"))
        reader.start()
        return reader

    def end(trouble, pair, reader):
        if trouble == "stopped":
            pair.sidecar.send_signal(signal.SIGCONT)
            return
        if reader:
            check(reader.taken > 0, "the App never wrote to the slow reader")
            reader.stopping.set()
            reader.join()
        pair.start_sidecar()

    # Slices with and without trouble alternate, so that a busy machine slows both. What it does to a
    # slice only ever slows it: the best third of the requests per CPU second are compared.
    def best(rates):
        return statistics.mean(sorted(rates)[-(len(rates) + 2) // 3:])

    for trouble in ("stopped", "absent", "reads one byte a second"):
        with Pair(programs) as pair:
            pair.start_sidecar()
            pair.start_app("--workers", "1")
            answered, _ = measure(pair, 1)
            memory = resident(pair.app)
            grown = 0
            normal, troubled = [], []

            def ratio():
                return best(troubled) / best(normal)
            # A noisy machine gets more slices before it is believed.
            while len(normal) < options.slices or (
                    ratio() < 0.95 and len(normal) < 4 * options.slices):
                count, rate = measure(pair, 1.5)
                answered += count
                normal.append(rate)
                reader = begin(trouble, pair)
                count, rate = measure(pair, 1.5)
                grown = max(grown, resident(pair.app) - memory)
                answered += count
                troubled.append(rate)
                end(trouble, pair, reader)
                wait_for(lambda: pair.total() >= answered, f"{answered} counts")
            time.sleep(0.1)
            counted = pair.total()
            check(counted == answered, f"{trouble}: answered {answered}, counted {counted}")
            print(f"  {trouble}: {ratio():.2f} of the normal requests per CPU second, memory "
                  f"+{grown >> 10} KiB, {answered} answered = {counted:.0f} counted")
            check(ratio() >= 0.95, f"{trouble}: {ratio():.3f} of the requests per CPU second; "
                  f"normal {[int(r) for r in normal]}, troubled {[int(r) for r in troubled]}")
            check(grown < 4 << 20, f"{trouble}: memory grew by {grown}")


def calls_fail(_, options):
    """Each faultable system call fails in turn, in either program: a clear line or a recovery."""
    programs = options.debug_programs
    if not (programs and os.path.exists(os.path.join(programs, "simple-server"))):
        return left_out(options, "no debug build: calls cannot be made to fail")
    programs = os.path.abspath(programs)

    def ask(pair, state):
        """One request on a connection of its own; a refused or cut one is not answered."""
        state["sent"] += 1
        answer = pair.get(pair.api, PATHS[state["sent"] % 3].decode())
        if answer and answer.startswith(b"HTTP/1.1 200 "):
            state["answered"] += 1

    def alive(process):
        return process.poll() is None

    def ended(process, what):
        try:
            return process.wait(10)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"FAILED: {what} does not stop") from None

    for victim in ("sidecar", "app"):
        for code in (errno.EIO, errno.ENOMEM):
            fired, exits, n = {}, 0, 0
            while True:
                n += 1
                what = f"{victim}, call {n} fails with {errno.errorcode[code]}"
                with Pair(programs) as pair:
                    plan = {"CLINUX_FAULT": f"{n}:{code}", "CLINUX_FAULT_REPORT": pair.path("fired")}
                    state = {"sent": 0, "answered": 0}
                    pair.start_sidecar(wait=False, environment=plan if victim == "sidecar" else None)
                    settle(lambda: not alive(pair.sidecar) or pair.get(pair.metrics, "/-/ready"))
                    pair.start_app("--workers", "1", wait=False,
                                   environment=plan if victim == "app" else None)
                    settle(lambda: not alive(pair.app) or listening(pair.api))
                    for _ in range(6):
                        if alive(pair.app):
                            ask(pair, state)
                    if alive(pair.sidecar):
                        pair.get(pair.metrics, "/metrics")
                    # The faulty program stops (and may meet the fault there); a whole one follows.
                    if victim == "sidecar":
                        pair.sidecar.terminate()
                        status = ended(pair.sidecar, what)
                        pair.start_sidecar()
                        ask(pair, state)
                        pair.app.terminate()
                        check(ended(pair.app, what) == 0, f"{what}: the App's status")
                    else:
                        pair.app.terminate()
                        status = ended(pair.app, what)
                    pair.log.flush()
                    with open(pair.path("log"), errors="replace") as f:
                        log = f.read()
                    check(status >= 0 and status < 128, f"{what}: ended by status {status}\n{log}")
                    check(status == 0 or re.search(r"^(simple-server|metrics-sidecar): .", log, re.M),
                          f"{what}: status {status} without a clear line\n{log}")
                    exits += status != 0
                    settle(lambda: pair.total() >= state["answered"])
                    counted = pair.total()
                    name = (open(pair.path("fired")).read().split()[1]
                            if os.path.exists(pair.path("fired")) else None)
                    check(state["answered"] <= counted <= state["sent"],
                          f"{what} ({name}): {state['answered']} answered, {counted} counted, "
                          f"{state['sent']} sent\n{log}")
                    if name is None:
                        break
                    fired[name] = fired.get(name, 0) + 1
            check(sum(fired.values()) > 20, f"{victim}: only {fired} could fail")
            names = ", ".join(f"{name} {count}" for name, count in sorted(fired.items()))
            print(f"  {victim}, {errno.errorcode[code]}: {n - 1} calls failed in turn, {exits} ended "
                  f"the program with a line ({names})", flush=True)


def damaged_state(programs, _):
    """Promise 6: a damaged state file is set aside; a second sidecar on one file is refused."""
    with Pair(programs) as pair:
        with open(pair.path("state"), "wb") as f:
            f.write(os.urandom(10000))
        pair.start_sidecar()
        check(pair.values()["metrics_sidecar_state_resets_total"] == 1, "the reset is not counted")
        check(len(glob.glob(pair.path("state.damaged-*"))) == 1, "the file is not set aside")
        second = subprocess.run(
            [os.path.join(programs, "metrics-sidecar"), "--state", pair.path("state"),
             "--events-socket", "", "--statsd-socket", "", "--listen", "127.0.0.1:0"],
            capture_output=True, text=True, timeout=10)
        check(second.returncode == 1 and "another sidecar has it" in second.stderr, str(second))
        print(f"  set aside and counted; the second one: {second.stderr.strip()}")


def prometheus(programs, options):
    """A real Prometheus scrapes the pair under load and agrees with the client."""
    with Pair(programs) as pair:
        pair.start_sidecar()
        pair.start_app()
        with Prometheus(pair.metrics, pair.folder) as server:
            wait_for(lambda: server.value("up") == 1, "up to be 1", 60)
            load = Load(pair.api, 1)
            load.start()
            time.sleep(8)
            load.stopping.set()
            load.join(20)
            wait_for(lambda: server.value("server_requests_total") == load.answered,
                     "Prometheus to have the count", 60)
            check(server.value("min_over_time(up[1m])") == 1, "up was not 1 all the time")
            # increase() extrapolates by up to 1.1 intervals, of the eight or more that were sampled.
            grown = server.value("increase(server_requests_total[1m])")
            check(abs(grown / load.answered - 1) < 0.2, f"increase {grown}, answered {load.answered}")
            print(f"  up is 1; Prometheus has server_requests_total {load.answered} = answered; "
                  f"increase() says {grown:.0f}")


def idle(programs, options):
    """Promise 7: with nothing to do, nothing wakes up."""
    if not shutil.which("strace"):
        return left_out(options, "strace is not installed")
    with Pair(programs) as pair:
        pair.start_sidecar()
        pair.start_app()
        pair.get(pair.api, "/health")
        wait_for(lambda: pair.total() == 1, "the first count")
        time.sleep(3)
        traces = [subprocess.Popen(["timeout", "10", "strace", "-f", "-p", str(p.pid), "-o",
                                    pair.path(f"trace-{p.pid}")], stderr=subprocess.DEVNULL)
                  for p in (pair.app, pair.sidecar)]
        for trace in traces:
            trace.wait()
        for p in (pair.app, pair.sidecar):
            with open(pair.path(f"trace-{p.pid}")) as f:
                lines = [line for line in f if "SIG" not in line]
            # Each thread is found in its wait and left in it; a call that ended is a wake-up.
            threads = len(os.listdir(f"/proc/{p.pid}/task"))
            begun = [line for line in lines if " resumed>" not in line]
            ended = [line for line in lines if re.search(r"\) += ", line)]
            check(len(begun) == threads and all(re.search(r"epoll_p?wait\(", line) for line in begun),
                  f"{threads} threads, strace saw {lines[:5]}")
            check(not ended, f"woke up: {ended[:5]}")
        print("  no system call in ten seconds in either process")


CHECKS = [endpoints, sidecar_killed, app_killed, gone_client_counts,
          deaf_client_costs_nothing, scrapes_consistent, app_never_waits, damaged_state,
          calls_fail, prometheus, idle]


def main():
    parser = checks.parser(__doc__)
    parser.add_argument("--debug-programs", default=".build/debug",
                        help="programs in which system calls can be made to fail")
    parser.add_argument("--slices", type=int, default=5, help="pairs of slices in app_never_waits")
    parser.add_argument("--allow-missing", action="store_true",
                        help="go on without the checks whose tools are not installed")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    options.left_out = 0
    print(f"seed {options.seed}")
    done = checks.run(CHECKS, options, lambda each, programs: each(programs, options))
    print(f"{done - options.left_out} passed, 0 failed, {options.left_out} left out")


if __name__ == "__main__":
    sys.exit(main())
