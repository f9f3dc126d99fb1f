#!/usr/bin/env python3
"""A sidecar that something goes wrong with goes on, and says on /-/ready what it cannot do, on a
real process: its rules file breaks, its socket files go, it runs out of descriptors. Its disk is in
test_disk.py.

    Tests/System/run ready
"""
import base64
import json
import os
import resource
import signal
import socket
import stat
import subprocess
from unittest import TestCase, main

from support.checks import awake, check, wait_for
from support.readiness import expect_ready, expect_trouble
from support.sidecar import Sidecar, Wire, frame


def rules(name):
    return json.dumps({"families": [
        {"name": name, "type": "counter", "labels": ["q"], "events": [{"event": "jobs"}]}]})


def ended(pid):
    """Whether there is no such process, or one that nobody has asked for its status."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


class Ready(TestCase):
    def test_broken_rules(self):
        """--supervise: a worker that is killed while the rules file is bad leaves the good rules in
        force."""
        with Sidecar("--supervise", rules=rules("first_total")) as sidecar:
            def write(text):
                with open(sidecar.path("rules.json"), "w", encoding="utf-8") as file:
                    file.write(text)

            def count(name, value, **expected):
                sidecar.send("jobs:1|c|#q:a")
                sidecar.expect({name + '{q="a"}': value, **expected})
            good = "metrics_sidecar_config_last_reload_successful"
            when = "metrics_sidecar_config_last_reload_success_timestamp_seconds"
            loaded = sidecar.values()[when]
            count("first_total", 1, **{good: 1})
            write('{"families": [')
            # Twice: what the first one has taken over is there for the second.
            for value in (2, 3):
                sidecar.kill_worker()
                count("first_total", value, **{good: 0, when: loaded})
            words = "The worker that takes over keeps the last good rules: " + sidecar.path(
                "rules.json")
            check(sidecar.output().count(words) == 2, sidecar.output())
            check("jobs_total" not in "".join(sidecar.values()), "a name without rules")
            # Rules that were reloaded are the last good ones, not those of the start.
            write(rules("second_total"))
            response, _ = sidecar.get("/-/reload", "POST", content_length="0")
            check(response.status == 200, response.status)
            count("second_total", 1, **{good: 1})
            write("no JSON")
            response, _ = sidecar.get("/-/reload", "POST", content_length="0")
            check(response.status == 400, response.status)
            sidecar.kill_worker()
            count("second_total", 2, **{good: 0, "metrics_sidecar_worker_restarts_total": 3})
            # A mended file counts from the next worker on, as from a reload.
            write(rules("third_total"))
            sidecar.kill_worker()
            count("third_total", 1, **{good: 1})
            # A start has no rules to keep: it ends, with the mistake in one line.
            write("no JSON")
            sidecar.stop()
            check(sidecar.process.returncode == 0, sidecar.process.returncode)
            result = sidecar.run()
            check(result.returncode == 2 and result.stderr.count("\n") == 1
                  and "rules.json: line 1, column " in result.stderr, str(result))

    def test_broken_passwords(self):
        """--supervise: as with rules, a worker that is killed while the password file is bad keeps
        the passwords."""
        with Sidecar() as sidecar:
            hashed = subprocess.run([sidecar.program, "hash-password", "ann"], input="secret\n",
                                    capture_output=True, text=True, timeout=60)
            check(hashed.returncode == 0, str(hashed))
            sidecar.stop()
            path = sidecar.path("passwords")
            with open(path, "w", encoding="utf-8") as file:
                file.write(hashed.stdout)
            sidecar.flags += ("--supervise", "--push", "--push-auth", path)
            sidecar.start()
            with open(path, "w", encoding="utf-8") as file:
                file.write("no password\n")
            sidecar.kill_worker()
            for password, status in (("secret", 202), ("other", 401)):
                word = base64.b64encode(f"ann:{password}".encode()).decode()
                response, body = sidecar.get("/metrics/job/a", "DELETE",
                                             authorization="Basic " + word)
                check(response.status == status, response.status, body)
            check("the worker that takes over keeps the passwords: " + path in sidecar.output(),
                  sidecar.output())

    def test_removed_sockets(self):
        """A socket file that is removed is bound anew when somebody asks; no client that holds the
        old loses."""
        with Sidecar("--socket-mode", "0622") as sidecar:
            expect_ready(sidecar)
            names = ("statsd.sock", "spectator.sock", "events.sock")
            held = sidecar.unix("statsd.sock")
            session = Wire(sidecar).send(frame("_session|" + "5" * 32), frame("_seq|1", "held:1|c"))
            check(session.answers(2) == ["_ack|0", "_ack|1"], "the session")
            for turn in range(1, 4):
                # Asked by /-/ready, by a scrape, and with the whole folder gone.
                for name in names:
                    os.unlink(sidecar.path(name))
                    if turn == 3:
                        os.unlink(sidecar.path(name) + ".lock")
                held.send(b"held:1|c")
                if turn == 2:
                    sidecar.values()
                else:
                    expect_ready(sidecar)
                for name in names:
                    check(stat.S_IMODE(os.stat(sidecar.path(name)).st_mode) == 0o622,
                          "another mode")
                    check(sidecar.output().count(sidecar.path(name) + " was removed") == turn,
                          sidecar.output())
                held.send(b"held:1|c")
                session.send(frame(f"_seq|{turn + 1}", "held:1|c"))
                check(session.answers(1) == [f"_ack|{turn + 1}"], "a session that was there")
                sidecar.unix("statsd.sock").send(b"new:1|c")
                sidecar.unix("spectator.sock").send(b"c:seen:1")
                check(Wire(sidecar).send(frame("_session|" + f"{turn:032x}")).answers(1)
                      == ["_ack|0"],
                      "a new session")
                sidecar.expect({"held_total": 1 + 3 * turn, "new_total": turn, "seen_total": turn})
            # The lock is held, so no other sidecar takes the path.
            result = subprocess.run(
                [sidecar.program, "--listen", "127.0.0.1:0", "--events-socket", "", "--state",
                 sidecar.path("other-state"), "--statsd-socket", sidecar.path("statsd.sock")],
                capture_output=True, text=True, timeout=60)
            check(result.returncode == 1 and "in use by another sidecar" in result.stderr,
                  str(result))

    def test_replaced_sockets(self):
        """A socket file that another program has replaced is not stolen while that lives."""
        with Sidecar() as sidecar:
            path = sidecar.path("statsd.sock")
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                os.unlink(path)
                with socket.socket(socket.AF_UNIX, kind) as other:
                    other.bind(path)
                    if kind == socket.SOCK_STREAM:
                        other.listen()
                    number = os.stat(path).st_ino
                    expect_trouble(sidecar, path, "taken by another program", "--statsd-socket")
                    check(sidecar.page() is not None and os.stat(path).st_ino == number,
                          "it was stolen")
                    result = subprocess.run(
                        [sidecar.program, "healthcheck", "--listen",
                         f"127.0.0.1:{sidecar.metrics}"],
                        capture_output=True, text=True, timeout=60)
                    check(result.returncode == 1 and "503" in result.stderr, str(result))
                # What a program that has ended leaves is no obstacle.
                expect_ready(sidecar)
                check("Ready again" in sidecar.output(), sidecar.output())
                sidecar.send("a:1|c")
            sidecar.expect({"a_total": 2})
            os.unlink(path)
            os.mkdir(path)
            expect_trouble(sidecar, path, "Remove it")
            os.rmdir(path)
            expect_ready(sidecar)
            # At its end it removes its own files, and no other's.
            os.unlink(path)
            with open(path, "w", encoding="utf-8"):
                pass
            sidecar.stop()
            check(os.path.exists(path) and not os.path.exists(sidecar.path("events.sock")),
                  "at the end")

    def test_supervised_sockets(self):
        """--supervise: a worker that takes over has the sockets that are bound."""
        with Sidecar("--supervise") as sidecar:
            held = sidecar.unix("statsd.sock")
            for turn in range(1, 4):
                os.unlink(sidecar.path("statsd.sock"))
                expect_ready(sidecar)
                held.send(b"held:1|c")
                # What waits in the new socket outlives the worker that has bound it.
                victim = sidecar.worker()
                number = os.stat(sidecar.path("statsd.sock")).st_ino
                os.kill(victim, signal.SIGSTOP)
                sidecar.send(*(["new:1|c"] * 5))
                held.send(b"held:1|c")
                sidecar.kill_worker()
                check(os.stat(sidecar.path("statsd.sock")).st_ino == number, "another socket")
                held.send(b"held:1|c")
                sidecar.send("new:1|c")
                sidecar.expect({"held_total": 3 * turn, "new_total": 6 * turn})
                expect_ready(sidecar)
            # One worker binds two anew; a client holds each, and what waits in all of them outlives
            # it.
            clients = [held]
            for _ in range(2):
                clients.append(sidecar.unix("statsd.sock"))
                os.unlink(sidecar.path("statsd.sock"))
                expect_ready(sidecar)
            clients.append(sidecar.unix("statsd.sock"))
            victim = sidecar.worker()
            os.kill(victim, signal.SIGSTOP)
            for client in clients:
                for _ in range(5):
                    client.send(b"waited:1|c")
            sidecar.kill_worker()
            sidecar.expect({"waited_total": 5 * len(clients)})
            # The next worker's next one has them as well.
            sidecar.kill_worker()
            for client in clients:
                client.send(b"waited:1|c")
            sidecar.expect({"waited_total": 6 * len(clients)})
            # So with all of the ten that it keeps.
            while len(clients) < 9:
                os.unlink(sidecar.path("statsd.sock"))
                expect_ready(sidecar)
                clients.append(sidecar.unix("statsd.sock"))
            sidecar.kill_worker()
            for client in clients:
                client.send(b"waited:1|c")
            sidecar.expect({"waited_total": 6 * 4 + 9})
            # While no worker answers, it is not ready.
            stopped = sidecar.worker()
            os.kill(stopped, signal.SIGSTOP)
            command = [sidecar.program, "healthcheck", "--listen", f"127.0.0.1:{sidecar.metrics}"]
            result = subprocess.run(command, capture_output=True, text=True, timeout=60)
            check(result.returncode == 1 and "nothing answers" in result.stderr, str(result))
            os.kill(stopped, signal.SIGCONT)
            expect_ready(sidecar)
            check(subprocess.run(command, timeout=60).returncode == 0, "healthcheck")

    def test_stopped_and_killed_parent(self):
        """--supervise: a parent that is stopped or killed costs no datagram that the kernel has
        taken; no other sidecar gets in while the worker of a killed one is there, and then one has
        all of it."""
        with Sidecar("--supervise") as sidecar:
            parent, worker = sidecar.process.pid, sidecar.worker()
            os.kill(parent, signal.SIGSTOP)
            sidecar.send("known:1|c")
            sidecar.expect({"known_total": 1})
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda: ended(worker), "the worker's end")
            # Nobody starts another now.
            sidecar.send("known:1|c")
            os.kill(parent, signal.SIGCONT)
            wait_for(sidecar.page, "the next worker")
            sidecar.expect({"known_total": 2, "metrics_sidecar_worker_restarts_total": 1})
            worker = sidecar.worker()
            os.kill(worker, signal.SIGSTOP)
            sidecar.send("known:1|c")
            sidecar.process.kill()
            sidecar.process.wait()
            for _ in range(3):
                result = sidecar.run()
                check(result.returncode == 1 and "in use by another sidecar" in result.stderr,
                      str(result))
            check(not ended(worker), "a stopped worker has ended")
            # It has been told to end, and takes what waits before it does.
            os.kill(worker, signal.SIGCONT)
            wait_for(lambda: ended(worker), "the end of a killed parent's worker")
            sidecar.start()
            sidecar.expect({"known_total": 3})
            check("Stopped: everything received is counted and kept" in sidecar.output(),
                  sidecar.output())

    def test_no_descriptors(self):
        """No more files may be opened: who is there goes on, who comes waits and is taken when
        there is room."""
        with Sidecar() as sidecar:
            sidecar.send("known:1|c")
            sidecar.expect({"known_total": 1})
            pid = sidecar.process.pid

            def open_files():
                return [int(name) for name in os.listdir(f"/proc/{pid}/fd")]
            known = Wire(sidecar).send(frame("_session|" + "1" * 32))
            check(known.answers(1) == ["_ack|0"], "the session that is there")
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            # Numbers are given from the lowest on: there is none below one that is in use.
            highest = max(open_files())
            free = highest + 1 - len(open_files())
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, hard))
            fill = [sidecar.unix("events.sock", socket.SOCK_STREAM) for _ in range(free)]
            late = [Wire(sidecar).send(frame("_session|" + digit * 32), frame("_seq|1", "late:1|c"))
                    for digit in "23"]
            wait_for(lambda: len(open_files()) == highest + 1, "all descriptors in use")
            # Asked on new connections, which the one in reserve has room for.
            for _ in range(3):
                expect_trouble(sidecar, "clients wait to be taken", "ulimit -n")
            check(sidecar.values()["process_open_fds"] > highest,
                  "process_open_fds does not say so")
            # With clients that wait, the loop sleeps; it looks at them four times a second.
            woken, seconds = awake(pid)
            check(woken < 20 + 10 * seconds,
                  f"{woken} times awake in {seconds:.1f} s with nothing to do")
            for number in range(1, 101):
                sidecar.send("known:1|c")
                known.send(frame(f"_seq|{number}", "known:1|c"))
                check(known.answers(1) == [f"_ack|{number}"],
                      "the session that is there does not go on")
            sidecar.expect({"known_total": 201})
            # Nobody asks it: who waits is taken when a client goes, and when there may be more.
            (fill.pop() if fill else known.socket).close()
            check(late[0].answers(2) == ["_ack|0", "_ack|1"], "the first that waited")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
            check(late[1].answers(2) == ["_ack|0", "_ack|1"], "the second that waited")
            expect_ready(sidecar)
            sidecar.expect({"late_total": 2})
            print(f"  {woken} times awake in {seconds:.1f} s while clients wait")


if __name__ == "__main__":
    main()
