"""Pushes a CPU second of the sidecar, and of Pushgateway.

    Tests/System/run push_rates [SECONDS=3] [PUSHGATEWAY=PATH]
"""
import os
import re
import subprocess
from unittest import TestCase, main

from support import setting
from support.checks import check
from support.push_servers import pushgateway, sidecar

SECONDS = setting("SECONDS", 3)


def wrk(program, body, seconds):
    script = os.path.join(program.folder, "push.lua")
    text = body.decode().replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    with open(script, "w") as file:
        file.write(f'wrk.method = "PUT"\nwrk.body = "{text}"\n')
    before = program.cpu_ticks()
    out = subprocess.run(
        ["wrk", "-t1", "-c8", f"-d{seconds}", "-s", script,
         f"http://127.0.0.1:{program.port}/metrics/job/backup/instance/db-1"],
        capture_output=True, text=True, check=True).stdout
    ticks = program.cpu_ticks() - before
    check("Non-2xx" not in out, out)
    count = int(re.search(r"(\d+) requests in", out).group(1))
    return count * os.sysconf("SC_CLK_TCK") / max(1, ticks)


class Rates(TestCase):
    def test_rates(self):
        """Pushes a CPU second of the server (8 connections)."""
        three = (
            b"# TYPE runs_total counter\nruns_total 3\n# HELP last_success_seconds When it last "
            b"went well\n"
                 b"# TYPE last_success_seconds gauge\nlast_success_seconds 1.7e9\n# TYPE items "
                 b"gauge\nitems{kind=\"mail\"} 25.5\n")
        hundred = b"# HELP stage_seconds Time\n# TYPE stage_seconds gauge\n" + b"".join(
            b'stage_seconds{stage="stage-%d",region="eu-west-1"} %.3f\n' % (n, n * 1.234)
            for n in range(100))
        ours, theirs = sidecar(), pushgateway()
        with ours, theirs:
            for what, body, factor in [("3 series", three, 10), ("100 series", hundred, 5)]:
                here, there = wrk(ours, body, SECONDS), wrk(theirs, body, SECONDS)
                print(f"  {what}: sidecar {here:,.0f}, pushgateway {there:,.0f}: "
                      f"{here / there:.1f} times")
                check(here > factor * there, f"less than {factor} times the rate of Pushgateway")


if __name__ == "__main__":
    main()
