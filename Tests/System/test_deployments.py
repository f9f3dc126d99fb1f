#!/usr/bin/env python3
"""The manifests in Examples, as people copy them: valid, every port and name leads somewhere, they
pass the standard "restricted", and they run the sidecar as the chart does.

    Tests/System/run deployments
"""
import base64
import http.client
import pathlib
import subprocess
from unittest import TestCase, main

import yaml

from support import ROOT, chart_ports, chart_references, pod_security
from support.chart_manifests import BEFORE_SLEEP, NEWEST, only, pod, validate
from support.chart_values import render
from support.checks import check
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


class Deployments(TestCase):
    def test_deployment(self):
        """Examples/deployment.yaml: a service of one's own beside the sidecar."""
        manifests_of("deployment.yaml")

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
