#!/usr/bin/env python3
"""The jobs of docs/jobs.md, as they are written there, run by `metrics-sidecar run` beside a
sidecar: what they report is on the page, once for each run however often its lines are sent.

    Tests/System/run jobs
"""
import os
import pathlib
import re
import subprocess
import sys
from unittest import TestCase, main

from support import ROOT
from support.chart_values import CHART
from support.checks import check
from support.sidecar import Sidecar

# What the documents' jobs call, and do not say.
TOOLS = {"dump": "echo dumped", "upload": 'cat >"$1"'}
PRELUDE = """import collections
Order = collections.namedtuple("Order", "region")
def orders(): return [Order("eu"), Order("eu"), Order("us")]
def send(order): pass
"""


def block(language):
    """The document's example in that language."""
    text = (ROOT / "docs/jobs.md").read_text()
    (found,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)
    return found


class Jobs(TestCase):
    def setUp(self):
        rules = (CHART / "files/job-rules.json").read_text()
        self.sidecar = self.enterContext(Sidecar(rules=rules))
        self.bin = pathlib.Path(self.sidecar.path("bin"))
        self.bin.mkdir()
        (self.bin / "metrics-sidecar").symlink_to(os.path.abspath(self.sidecar.program))
        for name, text in TOOLS.items():
            (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.bin / name).chmod(0o755)

    def run_job(self, name, *command, **environment):
        done = subprocess.run(
            [self.sidecar.program, "run", "--name", name, "--", *command],
            cwd=self.sidecar.folder, capture_output=True, text=True, timeout=120,
            env={**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}",
                 "METRICS_SIDECAR_STATSD_SOCKET": self.sidecar.path("statsd.sock"),
                 "METRICS_SIDECAR_EVENTS_SOCKET": self.sidecar.path("events.sock"), **environment})
        check(not done.stderr, f"{name}: {done.stderr}")
        return done.returncode

    def test_bash(self):
        """The bash job counts each database once for each run, however often that is tried."""
        os.mkdir(self.sidecar.path("backups"))
        pathlib.Path(self.sidecar.path("backup.sh")).write_text(block("bash"))
        os.chmod(self.sidecar.path("backup.sh"), 0o755)
        for number, run in enumerate(("a", "a", "b"), 1):
            check(self.run_job("backup", "./backup.sh", JOB_RUN=run) == 0, "it failed")
            values = self.sidecar.expect({
                'job_runs_total{job_name="backup",result="success"}': float(number),
                'backup_databases_total{database="orders"}': 2.0 if run == "b" else 1.0,
                'backup_databases_total{database="users"}': 2.0 if run == "b" else 1.0,
                'job_max_duration_seconds{job_name="backup"}': 7200.0})
        check(values["backup_bytes"] > 0, f"backup_bytes is {values['backup_bytes']}")
        (self.bin / "dump").write_text("#!/bin/sh\nexit 5\n")
        check(self.run_job("backup", "./backup.sh", JOB_RUN="c") == 5, "it goes on after a failure")
        self.sidecar.expect({'job_runs_total{job_name="backup",result="failure"}': 1.0,
                             'job_exit_code{job_name="backup"}': 5.0})
        page = self.sidecar.page()
        check('job_duration_seconds_bucket{job_name="backup",le="86400.0"} 4.0' in page,
              "the buckets are not those of jobs")

    def test_python(self):
        """The Python job's events are counted when it has ended."""
        path = pathlib.Path(self.sidecar.path("report.py"))
        path.write_text(PRELUDE + block("python").replace("/run/metrics", self.sidecar.folder))
        source = str(ROOT / "Clients/python/src")
        check(self.run_job("report", sys.executable, "report.py", PYTHONPATH=source) == 0, "failed")
        self.sidecar.expect({'report_orders_total{region="eu"}': 2.0,
                             'report_orders_total{region="us"}': 1.0,
                             'job_runs_total{job_name="report",result="success"}': 1.0})


if __name__ == "__main__":
    main()
