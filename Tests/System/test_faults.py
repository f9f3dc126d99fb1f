"""System calls that fail, one after the other, in programs that were built to have them fail.

    Tests/System/run faults [DEBUG_PROGRAMS=.build/debug]
"""
import errno
import os
import re
import subprocess
from unittest import TestCase, main

from support import DEBUG_PROGRAMS
from support.checks import check, missing, settle
from support.pair import PATHS, Pair, listening


class Faults(TestCase):
    def test_calls_fail(self):
        """Each faultable system call fails in turn, in either program: a clear line or a
        recovery."""
        if not os.path.exists(os.path.join(DEBUG_PROGRAMS, "simple-server")):
            missing("no debug build: calls cannot be made to fail")

        def ask(pair, state):
            """One request on a connection of its own; a refused or cut one is not answered."""
            state["sent"] += 1
            answer = pair.get(pair.api, PATHS[state["sent"] % 3].decode())
            if answer and answer.startswith(b"HTTP/1.1 200 "):
                state["answered"] += 1

        def alive(process):
            return process.poll() is None

        def ended(process, what):
            try:
                return process.wait(10)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{what} does not stop") from None

        for victim in ("sidecar", "app"):
            for code in (errno.EIO, errno.ENOMEM):
                fired, exits, n = {}, 0, 0
                while True:
                    n += 1
                    what = f"{victim}, call {n} fails with {errno.errorcode[code]}"
                    with Pair(DEBUG_PROGRAMS) as pair:
                        plan = {"CLINUX_FAULT": f"{n}:{code}",
                                "CLINUX_FAULT_REPORT": pair.path("fired")}
                        state = {"sent": 0, "answered": 0}
                        pair.start_sidecar(wait=False,
                                           environment=plan if victim == "sidecar" else None)
                        settle(lambda: not alive(pair.sidecar)
                               or pair.get(pair.metrics, "/-/ready"))
                        pair.start_app("--workers", "1", wait=False,
                                       environment=plan if victim == "app" else None)
                        settle(lambda: not alive(pair.app) or listening(pair.api))
                        for _ in range(6):
                            if alive(pair.app):
                                ask(pair, state)
                        if alive(pair.sidecar):
                            pair.get(pair.metrics, "/metrics")
                        # The faulty program stops (and may meet the fault there); a whole one
                        # follows.
                        if victim == "sidecar":
                            pair.sidecar.terminate()
                            status = ended(pair.sidecar, what)
                            pair.start_sidecar()
                            ask(pair, state)
                            pair.app.terminate()
                            check(ended(pair.app, what) == 0, f"{what}: the App's status")
                        else:
                            pair.app.terminate()
                            status = ended(pair.app, what)
                        pair.log.flush()
                        with open(pair.path("log"), errors="replace") as f:
                            log = f.read()
                        check(status >= 0 and status < 128,
                              f"{what}: ended by status {status}\n{log}")
                        check(status == 0
                              or re.search(r"^(simple-server|metrics-sidecar): .", log, re.M),
                              f"{what}: status {status} without a clear line\n{log}")
                        exits += status != 0
                        settle(lambda: pair.total() >= state["answered"])
                        counted = pair.total()
                        name = (open(pair.path("fired")).read().split()[1]
                                if os.path.exists(pair.path("fired")) else None)
                        check(state["answered"] <= counted <= state["sent"],
                              f"{what} ({name}): {state['answered']} answered, {counted} counted, "
                              f"{state['sent']} sent\n{log}")
                        if name is None:
                            break
                        fired[name] = fired.get(name, 0) + 1
                check(sum(fired.values()) > 20, f"{victim}: only {fired} could fail")
                names = ", ".join(f"{name} {count}" for name, count in sorted(fired.items()))
                print(f"  {victim}, {errno.errorcode[code]}: {n - 1} calls failed in turn, "
                      f"{exits} ended "
                      f"the program with a line ({names})", flush=True)


if __name__ == "__main__":
    main()
