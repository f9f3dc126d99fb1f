"""The App waits for nobody, and nothing wakes up for nothing.

    Tests/System/run waiting [SLICES=5]      pairs of slices in app_never_waits
"""
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import threading
import time
from unittest import TestCase, main

from support import setting
from support.checks import awake, check, missing, wait_for
from support.pair import Pair, cpu, loaded, resident

SLICES = setting("SLICES", 5)


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


class Waiting(TestCase):
    def test_app_never_waits(self):
        """Promise 3: a stopped, absent or slow sidecar costs the App no speed, and then all is
        counted."""
        def measure(pair, seconds):
            start = cpu(pair.app)
            with loaded(pair) as loads:
                time.sleep(seconds)
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

        # Slices with and without trouble alternate, so that a busy machine slows both. What it does
        # to a slice only ever slows it: the best third of the requests per CPU second are compared.
        def best(rates):
            return statistics.mean(sorted(rates)[-(len(rates) + 2) // 3:])

        for trouble in ("stopped", "absent", "reads one byte a second"):
            with Pair() as pair:
                pair.start_sidecar()
                pair.start_app("--workers", "1")
                answered, _ = measure(pair, 1)
                memory = resident(pair.app)
                grown = 0
                normal, troubled = [], []

                def ratio():
                    return best(troubled) / best(normal)
                # A noisy machine gets more slices before it is believed.
                while len(normal) < SLICES or (
                        ratio() < 0.95 and len(normal) < 4 * SLICES):
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

    def test_no_descriptors(self):
        """An App that may open no more files: connections at rest make room, then those whose
        request does not go on, so a client that comes is answered; nothing spins meanwhile."""
        def client():
            return socket.create_connection(("127.0.0.1", pair.api), timeout=20)

        def answered(made, path="/health"):
            made.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            return made.recv(4096).startswith(b"HTTP/1.1 200 ")

        def busy():
            """A client in the middle of a head."""
            made = client()
            made.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
            return made

        with Pair() as pair:
            pair.start_sidecar()
            # As from a shell, whose limit is lower than what is allowed.
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, limits[1]), limits[1]))
            pair.start_app("--workers", "1")
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            pid = pair.app.pid
            wait_for(lambda: pair.values().get("app_starts_total") == 1, "its start")
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            check(soft == hard, f"it may open {soft} files, and could {hard}")
            numbers = [int(name) for name in os.listdir(f"/proc/{pid}/fd")]
            limit = max(numbers) + 1 + 8
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))
            resting = [client() for _ in range(30)]
            check(all(answered(each) for each in resting[-4:]), "those at rest make no room")
            for each in resting:
                each.close()
            # The last one has the descriptor in reserve.
            clients = [busy() for _ in range(limit - len(numbers) + 1)]
            woken, seconds = awake(pid)
            check(woken < 20 + 10 * seconds,
                  f"{woken} times awake in {seconds:.1f} s with nothing to do")
            waiting = client()
            check(answered(waiting, "/bye"), "a client that comes is not answered")
            wait_for(lambda: pair.values().get("bye_request_total") == 1, "its count")
            print(f"  {len(clients)} clients in {limit} descriptors; {woken} times awake in "
                  f"{seconds:.1f} s with nothing to do")

    def test_idle(self):
        """Promise 7: with nothing to do, nothing wakes up."""
        if not shutil.which("strace"):
            missing("strace is not installed")
        with Pair() as pair:
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
                # Each thread is found in its wait and left in it; a call that ended is a wake-up. A
                # poll that strace has come into goes on as restart_syscall.
                threads = len(os.listdir(f"/proc/{p.pid}/task"))
                begun = [line for line in lines if " resumed>" not in line]
                ended = [line for line in lines if re.search(r"\) += ", line)]
                check(len(begun) == threads
                      and all(re.search(r"(epoll_p?wait|p?poll|restart_syscall)\(", line)
                                                       for line in begun),
                      f"{threads} threads, strace saw {lines[:5]}")
                check(not ended, f"woke up: {ended[:5]}")
            print("  no system call in ten seconds in either process")


if __name__ == "__main__":
    main()
