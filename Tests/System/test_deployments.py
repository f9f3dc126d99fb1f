#!/usr/bin/env python3
"""The manifests in Examples, as people copy them: valid, every port and name leads somewhere, they
pass the standard "restricted", and they run the sidecar as the chart does.

    Tests/System/run deployments
"""
import base64
import http.client
import os
import pathlib
import subprocess
from unittest import TestCase, main

import yaml

from support import ROOT, chart_ports, chart_references, pod_security
from support.chart_manifests import BEFORE_SLEEP, NEWEST, only, pod, validate
from support.chart_values import render
from support.checks import check, wait_for
from support.sidecar import Sidecar


def manifests_of(name):
    """The manifests of Examples/NAME, after what holds for all of them."""
    path = f"Examples/{name}"
    manifests = list(yaml.safe_load_all((ROOT / path).read_text()))
    for manifest in manifests:
        manifest["metadata"].setdefault("namespace", "default")
    for version in (BEFORE_SLEEP, NEWEST):
        validate(manifests, version, path)
        chart_ports.check_ports(manifests, version, path)
    chart_references.check_references(manifests, path)
    pod_security.check_restricted(manifests, path)
    spec, containers = pod(manifests)
    rendered = pod(render(NEWEST, []))[1]["metrics-sidecar"]
    sidecar = containers["metrics-sidecar"]
    check(sidecar["image"] == rendered["image"],
          f"{path} has {sidecar['image']}, the chart {rendered['image']}")
    check(rendered["securityContext"] == sidecar["securityContext"],
          f"{path} runs the sidecar in another way than the chart")
    check(spec["securityContext"]["fsGroup"] == sidecar["securityContext"]["runAsGroup"],
          "another group")
    return manifests


class Gateway(Sidecar):
    """A sidecar by a container's arguments, with folders in place of its mounts."""

    def __init__(self, arguments, places):
        self.given, self.places, self.starts = arguments, places, False
        super().__init__()
        self.starts = True
        for place in places.values():
            pathlib.Path(self.path(place)).mkdir()

    def arguments(self):
        texts = [text.replace("0.0.0.0:8000", f"127.0.0.1:{self.metrics}") for text in self.given]
        for there, here in self.places.items():
            texts = [text.replace(there, self.path(here)) for text in texts]
        return [self.program, *texts]

    def start(self):
        if self.starts:
            super().start()

    def restart(self):
        self.process.kill()
        self.process.wait()
        self.start()

    def write(self, text):
        pathlib.Path(self.path("secret/push-auth")).write_text(text)

    def line(self, name, password):
        return subprocess.run([self.program, "hash-password", name], input=password + "\n",
                              capture_output=True, text=True, check=True).stdout

    def push(self, credentials):
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics, timeout=30)
        connection.request("PUT", "/metrics/job/backup", "last_success_seconds 1.5\n", {
            "Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()})
        with connection.getresponse() as answer:
            answer.read()
            return answer.status


def run_job(job, copied, sidecar, code):
    """Runs the example's job by the copied program; its own command ends with that exit code."""
    command = [copied if text == "/tools/metrics-sidecar" else text for text in job["command"]]
    return subprocess.run(
        [*command, "sh", "-c", f"echo done; exit {code}"], capture_output=True, text=True,
        env={**os.environ, "METRICS_SIDECAR_STATSD_SOCKET": sidecar.path("statsd.sock")})


class Deployments(TestCase):
    def test_deployment(self):
        """Examples/deployment.yaml: a service of one's own beside the sidecar."""
        manifests_of("deployment.yaml")

    def test_cronjob(self):
        """Examples/cronjob.yaml: the program that its init container copies runs the job, whose
        failure and success are on the page, and the sidecar ends once that was scraped."""
        manifests = manifests_of("cronjob.yaml")
        spec, containers = pod(manifests)
        check(spec["terminationGracePeriodSeconds"] == 30 + 45 + 5, "seconds to stop")
        given = [text for text in containers["metrics-sidecar"]["args"] if text != "serve"]
        with Sidecar(*given) as sidecar:
            copied = sidecar.path("tools-metrics-sidecar")
            copy = [text.replace("/tools/metrics-sidecar", copied)
                    for text in containers["tools"]["args"]]
            for _ in range(2):  # a kubelet may run it again
                done = subprocess.run([sidecar.program, *copy], capture_output=True, text=True)
                check(done.returncode == 0, f"{copy}: {done.stderr}")
            check(pathlib.Path(copied).read_bytes() == pathlib.Path(sidecar.program).read_bytes(),
                  "the copy is another program")
            done = subprocess.run([sidecar.program, "copy", "/nowhere/else"], capture_output=True,
                                  text=True)
            check(done.returncode == 1 and "/nowhere/else" in done.stderr, f"no room: {done}")
            for code, result in ((3, "failure"), (0, "success")):
                done = run_job(containers["job"], copied, sidecar, code)
                check(done.returncode == code and done.stdout == "done\n", f"the job: {done}")
                sidecar.expect({
                    f'job_runs_total{{job_name="backup",result="{result}"}}': 1.0,
                    'job_exit_code{job_name="backup"}': float(code)})
            done = run_job(containers["job"], copied, sidecar, 0)
            sidecar.process.terminate()
            wait_for(lambda: sidecar.page("/metrics") is None or sidecar.process.poll() is not None,
                     "the sidecar's end after the last scrape")
            check(sidecar.process.wait(60) == 0, "the sidecar did not end well")

    def test_gateway(self):
        """Examples/gateway.yaml: its flags start a sidecar that takes pushes by password alone, and
        keeps them over a kill."""
        manifests = manifests_of("gateway.yaml")
        (container,) = pod(manifests)[1].values()
        monitor = only(manifests, "ServiceMonitor")["spec"]
        check(monitor["endpoints"][0]["honorLabels"] is True, "pushed labels are lost")
        places = {"/var/lib/metrics-sidecar": "state-folder", "/etc/metrics-sidecar-push": "secret"}
        check({mount["mountPath"] for mount in container["volumeMounts"]} == set(places), "mounts")
        with Gateway(container["args"], places) as gateway:
            gateway.write(only(manifests, "Secret")["stringData"]["push-auth"])
            gateway.start()
            check(gateway.push("backup:secret") == 401, "the empty Secret lets somebody push")
            gateway.write(gateway.line("backup", "secret"))
            gateway.restart()
            check(gateway.push("backup:wrong") == 401, "a wrong password may push")
            check(gateway.push("backup:secret") == 200, "the right password may not push")
            gateway.restart()
            gateway.expect({'last_success_seconds{instance="",job="backup"}': 1.5})


if __name__ == "__main__":
    main()
