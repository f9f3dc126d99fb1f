#!/usr/bin/env python3
"""What is sent again because nobody knows whether it counted: emit --once, and pushes with an
Idempotency-Key, over tries and kills. And emit's other ways.

    Tests/System/run short [SEED=…]
"""
import http.client
import os
import signal
import subprocess
import threading
import time
from unittest import TestCase, main

from support import dice
from support.checks import check, wait_for
from support.sidecar import Sidecar


COUNT = "# TYPE n counter\nn 1\n"


def kill_all(sidecar):
    """SIGKILL of the parent and its worker; both have ended then, and left their sockets."""
    parent = sidecar.process.pid
    os.kill(parent, signal.SIGSTOP)  # It starts no other meanwhile.
    worker = sidecar.worker()
    for process in filter(None, (worker, parent)):
        os.kill(process, signal.SIGKILL)
    sidecar.process.wait()
    wait_for(lambda: not worker or has_ended(worker), "the worker's end")


def has_ended(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def emit(sidecar, *arguments, **how):
    return subprocess.run(
        [sidecar.program, "emit", "--statsd-socket", sidecar.path("statsd.sock"),
         "--events-socket", sidecar.path("events.sock"), *arguments],
        capture_output=True, text=True, timeout=60, **how)


def push(sidecar, path, body, **fields):
    """The status of a push that adds up; 0 where the connection broke."""
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.metrics, timeout=10)
    try:
        connection.request("POST", f"/metrics/job/{path}?mode=aggregate", body,
                           {name.replace("_", "-"): value for name, value in fields.items()})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


class Killer(threading.Thread):
    """Kills the sidecar, or its worker, again and again."""

    def __init__(self, sidecar, chance, *pauses):
        super().__init__(daemon=True)
        self.sidecar, self.chance, self.pauses, self.kills = sidecar, chance, pauses, 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.wait(self.chance.uniform(*self.pauses)):
            victim = self.sidecar.worker()
            if victim:
                os.kill(victim, signal.SIGKILL)
                self.kills += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()
        wait_for(self.sidecar.page, "the sidecar")


class Once(TestCase):
    def test_once(self):
        """emit --once KEY counts once over any number of tries, with kills of both ends."""
        chance = dice()
        with Sidecar("--supervise") as sidecar:
            for _ in range(3):
                result = emit(sidecar, "--once", "order 7", "orders:1|c", "items:3|c")
                check(result.returncode == 0, str(result))
            check(emit(sidecar, "--once", "order 8", "orders:1|c").returncode == 0, "another key")
            # "$KEY" that is not set is no key: each try would count.
            for empty in (["--once", ""], ["--once="]):
                check(emit(sidecar, *empty, "orders:1|c").returncode == 2, "an empty key is taken")
            sidecar.expect({"orders_total": 2.0, "items_total": 3.0})
            tries = killed = 0
            # A worker that has lived so long is replaced at once.
            with Killer(sidecar, chance, 0.26, 0.32) as killer:
                for number in range(600):
                    while True:
                        tries += 1
                        process = subprocess.Popen(
                            [sidecar.program, "emit", "--once", f"job {number}", "jobs:1|c",
                             "--events-socket", sidecar.path("events.sock")],
                            stderr=subprocess.DEVNULL)
                        if chance.random() < 0.5:
                            time.sleep(chance.uniform(0, 0.006))
                            process.kill()
                            killed += 1
                        if process.wait(20) == 0:
                            break
            print(f"  600 keys, {tries} tries, {killed} of them killed, {killer.kills} kills of "
                  f"the sidecar's worker")
            sidecar.expect({"jobs_total": 600.0})
            # And after an orderly stop, and a kill of all of it.
            sidecar.stop()
            sidecar.start()
            kill_all(sidecar)
            sidecar.start()
            for number in range(0, 600, 10):
                again = emit(sidecar, "--once", f"job {number}", "jobs:1|c")
                check(again.returncode == 0, str(again))
            sidecar.expect({"jobs_total": 600.0})

    def test_input_and_wait(self):
        """emit - reads standard input, of any length; --wait is acknowledged; both in order."""
        with Sidecar() as sidecar:
            many = "".join(f"many:1|c|#n:{n % 7}\r\n" for n in range(50_000)) + "\n\nlast:1|c"
            for flags in ([], ["--wait"]):
                result = emit(sidecar, *flags, "-", input=many)
                check(result.returncode == 0 and not result.stderr, str(result))
            values = sidecar.expect({"last_total": 2.0})
            total = sum(value for name, value in values.items() if name.startswith("many_total{"))
            check(total == 100_000, f"{total} of 100000 are counted")
            check(emit(sidecar, "--once", "all", "-", input="a:1|c\nb:1|c\n").returncode == 0, "-")
            result = emit(sidecar, "--once", "big", "-", input="a:1|c\n" * 200_000)
            check(result.returncode == 2 and "1000 KiB" in result.stderr, str(result))
            sidecar.expect({"a_total": 1.0})

    def test_bad_lines(self):
        """A bad line is refused with its reason before anything is sent, on each way."""
        with Sidecar() as sidecar:
            for flags in [], ["--wait"], ["--once", "k"]:
                for line, reason in (("orders:1|x", "the types are"), ("orders", "no value"),
                                     ("orders:nan|c", "no finite number"), ("", "no line")):
                    result = emit(sidecar, *flags, "good:1|c", line) if line else emit(
                        sidecar, *flags, "-", input="\n")
                    check(result.returncode == 2 and reason in result.stderr
                          and result.stderr.count("\n") == 1, str(result))
            result = emit(sidecar, "-", input="good:1|c\nbad\n")
            check(result.returncode == 2 and "line 2, 'bad'" in result.stderr, str(result))
            check("good_total" not in sidecar.page(), "something was sent")

    def test_nobody(self):
        """Without a sidecar it ends with 1 and one line at once; without an acknowledgement too."""
        with Sidecar() as sidecar:
            sidecar.stop()
            for flags in [], ["--wait"], ["--once", "k"]:
                result = emit(sidecar, *flags, "a:1|c")
                check(result.returncode == 1 and result.stderr.count("\n") == 1, str(result))


class Keys(TestCase):
    def test_idempotency_key(self):
        """A push that adds up counts once under its key, for its group; others as ever."""
        with Sidecar("--push") as sidecar:
            for group, key in (("a", "1"), ("a", "1"), ("b", "1"), ("a", "2"), ("a", "1")):
                check(push(sidecar, group, COUNT, Idempotency_Key=key) == 200, "refused")
            for _ in range(2):
                check(push(sidecar, "a", COUNT) == 200, "refused")
            # A push that is refused leaves its key free.
            wrong = COUNT.replace("1", "x")
            check(push(sidecar, "c", wrong, Idempotency_Key="1") == 400, "taken")
            check(push(sidecar, "c", COUNT, Idempotency_Key="1") == 200, "refused")
            for key in "", "x" * 256, "a\tb":
                check(push(sidecar, "a", COUNT, Idempotency_Key=key) == 400, f"{key!r} is taken")
            check(push(sidecar, "d", COUNT, Idempotency_Key="x" * 255) == 200, "refused")
            series = 'n{instance="",job="%s"}'
            sidecar.expect({series % "a": 4.0, series % "b": 1.0, series % "c": 1.0,
                            "metrics_sidecar_pushes_repeated_total": 2.0})

    def test_kills(self):
        """Keys and pushes over kills: whoever pushes until it is answered counts once."""
        chance = dice()
        with Sidecar("--push", "--supervise") as sidecar:
            tries = 0
            with Killer(sidecar, chance, 0.26, 0.32) as killer:
                for number in range(6000):
                    while True:
                        tries += 1
                        status = push(sidecar, f"g{number % 3}", COUNT,
                                      Idempotency_Key=f"k{number}")
                        # Some answers get lost.
                        if status == 200 and chance.random() < 0.7:
                            break
            print(f"  6000 keys, {tries} tries, {killer.kills} kills")
            series = 'n{instance="",job="g%d"}'
            sidecar.expect({series % group: 2000.0 for group in range(3)})
            kill_all(sidecar)
            sidecar.start()
            for number in range(0, 6000, 20):
                check(push(sidecar, f"g{number % 3}", COUNT, Idempotency_Key=f"k{number}") == 200,
                      "refused")
            sidecar.expect({series % group: 2000.0 for group in range(3)})


if __name__ == "__main__":
    main()
