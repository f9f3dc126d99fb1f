#!/usr/bin/env python3
"""The state file of a real sidecar: its bytes, what it takes, and records that are used again.

    Tests/System/run state
"""
import os
import re
import signal
import socket
import subprocess
import time
from unittest import TestCase, main

from support.checks import check, wait_for
from support.sidecar import Sidecar

DOCS = "docs/state.md"


def send(sidecar, first, end):
    """Counters `name` with a tag that is different each time, many to a datagram."""
    with sidecar.unix("statsd.sock") as s:
        for start in range(first, end, 40):
            s.send("".join(f"n:1|c|#id:{n:07}\n"
                           for n in range(start, min(start + 40, end))).encode())


def resident(sidecar):
    with open(f"/proc/{sidecar.process.pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) * 1024


class State(TestCase):
    def test_example(self):
        """docs/state.md's bytes are those of a real file, where they are no checksums."""
        with open(DOCS) as f:
            line, dump = re.search(r"```state-file (.*)\n([^`]*)```", f.read()).groups()
        expected = [byte for row in dump.splitlines() for byte in row.split()[1:]]
        with Sidecar() as sidecar:
            sidecar.unix("statsd.sock").send(line.encode())
            sidecar.expect({'jobs_total{queue="mail"}': 3})
            with open(sidecar.path("state"), "rb") as f:
                f.seek(4096)
                found = f.read(len(expected))
        wrong = [f"{at:04x}: {want} is {found[at]:02x}" for at, want in enumerate(expected)
                 if want != ".." and int(want, 16) != found[at]]
        check(len(expected) == 96 and not wrong, f"docs/state.md: {len(expected)} bytes, {wrong}")

    def test_other_version(self):
        """A file of another version is set aside with its reason; the sidecar starts at zero."""
        with Sidecar() as sidecar:
            sidecar.unix("statsd.sock").send(b"a:1|c")
            sidecar.expect({"a_total": 1})
            sidecar.process.kill()
            sidecar.process.wait()
            with open(sidecar.path("state"), "r+b") as f:
                f.seek(8)
                f.write(b"\x01")
            sidecar.start()
            sidecar.expect({"metrics_sidecar_state_resets_total": 1, "a_total": None})
            check("it has version 1, this is version 2. It is kept as" in sidecar.output(),
                  sidecar.output())
            check(any("damaged-" in name for name in os.listdir(sidecar.folder)),
                  "the file is gone")

    def test_second_sidecar(self):
        """A second sidecar on the same state file is told so, and ends."""
        with Sidecar() as sidecar:
            result = subprocess.run(
                [sidecar.program, "--listen", "127.0.0.1:0", "--events-socket",
                 sidecar.path("other.sock"),
                 "--statsd-socket", "", "--state", sidecar.path("state")],
                capture_output=True, text=True, timeout=60)
            check(result.returncode == 1 and result.stderr.count("\n") == 1
                  and "another sidecar has it. Give each sidecar a --state of its own"
                  in result.stderr, str(result))

    def test_a_million_refused(self):
        """A million series against --max-series 10000: memory is bounded, totals right, known
        series go on."""
        with Sidecar("--max-series", "10000") as sidecar:
            send(sidecar, 0, 1_000_000)
            sidecar.expect({'n_total{overflow="true"}': 990_000}, seconds=60)
            send(sidecar, 0, 10_000)
            values = sidecar.expect({'n_total{id="0000007"}': 2,
                                     'n_total{overflow="true"}': 990_000}, seconds=60)
            check(sum(v for k, v in values.items() if k.startswith("n_total")) == 1_010_000,
                  "the total is wrong")
            most = resident(sidecar)
            check(most < 64 << 20, f"{most} bytes resident")
            print(f"  {most / (1 << 20):.1f} MiB resident at most, state "
                  f"{values['metrics_sidecar_state_bytes'] / (1 << 20):.1f} MiB")

    def test_a_million_expired(self):
        """A million series one after the other with a time to live: their records are used
        again."""
        with Sidecar("--max-series", "100000", "--series-ttl", "1s") as sidecar:
            most = 0
            for start in range(0, 1_000_000, 20_000):
                # As many as may live at one time; the next ones wait until they have gone.
                send(sidecar, start, start + 20_000)
                wait_for(lambda: sidecar.values()["metrics_sidecar_series"] < 40_000,
                         "series to expire", 60)
                most = max(most, os.path.getsize(sidecar.path("state")))
            values = sidecar.expect({"metrics_sidecar_series": 0, "metrics_sidecar_families": 0,
                                     "metrics_sidecar_series_expired_total": 1_000_000}, seconds=60)
            check(values["metrics_sidecar_series_refused_total"] == 0, "series were refused")
            check(most < 16 << 20, f"the file has {most} bytes")
            check(resident(sidecar) < 48 << 20, f"{resident(sidecar)} bytes resident")
            print(f"  state at most {most / (1 << 20):.1f} MiB, "
                  f"{resident(sidecar) / (1 << 20):.1f} MiB resident at most")

    def test_killed_while_expiring(self):
        """SIGKILL again and again while series expire and come back: no file is set aside, and the
        counter without labels, whose session counts exactly once, is right to the unit."""
        rules = "chart/files/rules.json"
        with Sidecar("--series-ttl", "1s", "--rules", rules) as sidecar:
            number = 0
            for round_ in range(20):
                s = sidecar.unix("events.sock", socket.SOCK_STREAM)
                s.settimeout(20)

                def frame(text):
                    s.sendall(len(text).to_bytes(4, "little") + text.encode())

                def acknowledged():
                    head = s.recv(4, socket.MSG_WAITALL)
                    return int(s.recv(int.from_bytes(head, "little"),
                                      socket.MSG_WAITALL).split(b"|")[1])

                frame("_session|" + "ab" * 16)
                number = acknowledged()
                for _ in range(30):
                    number += 1
                    lines = "".join(f"x:1|c|#id:{'y' * (number % 90)}{n}\n" for n in range(20))
                    frame(f"_seq|{number}\napp.start:1|c\n{lines}")
                last = 0
                while last < number - round_:
                    last = acknowledged()
                time.sleep(0.05 * (round_ % 5) + (1.1 if round_ % 4 == 0 else 0))
                os.kill(sidecar.process.pid, signal.SIGKILL)
                sidecar.process.wait()
                s.close()
                sidecar.start()
            s = sidecar.unix("events.sock", socket.SOCK_STREAM)
            s.settimeout(20)
            frame("_session|" + "ab" * 16)
            last = acknowledged()
            sidecar.expect({"app_starts_total": last, "metrics_sidecar_state_resets_total": 0})
            check("not trusted" not in sidecar.output(), sidecar.output())
            print(f"  {last} frames over 20 kills")


if __name__ == "__main__":
    main()
