#!/usr/bin/env python3
"""--supervise on a real sidecar whose worker dies of what it was sent, or hangs in it: one that was
built to do so at a certain place.

    Tests/System/run worker_faults [DEBUG_PROGRAMS=.build/debug]
"""
import http.client
import os
import signal
from unittest import TestCase, main

from support import DEBUG_PROGRAMS
from support.checks import check, missing, wait_for
from support.sidecar import Session, Sidecar, Wire, frame

RESTARTS = "metrics_sidecar_worker_restarts_total"
POISONED = 'metrics_sidecar_frames_total{result="poisoned"}'
LEFT_OUT = 'metrics_sidecar_events_rejected_total{reason="poisoned"}'
FAULTS = (signal.SIGILL, signal.SIGTRAP, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE,
          signal.SIGABRT)


class Planned(Sidecar):
    """Its worker dies of `crash`, or hangs at `hang`, in what it applies."""

    def __init__(self, *flags, crash=None, hang=None):
        environment = dict(os.environ)
        if crash:
            environment["CLINUX_CRASH"] = crash
        if hang:
            environment["CLINUX_HANG"] = hang
        self.popen = {"env": environment}
        super().__init__("--supervise", *flags, programs=DEBUG_PROGRAMS)


def sidecar_sleeps(pid):
    """Whether it is in pause(2), by number 34 on this machine."""
    with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
        return file.read().startswith("34 ")


def finish(session):
    """Until all frames are acknowledged, by whichever worker."""
    def flushed():
        try:
            session.flush()
            return True
        except OSError:
            session.close()
            return False
    wait_for(flushed, "all to be acknowledged")


class WorkerFaults(TestCase):
    def setUp(self):
        if not os.path.exists(os.path.join(DEBUG_PROGRAMS, "metrics-sidecar")):
            missing("no debug build: no fault can be planned")

    def test_hung(self):
        """A worker that hangs in a turn is told with its phase, killed and replaced; when the next
        one hangs too, a
        SIGTERM ends all of it."""
        with Planned(hang="hang:1") as sidecar:
            worker = sidecar.worker()
            sidecar.send("good:1|c")
            sidecar.expect({"good_total": 1})
            wire = Wire(sidecar)
            wire.send(frame("hang:1|c"))
            wait_for(lambda: sidecar.worker() not in (None, worker), "the next worker")
            check("The worker hangs (while it read clients of events.sock or TCP), so it is killed"
                  in sidecar.output(), sidecar.output())
            sidecar.expect({"good_total": 1, RESTARTS: 1})
            wire = Wire(sidecar)
            wire.send(frame("hang:1|c"))
            wait_for(lambda: sidecar_sleeps(sidecar.worker()), "the next hang")
            sidecar.send("good:1|c")
            sidecar.process.terminate()
            check(sidecar.process.wait(40) == 1, sidecar.process.returncode)
            check("so it is killed" in sidecar.output().split("signal 9")[1], sidecar.output())
            sidecar.popen = {}
            sidecar.start()
            # Its frames had no session; the datagram was with the kernel, which a parent that ends
            # takes along.
            sidecar.expect({"good_total": 1, "hang_total": None})

    def test_crash_alone(self):
        """Without a parent, a sidecar that dies of its input is gone by that signal; another one
        goes on with what was committed."""
        for number in (signal.SIGBUS, signal.SIGKILL):
            class Alone(Sidecar):
                popen = {"env": dict(os.environ, CLINUX_CRASH=f"{int(number)}:bad:1")}
            with Alone(programs=DEBUG_PROGRAMS) as sidecar:
                sidecar.send("good:1|c")
                sidecar.expect({"good_total": 1})
                Wire(sidecar).send(frame("good:1|c", "bad:1|c"))
                check(sidecar.process.wait(40) == -number, sidecar.process.returncode)
                sidecar.popen = {}
                sidecar.start()
                sidecar.expect({"good_total": 1, "bad_total": None})

    def test_hung_alone(self):
        """Without a parent, a sidecar that hangs ends 15 s after SIGTERM."""
        class Alone(Sidecar):
            popen = {"env": dict(os.environ, CLINUX_HANG="hang:1")}
        with Alone(programs=DEBUG_PROGRAMS) as sidecar:
            wire = Wire(sidecar)
            wire.send(frame("hang:1|c"))
            wait_for(lambda: sidecar_sleeps(sidecar.process.pid), "the hang")
            sidecar.process.terminate()
            check(sidecar.process.wait(40) == 1, sidecar.process.returncode)
            check("it has not ended within 15 s of the signal" in sidecar.output(),
                  sidecar.output())

    def test_poisoned_frames(self):
        """A session's frame that ends two workers: acknowledged, not applied, counted, told; the
        others count
        exactly once. By each signal of a fault, and never by SIGKILL."""
        for number in FAULTS:
            with Planned(crash=f"{int(number)}:bad\x01:1") as sidecar:
                session = Session(sidecar.path("events.sock"))
                session.put("good:1|c")
                session.put("good:1|c", "bad\x01:1|c", "good:1|c")
                session.put("good:1|c")
                finish(session)
                sidecar.expect({"good_total": 2, RESTARTS: 2,
                                POISONED: 1})
                check(sidecar.output().count("killed by signal %d;" % number) == 2,
                      sidecar.output())
                check("A frame of 26 bytes ended two workers in a row, so it is left out. It "
                      "begins: good:1|c\\x0abad\\x01:1|c\\x0agood:1|c" in sidecar.output(),
                      sidecar.output())
                # The same again, under another number, ends nobody.
                session.close()
                session.put("good:1|c", "bad\x01:1|c", "good:1|c")
                finish(session)
                sidecar.expect({"good_total": 2, RESTARTS: 2,
                                POISONED: 2})
        with Planned(crash=f"{int(signal.SIGKILL)}:bad:1") as sidecar:
            session = Session(sidecar.path("events.sock"))
            session.put("bad:1|c")
            for _ in range(4):
                worker = sidecar.worker()
                try:
                    session.flush()
                    check(False, "it was acknowledged")
                except OSError:
                    session.close()
                wait_for(lambda: sidecar.worker() not in (None, worker), "the next worker")
            check("ended two workers" not in sidecar.output(), sidecar.output())

    def test_poisoned_datagrams(self):
        """A datagram that ends two workers is left out and counted; the others of its batch count
        once."""
        with Planned(crash=f"{int(signal.SIGSEGV)}:bad:1") as sidecar:
            os.kill(sidecar.worker(), signal.SIGSTOP)
            with sidecar.unix("statsd.sock") as client:
                for line in (b"good:1|c", b"good:1|c\nbad:1|c", b"good:1|c", b"good:1|c"):
                    client.send(line)
            os.kill(sidecar.worker(), signal.SIGCONT)
            sidecar.expect({"good_total": 3, RESTARTS: 2, "metrics_sidecar_datagrams_lost_total": 0,
                            LEFT_OUT: 1}, seconds=20)
            sidecar.send_udp(b"bad:1|c")
            # A part of what two workers have died of, and the third of.
            sidecar.expect({"good_total": 3, RESTARTS: 3,
                            LEFT_OUT: 1}, seconds=20)

    def test_poisoned_lines(self):
        """A plain line that ends two workers, cut from its neighbours differently each time, is
        left out alone."""
        with Planned(crash=f"{int(signal.SIGABRT)}:bad:1") as sidecar:
            for index in range(2):
                sidecar.send_tcp(b"x:1|c\n" * index + b"bad:1|c\n" + b"x:1|c\n")
                sidecar.expect({RESTARTS: index + 1}, seconds=20)
            before = sidecar.values().get("x_total", 0)
            sidecar.send_tcp(b"x:1|c\nbad:1|c\nx:1|c\n")
            sidecar.expect({"x_total": before + 2, RESTARTS: 2,
                            LEFT_OUT: 1})

    def test_poisoned_pushes(self):
        """A push that ends two workers is answered 422, and changes nothing."""
        def push(job, body):
            connection = http.client.HTTPConnection("127.0.0.1", sidecar.metrics, timeout=20)
            try:
                connection.request("PUT", "/metrics/job/" + job, body)
                return connection.getresponse().status
            except (OSError, http.client.HTTPException):
                return None
            finally:
                connection.close()

        with Planned("--push", crash=f"{int(signal.SIGILL)}:bad 1") as sidecar:
            check(push("j", "p 1\n") == 200, "the first")
            for index in range(2):
                check(push("k", "bad 1\n") is None, "it lives")
                wait_for(sidecar.page, "the next worker")
                sidecar.expect({RESTARTS: index + 1}, seconds=20)
            check(push("k", "bad 1\n") == 422, "no 422")
            sidecar.expect({'metrics_sidecar_pushes_total{result="poisoned"}': 1, RESTARTS: 2,
                            'p{instance="",job="j"}': 1})


if __name__ == "__main__":
    main()
