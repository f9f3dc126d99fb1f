#!/usr/bin/env python3
"""--supervise on a real sidecar whose worker cannot start, or stops; signals that come too early.

    Tests/System/run workers
"""
import os
import resource
import signal
import subprocess
import time
from unittest import TestCase, main

from support.checks import check, missing, wait_for
from support.sidecar import Sidecar

RESTARTS = "metrics_sidecar_worker_restarts_total"


def still(count, seconds):
    """Whether `count` stays for so long."""
    before = count()
    time.sleep(seconds)
    return count() == before


class Workers(TestCase):
    def test_early_signals(self):
        """A SIGHUP or a SIGTERM that comes before the sidecar can take it waits until then."""
        for flags in ((), ("--supervise",)):
            for number in (signal.SIGHUP, signal.SIGTERM):
                with Sidecar(*flags) as sidecar:
                    sidecar.stop()
                    reader, writer = os.pipe()
                    os.set_blocking(writer, False)
                    try:
                        while True:
                            os.write(writer, b"\n" * 4096)
                    except BlockingIOError:
                        pass
                    os.set_blocking(writer, True)
                    # Its first line is about a variable that is nearly a setting's, and has no
                    # room.
                    process = subprocess.Popen(
                        sidecar.arguments(), stdout=writer, stderr=sidecar.log,
                        env=dict(os.environ, METRICS_SIDECAR_LISTN="x"))
                    sidecar.process = process
                    os.close(writer)

                    def waits():
                        with open(f"/proc/{process.pid}/syscall", encoding="ascii") as file:
                            return file.read().startswith("1 0x1 ")
                    wait_for(waits, "its first line")
                    process.send_signal(number)
                    output = b""
                    while b"Stopped: everything" not in output:
                        chunk = os.read(reader, 65536)
                        if not chunk:
                            check(False, "it ended without a word:", process.wait(20), output)
                        output += chunk
                        if b"Reloaded the rules" in output and process.poll() is None:
                            process.terminate()
                    check(process.wait(20) == 0, f"{number.name}: ended with {process.returncode}")
                    check(number == signal.SIGTERM or b"Reloaded the rules" in output, output)
                    os.close(reader)

    def test_no_process(self):
        """A worker that cannot be forked is tried again, at the start and later; a stop ends the
        tries."""
        uid = 64_000 + os.getpid() % 1000

        class Limited(Sidecar):
            popen = {"user": uid}
            processes = 1

            def start(self):
                os.chown(self.folder, uid, uid)
                for name in os.listdir(self.folder):
                    os.chown(self.path(name), uid, uid)

                def limit():
                    resource.setrlimit(resource.RLIMIT_NPROC, (self.processes, 1000))
                self.popen = dict(Limited.popen, preexec_fn=limit)
                self.process = subprocess.Popen(self.arguments(), stdout=self.log, stderr=self.log,
                                                **self.popen)

        if os.geteuid() != 0:
            missing("no root: no user can be had with one process")
        with Limited("--supervise") as sidecar:
            pid = sidecar.process.pid

            def allow(count):
                # As that user: root may lack the capability for others' processes.
                subprocess.run(["prlimit", f"--pid={pid}", f"--nproc={count}:1000"], user=uid,
                               check=True)

            def tries():
                return sidecar.output().count("No worker can be started (")
            wait_for(lambda: tries() >= 3 or sidecar.process.poll() is not None, "three tries")
            check(sidecar.process.poll() is None and sidecar.worker() is None, sidecar.output())
            allow(10)
            wait_for(sidecar.page, "the worker")
            sidecar.send("a:1|c")
            sidecar.expect({"a_total": 1})
            allow(1)
            before = tries()
            os.kill(sidecar.worker(), signal.SIGKILL)
            wait_for(lambda: tries() > before, "a try")
            client = sidecar.unix("statsd.sock")
            client.send(b"a:1|c")
            allow(10)
            sidecar.expect({"a_total": 2, RESTARTS: 1}, seconds=20)
            check("A worker has started after" in sidecar.output(), sidecar.output())
            allow(1)
            before = tries()
            os.kill(sidecar.worker(), signal.SIGKILL)
            wait_for(lambda: tries() > before, "a try")
            sidecar.process.terminate()
            check(sidecar.process.wait(20) == 0, sidecar.process.returncode)

    def test_stopped(self):
        """A worker that is stopped: told; one that goes on stays, one that does not is replaced,
        and nothing is
        lost; SIGTERM ends a stopped one in order."""
        with Sidecar("--supervise") as sidecar:
            worker = sidecar.worker()
            os.kill(worker, signal.SIGSTOP)
            wait_for(lambda: "The worker was stopped by signal 19" in sidecar.output(), "a line")
            sidecar.send("a:1|c")
            os.kill(worker, signal.SIGCONT)
            sidecar.expect({"a_total": 1, RESTARTS: 0})
            os.kill(worker, signal.SIGSTOP)
            sidecar.send("a:1|c")
            wait_for(lambda: sidecar.worker() not in (None, worker), "the next worker")
            sidecar.expect({"a_total": 2, RESTARTS: 1})
            check("The worker hangs (stopped while it" in sidecar.output(), sidecar.output())
            os.kill(sidecar.worker(), signal.SIGSTOP)
            wait_for(lambda: sidecar.output().count("was stopped by signal 19") == 3, "a line")
            sidecar.send("a:1|c")
            sidecar.process.terminate()
            check(sidecar.process.wait(20) == 0, sidecar.process.returncode)
            sidecar.start()
            sidecar.expect({"a_total": 3})

    def test_rests(self):
        """A parent whose worker rests does not wake, and neither does the worker."""
        with Sidecar("--supervise") as sidecar:
            sidecar.send("a:1|c")
            sidecar.expect({"a_total": 1})
            pids = (sidecar.process.pid, sidecar.worker())

            def switches():
                total = 0
                for pid in pids:
                    with open(f"/proc/{pid}/status", encoding="ascii") as file:
                        total += int(file.read().split("voluntary_ctxt_switches:")[1].split()[0])
                return total
            # Its last look is five seconds after the worker's first turn.
            wait_for(lambda: still(switches, 6), "rest", seconds=40)


if __name__ == "__main__":
    main()
