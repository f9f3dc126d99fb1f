#!/usr/bin/env python3
"""A state file, or the one of pushes beside it, that is cut, damaged, odd or too large: a real
sidecar
tells what it loses, counts it and sets it aside, and dies of nothing.

    Tests/System/run odd_state
"""
import http.client
import os
import signal
import socket
from unittest import TestCase, main

from support.checks import check, wait_for
from support.sidecar import Sidecar

RESETS = "metrics_sidecar_state_resets_total"
PUSH_RESETS = "metrics_sidecar_push_state_resets_total"


def set_aside(sidecar):
    """The names of the files that were kept for not being trusted."""
    return sorted(name for name in os.listdir(sidecar.folder) if ".damaged-" in name)


def killed(sidecar):
    sidecar.process.kill()
    sidecar.process.wait()


def push(sidecar, job, body):
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.metrics, timeout=20)
    connection.request("PUT", "/metrics/job/" + job, body)
    status = connection.getresponse().status
    connection.close()
    return status


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


class OddState(TestCase):
    def test_cut_alone(self):
        """A state file that is cut short while it is in use: one line, and code 1."""
        for length in (0, 100, 4096):
            with Sidecar() as sidecar:
                sidecar.send("a:1|c")
                sidecar.expect({"a_total": 1})
                before = len(sidecar.output())
                os.truncate(sidecar.path("state"), length)
                sidecar.send("a:1|c")
                wait_for(lambda: sidecar.process.poll() is not None, "its end")
                lines = sidecar.output()[before:]
                check(sidecar.process.returncode == 1 and lines.count("\n") == 1
                      and "was cut short while it was in use" in lines,
                      sidecar.process.returncode, lines)
                sidecar.start()
                sidecar.expect({"a_total": None, RESETS: 1 if length else 0})
                check(length or "was there and empty, so counting starts at" in sidecar.output(),
                      sidecar.output())

    def test_cut_supervised(self):
        """--supervise: the same; the next worker sets it aside, or says that it is gone, and
        serves."""
        with Sidecar("--supervise", "--push") as sidecar:
            for length in (0, 100, 4096):
                sidecar.send("a:1|c")
                sidecar.expect({"a_total": 1})
                worker = sidecar.worker()
                os.truncate(sidecar.path("state"), length)
                sidecar.send("a:1|c")
                wait_for(lambda: sidecar.worker() not in (None, worker), "the next worker")
                # What is in the inbox counts, in the new file.
                sidecar.expect({"a_total": 1, RESETS: 1, "metrics_sidecar_worker_restarts_total": 1,
                                "metrics_sidecar_datagrams_lost_total": 0})
                sidecar.kill_worker()
                sidecar.expect({RESETS: 1})
                # Each round starts at zero.
                sidecar.process.terminate()
                check(sidecar.process.wait(20) == 0, sidecar.process.returncode)
                os.unlink(sidecar.path("state"))
                sidecar.start()
            check(push(sidecar, "j", "p 1\n") == 200, "the push")
            worker = sidecar.worker()
            os.truncate(sidecar.path("state.push"), 0)
            try:
                push(sidecar, "j", "p 2\n")
            except (OSError, http.client.HTTPException):
                pass
            wait_for(lambda: sidecar.worker() not in (None, worker), "the next worker")
            sidecar.expect({PUSH_RESETS: 1, 'p{instance="",job="j"}': None})
            check("state.push was emptied or removed while it was in use" in sidecar.output(),
                  sidecar.output())

    def test_removed_and_killed(self):
        """--supervise: a worker that is killed after the file was removed: what is lost is told
        and counted."""
        with Sidecar("--supervise") as sidecar:
            sidecar.send("a:1|c")
            sidecar.expect({"a_total": 1})
            os.kill(sidecar.worker(), signal.SIGSTOP)
            wait_for(lambda: "was stopped by signal" in sidecar.output(), "its stop")
            os.unlink(sidecar.path("state"))
            sidecar.kill_worker()
            sidecar.expect({"a_total": None, RESETS: 1})
            check("state was emptied or removed while it was in use" in sidecar.output(),
                  sidecar.output())

    def test_links(self):
        """--state as a link, to a file that is there or not: followed; what it leads to is set
        aside, not the link."""
        class Linked(Sidecar):
            def start(self):
                if self.process is None:
                    os.mkdir(self.path("far"))
                    os.symlink("far/next", self.path("state"))
                    os.symlink(self.path("far/real"), self.path("far/next"))
                super().start()

        with Linked() as sidecar:
            wait_for(lambda: sidecar.page("/-/ready") == "ready\n",
                     "readiness: " + str(sidecar.page("/-/ready")))
            sidecar.send("a:1|c")
            sidecar.expect({"a_total": 1})
            check(os.path.islink(sidecar.path("state"))
                  and os.path.getsize(sidecar.path("far/real")) >= 65536,
                  os.listdir(sidecar.path("far")))
            sidecar.stop()
            sidecar.start()
            sidecar.expect({"a_total": 1})
            killed(sidecar)
            overwrite(sidecar.path("far/real"), 0, b"X")
            sidecar.start()
            sidecar.expect({"a_total": None, RESETS: 1})
            check(os.path.islink(sidecar.path("state")), "the link was set aside")
            check(any(name.startswith("real.damaged-") for name in os.listdir(sidecar.path("far"))),
                  os.listdir(sidecar.path("far")))

    def test_no_file(self):
        """A folder, a pipe, a socket, a device, a loop of links in the file's place: one line, and
        code 1."""
        with Sidecar() as sidecar:
            sidecar.stop()
            state = sidecar.path("state")
            if os.path.exists(state):
                os.unlink(state)

            def attempt(words):
                result = sidecar.run()
                check(result.returncode == 1 and result.stderr.count("\n") == 1
                      and words in result.stderr,
                      str(result))

            os.mkdir(state)
            attempt("it is a folder")
            os.rmdir(state)
            os.mkfifo(state)
            attempt("a device, a pipe or a socket is no file")
            os.unlink(state)
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(state)
                attempt("a device, a pipe or a socket is no file")
            os.unlink(state)
            for target, words in (("/dev/zero", "a device"), ("/dev/full", "a device"),
                                  (state, "ELOOP")):
                os.symlink(target, state)
                attempt(words)
                os.unlink(state)

    def test_sparse(self):
        """A file of a terabyte without a byte in it takes no disk, and a state file with such an
        end goes on."""
        with Sidecar("--state-size", "8MiB") as sidecar:
            sidecar.send("a:1|c")
            sidecar.expect({"a_total": 1})
            killed(sidecar)
            os.truncate(sidecar.path("state"), 1 << 40)
            sidecar.start()
            sidecar.send("a:1|c")
            sidecar.expect({"a_total": 2, RESETS: 0})
            check(os.stat(sidecar.path("state")).st_blocks * 512 <= 9 << 20, "it took the disk")
            killed(sidecar)
            os.truncate(sidecar.path("state"), 0)
            os.truncate(sidecar.path("state"), 1 << 40)
            sidecar.start()
            sidecar.expect({"a_total": None, RESETS: 1})
            aside = set_aside(sidecar)
            check(len(aside) == 1 and os.stat(sidecar.path(aside[0])).st_blocks == 0, aside)

    def test_lower_limit(self):
        """--state-size below what is in use: all is kept, with a warning, and nothing grows."""
        series = [f"many:1|c|#n:{n:06},{'x' * 200}:y" for n in range(5000)]
        with Sidecar("--push") as sidecar:
            sidecar.send(*series)
            sidecar.expect({"metrics_sidecar_series": 5000})
            body = "".join(f'p{{n="{n}",x="{"y" * 200}"}} 1\n' for n in range(3000))
            for job in "abc":
                check(push(sidecar, job, body) == 200, "a push")
            sizes = [os.path.getsize(sidecar.path(name)) for name in ("state", "state.push")]
            check(min(sizes) > 1 << 20, sizes)
            sidecar.stop()
            sidecar.flags += ("--state-size", "1MiB")
            sidecar.start()
            check(sidecar.output().count("more than the 1048576 of --state-size") == 2,
                  sidecar.output())
            values = sidecar.expect({"metrics_sidecar_series": 5000, RESETS: 0, PUSH_RESETS: 0,
                                     "metrics_sidecar_push_series": 9000})
            sidecar.send(*series, "new:1|c")
            full = 'metrics_sidecar_events_rejected_total{reason="state_full"}'
            values = sidecar.expect({"metrics_sidecar_series": 5000, full: 1})
            check(all(value == 2 for name,
                      value in values.items() if name.startswith("many_total")), "a count")
            check(sidecar.page("/-/ready") == "ready\n", sidecar.page("/-/ready"))
            after = [os.path.getsize(sidecar.path(name)) for name in ("state", "state.push")]
            check(after == sizes, sizes, after)

    def test_zeroed_pushes(self):
        """STATE.push with its first page, its name or all of it zero: told, counted, set aside."""
        with Sidecar("--push") as sidecar:
            path = sidecar.path("state.push")
            for count, (offset, length) in enumerate(((0, 4096), (0, 8), (0, 1 << 19)), 1):
                check(push(sidecar, "j", "p 1\n") == 200, "a push")
                sidecar.expect({'p{instance="",job="j"}': 1})
                killed(sidecar)
                overwrite(path, offset, bytes(min(length, os.path.getsize(path))))
                sidecar.start()
                sidecar.expect({'p{instance="",job="j"}': None, PUSH_RESETS: 1})
                check(len(set_aside(sidecar)) == count
                      and sidecar.output().count("is not trusted") == count,
                      set_aside(sidecar), sidecar.output())

    def test_many_damaged(self):
        """Damage again and again, within a second: each copy is kept under its own name, and three
        at most."""
        with Sidecar() as sidecar:
            contents = []
            for round_ in range(5):
                killed(sidecar)
                contents.append(f"{round_}".encode() * 5000)
                with open(sidecar.path("state"), "wb") as file:
                    file.write(contents[-1])
                sidecar.start()
                sidecar.expect({RESETS: 1})
                kept = []
                for name in set_aside(sidecar):
                    with open(sidecar.path(name), "rb") as file:
                        kept.append(file.read())
                check(sorted(kept) == sorted(contents[-3:]), set_aside(sidecar))
            check("--max-damaged-files 3 are kept" in sidecar.output(), sidecar.output())

    def test_other_boot(self):
        """Another start of the machine: a file whose sidecar was killed is set aside, and one
        without a boot id, as older sidecars left it, is taken."""
        group = 'p{instance="",job="j"}'
        marks = (("state", 24), ("state.push", 16))
        with Sidecar("--push") as sidecar:
            def prepare():
                sidecar.send("a:1|c")
                check(push(sidecar, "j", "p 1\n") == 200, "a push")
                sidecar.expect({group: 1})

            def reboot(data):
                for name, offset in marks:
                    with open(sidecar.path(name), "rb") as file:
                        file.seek(offset)
                        check(file.read(16) != bytes(16), "no boot id in", name)
                    overwrite(sidecar.path(name), offset, data)
                sidecar.start()

            prepare()
            killed(sidecar)
            sidecar.start()
            sidecar.expect({"a_total": 1, group: 1, RESETS: 0, PUSH_RESETS: 0})
            killed(sidecar)
            reboot(bytes(20))
            sidecar.expect({"a_total": 1, group: 1, RESETS: 0, PUSH_RESETS: 0})
            killed(sidecar)
            reboot(b"another machine!")
            sidecar.expect({"a_total": None, group: None, RESETS: 1, PUSH_RESETS: 1})
            check(sidecar.output().count("the machine has restarted since it was written") == 2,
                  sidecar.output())
            check(len(set_aside(sidecar)) == 2, set_aside(sidecar))


if __name__ == "__main__":
    main()
