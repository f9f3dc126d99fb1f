#!/usr/bin/env python3
"""A disk that is full, and files that go, on a real sidecar: it goes on with what it knows, says on
/-/ready what it cannot do, and loses nothing that it had acknowledged.

    Tests/System/run disk
"""
import http.client
import os
import resource
import shutil
import subprocess
import tempfile
from unittest import TestCase, main

from support.checks import check
from support.disk import Disk
from support.readiness import expect_ready, expect_trouble
from support.sidecar import Sidecar, Wire, frame

PUSHES = 'metrics_sidecar_pushes_total{result="%s"}'


class Unsignalled(Sidecar):
    """A file at its limit is an error for it, as on a full disk, and not the signal SIGXFSZ, which
    this interpreter ignores and hands on so."""

    popen = {"restore_signals": False}


class OnDisk(Sidecar):
    """Its state file, and the one of pushes beside it, are on a disk of their own."""

    def __init__(self, disk, *flags):
        self.disk = disk
        super().__init__(*flags)

    def path(self, name):
        return os.path.join(self.disk if name.startswith("state") else self.folder, name)

    def run_beside(self, state):
        """Another one without sockets, with its own state file, that has to end by itself; how it
        did."""
        return subprocess.run(
            [self.program, "--listen", "127.0.0.1:0", "--events-socket", "", "--statsd-socket", "",
             "--state", state], capture_output=True, text=True, timeout=60)

    def push(self, job, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics, timeout=20)
        connection.request("PUT", "/metrics/job/" + job, body)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text


class Disks(TestCase):
    def test_full_disk(self):
        """A state file that cannot grow."""
        with Unsignalled() as sidecar:
            sidecar.send("known:1|c")
            sidecar.expect({"known_total": 1})
            pid = sidecar.process.pid
            soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            # As on a disk that has room for what is there and no more.
            resource.prlimit(pid, resource.RLIMIT_FSIZE,
                             (os.path.getsize(sidecar.path("state")), hard))
            sidecar.send(*(f"many:1|c|#n:{n}" for n in range(5000)), "known:1|c")
            sidecar.expect({"known_total": 2})
            check(sidecar.values()[
                'metrics_sidecar_events_rejected_total{reason="state_full"}'] > 0,
                  "all had room")
            expect_trouble(sidecar, "the state file cannot grow", "Make room")
            sidecar.send("known:1|c")
            sidecar.expect({"known_total": 3})
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
            expect_ready(sidecar)
            sidecar.send("room:1|c")
            sidecar.expect({"room_total": 1})

    def test_really_full_disk(self):
        """--supervise: a disk without a byte left, and a worker that is killed on it: known series
        and groups go on, the rest is refused with its reason, and all comes in again when there is
        room."""
        with Disk(2 << 20) as disk:
            if not disk.folder:
                return
            with OnDisk(disk.folder, "--push", "--supervise") as sidecar:
                sidecar.send("known:1|c")
                sidecar.expect({"known_total": 1}, seconds=30)
                large = b"".join(b'large{n="%d"} 1\n' % n for n in range(2000))
                check(sidecar.push("a", b"pushed 1\n")[0] == 200, "a push")
                disk.fill()

                def many(sent):
                    """New series: each is counted on the page, or as refused for want of room."""
                    values = sidecar.values()
                    refused = values['metrics_sidecar_events_rejected_total{reason="state_full"}']
                    kept = sum(value for name,
                               value in values.items() if name.startswith("many_total"))
                    check(kept + refused == sent, kept, "counted and", refused, "refused of", sent)
                    return refused
                sidecar.send(*(f"many:1|c|#n:{n}" for n in range(5000)), "known:1|c")
                sidecar.expect({"known_total": 2}, seconds=30)
                check(many(5000) > 0, "all had room")
                expect_trouble(sidecar, "the state file cannot grow", "Make room")
                # A group that is there is pushed again and again, far beyond the room there was.
                for number in range(1, 5001):
                    answered = sidecar.push("a", b"pushed %d\n" % number)
                    check(answered == (200, ""), "push", number, answered)
                # What is acknowledged is kept, the first that has no room is told why.
                kept = {'pushed{instance="",job="a"}': 5000}
                for number in range(10):
                    status, text = sidecar.push(f"b{number}", large)
                    if status != 200:
                        break
                    kept[f'large{{instance="",job="b{number}",n="1999"}}'] = 1
                check(status == 507 and "cannot grow" in text and len(kept) > 1, number, status,
                      text)
                sidecar.expect({"known_total": 2, PUSHES % "limited": 1, **kept}, seconds=30)
                # Killed there, its successor has what it had, and knows that there is no room.
                sidecar.kill_worker()
                expect_trouble(sidecar, "the state file cannot grow")
                sidecar.send("known:1|c")
                sidecar.expect({"known_total": 3, **kept}, seconds=30)
                disk.free()
                expect_ready(sidecar)
                sidecar.send("room:1|c")
                sidecar.expect({"room_total": 1, "known_total": 3, **kept}, seconds=30)
                # Now the state file has room, and the one of pushes has none.
                disk.fill()
                check(sidecar.push(f"b{number}", large)[0] == 507, "a large push without room")
                expect_trouble(sidecar, "the file of pushed groups cannot grow", "Make room")
                sidecar.send("more:1|c")
                sidecar.expect({"more_total": 1, "known_total": 3, **kept}, seconds=30)
                disk.free()
                expect_ready(sidecar)
                check(sidecar.push(f"b{number}", large) == (200, ""), "a large push with room")
                # The same where a copy of the file has holes: they are filled at the start.
                sidecar.stop()
                with open(sidecar.path("state"), "rb") as file:
                    content = file.read()
                os.unlink(sidecar.path("state"))
                with open(sidecar.path("state"), "wb") as file:
                    file.write(content.rstrip(b"\0"))
                    file.truncate(len(content))
                sidecar.start()
                sidecar.expect({"room_total": 1, "known_total": 3, **kept}, seconds=30)
                disk.fill()
                sidecar.send(*(f"many:1|c|#n:{n}" for n in range(5000, 10000)), "known:1|c")
                sidecar.expect({"known_total": 4}, seconds=30)
                expect_trouble(sidecar, "the state file cannot grow")
                # One that starts on it, without a file, says so in one line.
                other = sidecar.run_beside(sidecar.path("state-other"))
                check(other.returncode == 1 and other.stderr.count("\n") == 1
                      and "the disk is full" in other.stderr, str(other))
                check("signal 7" not in sidecar.output() and "signal 11" not in sidecar.output(),
                      sidecar.output())

    def test_other_disks(self):
        """File systems that do not allocate, and that write elsewhere: known series go on where
        they are full."""
        for kind, byte_count in (("ext2", 16 << 20), ("btrfs", 128 << 20)):
            with Disk(byte_count, kind) as disk:
                if not disk.folder:
                    continue
                with OnDisk(disk.folder, "--supervise") as sidecar:
                    lines = [f"known:1|c|#n:{n}" for n in range(3000)]
                    sidecar.send(*lines)
                    sidecar.expect({'known_total{n="2999"}': 1}, seconds=120)
                    os.sync()
                    disk.fill()
                    for turn in range(2, 6):
                        sidecar.send(*lines)
                        sidecar.expect({'known_total{n="0"}': turn, 'known_total{n="2999"}': turn,
                                        "metrics_sidecar_worker_restarts_total": 0}, seconds=120)
                        # What was written goes to the disk, and the next write is one of its own.
                        os.sync()
                    sidecar.kill_worker()
                    sidecar.expect({'known_total{n="0"}': 5,
                                    "metrics_sidecar_state_resets_total": 0}, seconds=120)
                print("  " + kind)

    def test_removed_state(self):
        """--supervise: the folder of the state file goes while it runs: the files are made anew
        with what they had, and a kill loses nothing; another's file in their place is left alone,
        and told."""
        with tempfile.TemporaryDirectory(prefix="state-") as folder:
            inner = os.path.join(folder, "inner")
            with OnDisk(inner, "--push", "--supervise") as sidecar:
                session = Wire(sidecar).send(frame("_session|" + "6" * 32),
                                             frame("_seq|1", "known:1|c"))
                check(session.answers(2) == ["_ack|0", "_ack|1"], "the session")
                check(sidecar.push("a", b"pushed 1\n")[0] == 200, "a push")
                kept = {'pushed{instance="",job="a"}': 1, "metrics_sidecar_state_resets_total": 0}
                for turn in range(1, 4):
                    # Asked by /-/ready, by a scrape, and by nobody before it is stopped.
                    shutil.rmtree(inner)
                    sidecar.send("known:1|c")
                    sidecar.expect({"known_total": 2 * turn}) if turn == 2 else None
                    expect_ready(sidecar) if turn == 1 else None
                    if turn == 3:
                        sidecar.stop()
                        check(sidecar.process.returncode == 0, sidecar.process.returncode)
                        sidecar.start()
                    else:
                        sidecar.kill_worker()
                    for name in ("state", "state.push"):
                        told = sidecar.path(name) + " was removed, so it is created again"
                        check(sidecar.output().count(told) == turn, sidecar.output())
                    session = Wire(sidecar).send(frame("_session|" + "6" * 32),
                                                 frame(f"_seq|{turn}", "twice:1|c"),
                                                 frame(f"_seq|{turn + 1}", "known:1|c"))
                    check(session.answers(2) == [f"_ack|{turn}", f"_ack|{turn + 1}"],
                          "the session's position")
                    sidecar.expect({"known_total": 1 + 2 * turn, "twice_total": None, **kept})
                # The files are locked as before, and one that is not ours stays what it is.
                other = sidecar.run_beside(sidecar.path("state"))
                check(other.returncode == 1 and "another sidecar has it" in other.stderr,
                      str(other))
                os.rename(sidecar.path("state"), sidecar.path("state-away"))
                with open(sidecar.path("state"), "w", encoding="utf-8") as file:
                    file.write("another's")
                expect_trouble(sidecar, sidecar.path("state"), "another file is in its place")
                sidecar.send("known:1|c")
                sidecar.expect({"known_total": 8})
                with open(sidecar.path("state"), encoding="utf-8") as file:
                    check(file.read() == "another's", "another's file was touched")
                os.unlink(sidecar.path("state"))
                expect_ready(sidecar)
                sidecar.kill_worker()
                sidecar.expect({"known_total": 8, **kept})


if __name__ == "__main__":
    main()
