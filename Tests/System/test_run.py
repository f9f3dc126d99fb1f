#!/usr/bin/env python3
"""metrics-sidecar run: a job is reported, and cannot tell that it is.

    Tests/System/run run
"""
import os
import signal
import subprocess
import sys
import tempfile
import time
from unittest import TestCase, main

from support import PROGRAMS
from support.checks import as_process_1, check, wait_for
from support.sidecar import Sidecar

PROGRAM = os.path.join(PROGRAMS, "metrics-sidecar")


def run(*command, socket="/nowhere/s", name="job", before=(), **how):
    return subprocess.run(
        [*before, PROGRAM, "run", "--name", name, "--statsd-socket", socket, "--", *command],
        capture_output=True, timeout=60, **how)


def default_signals():
    """A shell that starts something in the background has it ignore two of these for good; nohup
    has it ignore the third."""
    for name in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(name, signal.SIG_DFL)


class Run(TestCase):
    def test_report(self):
        """A job's runs, duration, exit code and last success, by result; a command that is not
        there is a failure too."""
        with Sidecar() as sidecar:
            socket = sidecar.path("statsd.sock")
            start = int(time.time())
            for command, code in (
                    (["true"], 0), (["sh", "-c", "exit 7"], 7), (["true"], 0),
                    (["sh", "-c", "kill -9 $$"], 137), (["no-such-command"], 127), (["/"], 126)):
                result = run(*command, socket=socket, name="backup of /var")
                check(result.returncode == code, f"{command}: {result}")
            label = 'job_name="backup of /var"'
            values = sidecar.expect({
                f'job_runs_total{{{label},result="success"}}': 2.0,
                f'job_runs_total{{{label},result="failure"}}': 4.0,
                f"job_duration_seconds_count{{{label}}}": 6.0,
                f"job_exit_code{{{label}}}": 126.0})
            success = values[f"job_last_success_timestamp_seconds{{{label}}}"]
            check(start <= success <= time.time(), f"{success} is the last success")
            run("sleep", "0.2", socket=socket, name="naps")
            check(sidecar.values()['job_duration_seconds_sum{job_name="naps"}'] >= 0.2, "too short")
            run("false", socket=socket, name="fails")
            check("job_last_success_timestamp_seconds{job_name=\"fails\"}" not in sidecar.page(),
                  "a failure is a success")
            refused = sidecar.values()['metrics_sidecar_events_rejected_total{reason="bad_value"}']
            check(refused == 0, "a line is refused")

    def test_passes_through(self):
        """Arguments of any bytes, standard streams, environment and exit codes; without a sidecar
        the same with one line on standard error."""
        result = run(sys.executable, "-c", """
import os, sys
sys.stdout.buffer.write(sys.stdin.buffer.read() + os.fsencode(sys.argv[1]) + b" " +
                        os.environb[b"MINE"] + b" " + os.fsencode(" ".join(sys.argv[2:])))
sys.stderr.write("own\\n")
sys.exit(200)
""", b"\xff\xfe", "--", "--name", "x", input=b"in\0put ", env={**os.environ, "MINE": "kept"})
        check(result.returncode == 200, str(result))
        check(result.stdout == b"in\0put \xff\xfe kept -- --name x", str(result))
        lines = result.stderr.decode().splitlines()
        check(lines[0] == "own" and len(lines) == 2 and "is not counted" in lines[1], str(result))

    def test_mistakes(self):
        """A command line that is wrong runs nothing: exit code 2, one line."""
        with tempfile.TemporaryDirectory() as folder:
            touched = os.path.join(folder, "touched")
            for arguments in (["--name", "x", "touch", touched], ["--", "touch", touched],
                              ["--name", "a,b", "--", "touch", touched], ["--name", "x", "--"],
                              ["--nam", "x", "--", "touch", touched],
                              ["touch", "--name", "x", touched]):
                result = subprocess.run([PROGRAM, "run", *arguments], capture_output=True,
                                        text=True)
                check(result.returncode == 2 and result.stderr.count("\n") == 1, str(result))
            check(not os.path.exists(touched), "it ran")

    def start(self, script, *before):
        """Runs a script and waits for its word."""
        process = subprocess.Popen(
            [*before, PROGRAM, "run", "--name", "x", "--statsd-socket", "/nowhere/s", "--",
             "bash", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True, preexec_fn=default_signals)
        check(process.stdout.readline() == "ready\n", "it does not start")
        return process

    def test_signals(self):
        """SIGTERM and others are handed on, once; what the command makes of them is the result. Of
        what a terminal sends to both it gets one."""
        for name in "TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH":
            process = self.start(f"trap 'echo got {name}; exit 9' {name}; echo ready; "
                                 "while :; do sleep 0.05; done")
            process.send_signal(getattr(signal, "SIG" + name))
            check(process.communicate(timeout=20)[0] == f"got {name}\n", name)
            check(process.returncode == 9, f"{name}: {process.returncode}")
        process = self.start("echo ready; exec sleep 60")
        process.send_signal(signal.SIGTERM)
        check(process.wait(20) == 128 + signal.SIGTERM, f"ended with {process.returncode}")
        # A command that does not care goes on.
        process = self.start("trap '' TERM; echo ready; sleep 0.5; echo done")
        process.send_signal(signal.SIGTERM)
        check(process.communicate(timeout=20)[0] == "done\n" and process.returncode == 0, "killed")

    def test_process_1(self):
        """As process 1 of a container it hands signals on and reaps orphans."""
        process = self.start("(sleep 0.1 &) ; trap 'exit 5' TERM; echo ready; "
                             "while :; do sleep 0.05; done", *as_process_1())
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
            first = int(file.read())
        time.sleep(0.3)
        states = []
        for each in os.listdir("/proc"):
            if each.isdigit():
                try:
                    with open(f"/proc/{each}/stat") as file:
                        fields = file.read().rsplit(")", 1)[1].split()
                    if int(fields[1]) == first:
                        states.append(fields[0])
                except OSError:
                    pass
        check("Z" not in states, f"an orphan is left: {states}")
        os.kill(first, signal.SIGTERM)
        check(process.wait(20) == 5, f"ended with {process.returncode}")

    def test_sidecar_that_comes_and_goes(self):
        """What counts is the sidecar at the end: one that was not there at the start."""
        with Sidecar() as sidecar:
            sidecar.stop()
            process = subprocess.Popen([PROGRAM, "run", "--name", "late", "--statsd-socket",
                                        sidecar.path("statsd.sock"), "--", "sleep", "0.7"])
            sidecar.start()
            check(process.wait(20) == 0, "it failed")
            sidecar.expect({'job_runs_total{job_name="late",result="success"}': 1.0})
            wait_for(lambda: process.poll() is not None, "the job")


if __name__ == "__main__":
    main()
