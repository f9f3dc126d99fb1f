#!/usr/bin/env python3
"""Every way in, on a real sidecar: sockets, grammars, bad input, killed workers. Standard library.

    Tests/System/run intake
"""
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from unittest import TestCase, main

from support.checks import check, wait_for
from support.sidecar import Sidecar, Wire, frame


class Killer(threading.Thread):
    """Kills the sidecar again and again, and has it come back each time."""

    def __init__(self, sidecar, kills, seed=1):
        super().__init__(daemon=True)
        self.sidecar, self.kills, self.random = sidecar, kills, random.Random(seed)
        self.done = 0

    def run(self):
        while self.done < self.kills:
            time.sleep(self.random.uniform(0.01, 0.1))
            self.sidecar.process.kill()
            self.sidecar.process.wait()
            time.sleep(self.random.uniform(0, 0.03))
            self.sidecar.start()
            self.done += 1


class Abstract(Sidecar):
    """Its Unix sockets have names and no files."""

    def path(self, name):
        if name.endswith(".sock"):
            return f"@{os.path.basename(self.folder)}-{name}"
        return super().path(name)

    def unix(self, name, kind=socket.SOCK_DGRAM):
        made = socket.socket(socket.AF_UNIX, kind)
        made.connect("\0" + self.path(name)[1:])
        return made


class Intake(TestCase):
    def test_every_socket(self):
        """The same lines by every socket, counted under its name."""
        lines = b"a:1|c|#t:v\na:2:3|c|#t:v\r\nb:5|g\nb:+2|g\n\nbad\n"
        rejected = 'metrics_sidecar_events_rejected_total{reason="no_value"}'
        with Sidecar() as sidecar:
            ways = [
                ("statsd", lambda: sidecar.unix("statsd.sock").send(lines)),
                ("udp", lambda: sidecar.send_udp(lines)),
                ("tcp", lambda: sidecar.send_tcp(lines)),
                ("events", lambda: sidecar.unix("events.sock", socket.SOCK_STREAM).sendall(lines)),
                ("events", lambda: sidecar.unix("events.sock", socket.SOCK_STREAM).sendall(
                    len(lines).to_bytes(4, "little") + lines)),
            ]
            for count, (name, send) in enumerate(ways, 1):
                send()
                sidecar.expect({'a_total{t="v"}': 6.0 * count, "b": 7.0, rejected: float(count)})
                times = 2 if count == 5 else 1
                sidecar.expect({
                    f'metrics_sidecar_events_total{{socket="{name}",type="c"}}': 3.0 * times,
                    f'metrics_sidecar_events_total{{socket="{name}",type="g"}}': 2.0 * times})
            # The last line of a TCP client need not end; one that is too long is skipped.
            sidecar.send_tcp(b"tail:1|c")
            sidecar.expect({"tail_total": 1.0})
            sidecar.send_tcp(b"x" * 9000 + b"\nafter:1|c\n")
            sidecar.expect({"after_total": 1.0})
            # What is not ASCII is no frame either.
            sidecar.unix("events.sock", socket.SOCK_STREAM).sendall("é.x:1|c\n".encode())
            sidecar.expect({"__x_total": 1.0})
            # Too long a datagram is counted, and no half of it.
            sidecar.send_udp(b"long:1|c\n" * 7000)
            sidecar.expect({"long_total": 7000.0})
        with Sidecar("--max-datagram-size", "512") as sidecar:
            sidecar.send_udp(b"long:1|c\n" * 100)
            sidecar.send_udp(b"short:1|c")
            values = sidecar.expect({
                "short_total": 1.0,
                'metrics_sidecar_events_rejected_total{reason="datagram_too_long"}': 1.0})
            check("long_total" not in values, "a cut datagram was applied")

    def test_abstract_sockets(self):
        """Sockets without a file: they take all that others take, are not stolen, and outlive a
        killed worker."""
        with Abstract("--supervise") as sidecar:
            held = sidecar.unix("statsd.sock")
            session = Wire(sidecar).send(frame("_session|" + "8" * 32), frame("_seq|1", "sent:1|c"))
            check(session.answers(2) == ["_ack|0", "_ack|1"], "the session")
            sidecar.unix("spectator.sock").send(b"c:seen:1")
            emitted = subprocess.run([sidecar.program, "emit", "sent:1|c", "--statsd-socket",
                                      sidecar.path("statsd.sock")], timeout=60)
            check(emitted.returncode == 0, str(emitted))
            sidecar.expect({"sent_total": 2, "seen_total": 1})
            os.kill(sidecar.worker(), signal.SIGSTOP)
            for _ in range(5):
                held.send(b"sent:1|c")
            sidecar.kill_worker()
            sidecar.expect({"sent_total": 7})
            check(sidecar.get("/-/ready")[1] == b"ready\n", "not ready")
            second = sidecar.run()
            check(second.returncode == 1 and "in use by another sidecar" in second.stderr,
                  str(second))
            check(not any(name.startswith("@") for name in os.listdir(".")), "a file was made")
            sidecar.stop()
            sidecar.start()
            sidecar.unix("statsd.sock").send(b"sent:1|c")
            sidecar.expect({"sent_total": 8})

    def test_grammars(self):
        """Every field of the grammar, the dialects, and spectator's lines, over real sockets."""
        with Sidecar() as sidecar:
            statsd = sidecar.unix("statsd.sock")
            for line in (
                    "packed:1:2:3|h|@0.5|#t:v|c:abc|T1656581400|e:it-x|card:low|x:unknown",
                    "wait:250|ms", "spread:1.5|d", "level:5|g", "level:+2|g|@0.5", "people:ann|s",
                    "several:1|c:2|c|@0.5:4|c", "librato#t=v:1|c", "influx,t=v:1|c",
                    "signal[t=v].fx:1|c", "mixed#t=v:1|c|#u:w", "_e{5,4}:title|text|#t:v",
                    "_sc|name|0|#t:v", "name:nan|c", "name:-1|c", "name:1|c|@2", "nothing"):
                statsd.send(line.encode())
            rejected = "metrics_sidecar_events_rejected_total"
            sidecar.expect({
                'packed_count{t="v"}': 6.0, 'packed_sum{t="v"}': 12.0, "wait_seconds_sum": 0.25,
                "spread_count": 1.0, "level": 7.0, "several_total": 9.0,
                'librato_total{t="v"}': 1.0,
                'influx_total{t="v"}': 1.0, 'signal_fx_total{t="v"}': 1.0,
                rejected + '{reason="ignored"}': 2.0, rejected + '{reason="mixed_tags"}': 1.0,
                rejected + '{reason="bad_value"}': 1.0, rejected + '{reason="negative_count"}': 1.0,
                rejected + '{reason="bad_rate"}': 1.0, rejected + '{reason="no_value"}': 1.0})
            spectator = sidecar.unix("spectator.sock")
            spectator.send(
                b"c:requests,id=x:2\nt:latency:0.5\nC:own:10\nC:own:15\nm:peak:5\nm:peak:3")
            sidecar.expect({'requests_total{id="x"}': 2.0, "latency_seconds_sum": 0.5,
                            "own_total": 5.0,
                            "peak": 5.0})
        off = [f"--parse-{name}-tags=false" for name in ("librato", "influxdb", "signalfx")]
        with Sidecar(*off) as sidecar:
            sidecar.unix("statsd.sock").send(b"a#t=v:1|c\na,t=v:1|c\na[t=v]:1|c")
            sidecar.expect({"a_t_v_total": 2.0, "a_t_v__total": 1.0})

    def test_socket_files(self):
        """Mode and group of the sockets; what stands in the way of one is told with what to
        change."""
        with Sidecar("--socket-mode", "0622", "--socket-group", "65532") as sidecar:
            for name in ("events.sock", "statsd.sock"):
                status = os.stat(sidecar.path(name))
                check(stat.S_IMODE(status.st_mode) == 0o622 and status.st_gid == 65532, str(status))
            os.chmod(sidecar.folder, 0o755)

            def refused(words, *flags, user=None):
                result = subprocess.run(
                    [sidecar.program, "--listen", "127.0.0.1:0", "--events-socket", "",
                     "--state", sidecar.path("other-state"), *flags],
                    capture_output=True, text=True, timeout=10, user=user)
                lines = result.stderr.strip().splitlines()
                check(result.returncode == 1 and len(lines) == 1 and words in lines[0],
                      f"{flags}: {result}")
                print("  " + lines[0].replace(sidecar.folder, "…"))
            long = sidecar.path("x" * 120)
            refused("at most 107", "--statsd-socket", long)
            refused("in use by another sidecar", "--statsd-socket", sidecar.path("statsd.sock"))
            refused("there is no folder", "--statsd-socket", "/proc/none/statsd.sock")
            os.makedirs(sidecar.path("folder"))
            refused("Remove it", "--statsd-socket", sidecar.path("folder"))
            if os.geteuid() == 0:
                os.makedirs(sidecar.path("closed"), 0o700)
                os.makedirs(sidecar.path("open"))
                os.chmod(sidecar.path("open"), 0o777)
                os.chmod(os.path.dirname(sidecar.program), 0o755)
                state = ("--state", sidecar.path("open/state"))
                refused("fsGroup", *state, "--statsd-socket", sidecar.path("closed/s"), user=65533)
                refused("supplementalGroups", *state, "--socket-group", "1", "--statsd-socket",
                        sidecar.path("open/s"), user=65533)
            refused("another program listens", "--statsd-socket", "", "--statsd-udp",
                    f"127.0.0.1:{sidecar.udp}")
            refused("another program listens", "--statsd-socket", "", "--statsd-tcp",
                    f"127.0.0.1:{sidecar.tcp}")
            refused("another program listens", "--statsd-socket", "", "--listen",
                    f"127.0.0.1:{sidecar.metrics}")
            refused("no such address", "--statsd-socket", "", "--statsd-udp", "203.0.113.1:8125")
            refused("in numbers", "--statsd-socket", "", "--statsd-tcp", "example.org:8125")

    def test_session_answers(self):
        """What docs/protocol.md says is answered to sessions, good and bad, to the byte."""
        def session(number):
            return frame("_session|" + f"{number:032x}")

        with Sidecar("--max-connections", "8", "--max-frame-size", "1024") as sidecar:
            def answered(expected, *frames):
                wire = Wire(sidecar).send(*frames)
                is_answer = wire.answers(len(expected)) == expected
                wire.socket.close()
                check(is_answer, f"{frames} should be answered {expected}")
                wait_for(lambda: sidecar.values().get("metrics_sidecar_connections") == 0,
                         "its end")

            wire = Wire(sidecar).send(bytes.fromhex(
                "290000005f73657373696f6e7c30303131323233333434353536363737"
                "38383939616162626363646465656666"))
            check(wire.answers(1) == ["_ack|0"], "the example's hello")
            wire.send(bytes.fromhex("0f0000005f7365717c310a6a6f62733a317c63"))
            check(wire.answers(1) == ["_ack|1"], "the example's frame")
            wire.socket.close()
            sidecar.expect({"jobs_total": 1})
            answered(["_ack|0", "_ack|2"], session(1), frame("_seq|1", "a:1|c"),
                     frame("_seq|2", "bad", "a:1|c"))
            answered(["_ack|2", "_ack|3"], session(1), frame("_seq|2", "a:1|c"),
                     frame("_seq|3", "a:1|c"))
            sidecar.expect({"a_total": 3, 'metrics_sidecar_frames_total{result="duplicate"}': 1})
            answered(["_ack|3", "closed"], session(1), frame("_seq|5", "a:1|c"))
            answered(["_ack|3", "closed"], session(1), frame("a:1|c"))
            answered(["_ack|3", "closed"], session(1), frame("_seq|0", "a:1|c"))
            answered(["_ack|3", "closed"], session(1), session(2))
            answered(["closed"], frame("_seq|1", "a:1|c"))
            answered(["closed"], (2000).to_bytes(4, "little"))
            sidecar.expect({"a_total": 3, 'metrics_sidecar_frames_total{result="rejected"}': 6})
            # Without a session: no answer, and a frame that is cut does not count.
            wire = Wire(sidecar).send(frame("_session|x"), frame("b:1|c"), frame("b:1|c")[:-1])
            wire.socket.close()
            sidecar.expect({"b_total": 1,
                            'metrics_sidecar_events_rejected_total{reason="no_value"}': 2})
            # At the limit of connections the next is closed; the others go on.
            wires = [Wire(sidecar) for _ in range(8)]
            check(wires[7].send(session(3)).answers(1) == ["_ack|0"], "the eighth")
            check(Wire(sidecar).answers(1) == ["closed"], "the ninth connection")
            sidecar.expect({"metrics_sidecar_connections": 8,
                            "metrics_sidecar_connections_refused_total": 1})
            sent = subprocess.run(
                [sidecar.program, "emit", "emitted:2|c", "emitted:1|c|@0.5", "--statsd-socket",
                 sidecar.path("statsd.sock")], capture_output=True, text=True, timeout=10)
            check(sent.returncode == 0, str(sent))
            sidecar.expect({"emitted_total": 4})
            sent = subprocess.run([sidecar.program, "emit", "a:1|c", "a:1", "--statsd-socket",
                                   sidecar.path("statsd.sock")], capture_output=True, text=True,
                                  timeout=10)
            check(sent.returncode == 2 and "'a:1' is no event" in sent.stderr, str(sent))
            sent = subprocess.run([sidecar.program, "emit", "a:1|c", "--statsd-socket", "/no/s"],
                                  capture_output=True, text=True, timeout=10)
            check(sent.returncode == 1 and "is the sidecar running" in sent.stderr, str(sent))

    def test_exactly_once(self):
        """Clients by the protocol's document, in Python and Swift; the sidecar is killed all the
        time."""
        sys.path.insert(0, "Examples")
        from session_client import SessionClient
        example = "Examples/.build/debug/count-jobs"
        with Sidecar() as sidecar:
            killer = Killer(sidecar, 40)
            clients = [SessionClient(sidecar.path("events.sock")) for _ in range(3)]
            swift = None
            if os.path.exists(example):
                swift = subprocess.Popen([example, sidecar.path("events.sock"), "8000"],
                                         stdout=sidecar.log)
            killer.start()
            sums = {"mail": 0, "print": 0}
            while killer.is_alive():
                for index, client in enumerate(clients):
                    for queue in sums:
                        client.count("tasks", index + 1, tags=f"queue:{queue}")
                        sums[queue] += index + 1
                    client.flush()
                time.sleep(0.001)
            for client in clients:
                check(client.close(timeout=30), "a client has counts that are not acknowledged")
            if swift:
                check(swift.wait(60) == 0, "the Swift example could not count its jobs")
                sidecar.expect({'jobs_done_total{queue="mail"}': 8000,
                                "jobs_duration_seconds_count": 8000})
            sidecar.expect({f'tasks_total{{queue="{queue}"}}': sums[queue] for queue in sums})
            print(f"  {killer.done} kills: {sum(sums.values())} counted by Python"
                  f"{', 8000 jobs by Swift' if swift else ''}, and by the sidecar")


if __name__ == "__main__":
    main()
