#!/usr/bin/env python3
"""The library chart, as another chart takes it: the lines of its README in a Deployment, a
StatefulSet, a DaemonSet and a Job, rendered for each Kubernetes from 1.25 on; valid, each port and
name followed, and no worse for the standard "restricted" than those pods were.

    Tests/System/run library
"""
import pathlib
import re
import shutil
import tempfile
from unittest import TestCase, main

import yaml

from support import chart_ports, chart_references, pod_security
from support.chart_library import LIBRARY
from support.chart_manifests import NEWEST, VERSIONS, named, only, validate
from support.chart_values import helm
from support.checks import check
from support.sidecar import Sidecar

HEAD = """apiVersion: {api}
kind: {kind}
metadata:
  name: {{{{ .Release.Name }}}}-{name}
  namespace: {{{{ .Release.Namespace }}}}
spec:
  {more}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {{{{ .Chart.Name }}}}
        app.kubernetes.io/instance: {{{{ .Release.Name }}}}
        part: {name}
"""
SELECTOR = "selector: {{matchLabels: {{part: {name}}}}}"
KINDS = {"Deployment": ("apps/v1", SELECTOR), "DaemonSet": ("apps/v1", SELECTOR),
         "StatefulSet": ("apps/v1", SELECTOR + "\n  serviceName: none"),
         "Job": ("batch/v1", "backoffLimit: 1")}
OWN = """
          image: registry.example.com/my-service:1
          ports: [{name: metrics, containerPort: 9000}]
          securityContext:
            runAsNonRoot: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
            seccompProfile: {type: RuntimeDefault}"""


def snippets():
    """Chart.yaml, the pod's lines and the other file, as the README has them."""
    return re.findall(r"(?ms)^```yaml\n(.*?)^```$", (LIBRARY / "README.md").read_text())


class Parent:
    """A chart that depends on the library by a copy of it, with these templates."""

    def __init__(self, folder, templates, values=None):
        self.path = pathlib.Path(folder, "service")
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(LIBRARY, self.path / "charts/metrics-sidecar")
        (dependencies,) = [text for text in snippets() if text.startswith("# Chart.yaml")]
        version = yaml.safe_load((LIBRARY / "Chart.yaml").read_text())["version"]
        (self.path / "Chart.yaml").write_text(
            "apiVersion: v2\nname: service\nversion: 1.0.0\nappVersion: '7'\n"
            + dependencies.replace("…", version))
        (self.path / "values.yaml").write_text(yaml.safe_dump(values or {}))
        (self.path / "templates").mkdir()
        for name, text in templates.items():
            (self.path / "templates" / name).write_text(text)

    def render(self, version, *arguments, fails=None):
        done = helm("template", "r", str(self.path), "--namespace", "practica", "--kube-version",
                    version, *arguments)
        if fails:
            check(done.returncode != 0 and fails in done.stderr, f"not refused: {done.stderr}")
            return []
        check(done.returncode == 0, f"{version} {arguments}: {done.stderr}")
        return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def workload(kind, name, version):
    """A pod's template with the README's lines, moved as it says where no sidecar is native."""
    (lines,) = [text for text in snippets() if "metrics-sidecar.container" in text]
    body = lines.replace("- name: my-service", "- name: my-service" + OWN)
    if chart_ports.minor(version) < 29:
        container = re.search(r" +- \{\{- include \"metrics-sidecar\.container.*\n", body)[0]
        body = re.sub(r" +initContainers:\n", "", body.replace(container, ""))
        body = body.replace("      volumes:", container + "      volumes:")
    if kind == "Job":
        body = body.replace("    spec:\n", "    spec:\n      restartPolicy: Never\n")
    api, more = KINDS[kind]
    return HEAD.format(kind=kind, api=api, name=name, more=more.format(name=name)) + body


class Library(TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def parent(self, kinds, version, values=None):
        (file,) = [text for text in snippets() if text.startswith("# templates/monitor.yaml")]
        templates = {f"{kind}.yaml": workload(kind, kind.lower(), version) for kind in kinds}
        return Parent(self.folder, {**templates, "monitor.yaml": file}, values)

    def test_kinds(self):
        """Each kind of pod has the sidecar by the README's lines, in each Kubernetes."""
        ports = names = 0
        for kind in KINDS:
            for version in VERSIONS:
                if kind == "Job" and chart_ports.minor(version) < 29:
                    continue
                manifests = self.parent([kind], version).render(version)
                check({m["kind"] for m in manifests} == {kind, "PodMonitor"}, f"{kind}: kinds")
                validate(manifests, version, kind)
                ports += chart_ports.check_ports(manifests, version, kind)
                names += chart_references.check_references(manifests, kind)
                pod_security.check_restricted(manifests, kind)
                spec = chart_ports.made_pod(only(manifests, kind))["spec"]
                first = (spec.get("initContainers") or spec["containers"])[0]
                check((first["name"] == "metrics-sidecar") == (chart_ports.minor(version) >= 29),
                      f"{kind}, {version}: a native sidecar comes first")
                check(spec["terminationGracePeriodSeconds"] == 80, "seconds to stop")
                check("securityContext" not in spec, "the pod's own security is as it was")
        print(f"  {', '.join(KINDS)}: {ports} ports and {names} names lead somewhere")

    def test_values(self):
        """Values reach what they are for; wrong ones, and those of no key, are refused."""
        parent = self.parent(["Deployment"], NEWEST, {"metrics-sidecar": {
            "port": 9102, "rules": {"families": [{"name": "a_total", "type": "counter"}]},
            "monitor": {"interval": "1m", "labels": {"release": "prometheus"}},
            "appGraceSeconds": 10, "push": {"enabled": True, "authSecret": "pushers"}},
            "global": {"imageRegistry": "mirror"}})
        manifests = parent.render(NEWEST)
        spec = chart_ports.made_pod(only(manifests, "Deployment"))["spec"]
        sidecar = spec["initContainers"][0]
        version = yaml.safe_load((LIBRARY / "Chart.yaml").read_text())["appVersion"]
        check(sidecar["image"] == f"mirror/metrics-sidecar/metrics-sidecar:{version}",
              f"the image is {sidecar['image']}: the library's version, not the parent's")
        check(spec["terminationGracePeriodSeconds"] == 10 + 75 + 5, "seconds to stop")
        check({"--listen=0.0.0.0:9102", "--socket-mode=0666", "--push",
               "--rules=/etc/metrics-sidecar/rules.json"} < set(sidecar["args"]), sidecar["args"])
        check(only(manifests, "PodMonitor")["metadata"]["labels"]["release"] == "prometheus",
              "labels")
        chart_references.check_references(manifests, "values", {"Secret pushers"})
        for wrong in ("metrics-sidecar.port=many", "metrics-sidecar.prot=1",
                      "metrics-sidecar.monitor.interval=1x", "metrics-sidecar.socketMode=rw"):
            parent.render(NEWEST, "--set", wrong, fails="metrics-sidecar")
        parent.render(NEWEST, "--set", "metrics-sidecar.rules.families[0].name=a_total,"
                      "metrics-sidecar.rules.families[0].type=,"
                      "metrics-sidecar.rules.families[0].help=x", fails="metrics-sidecar")
        check(not self.parent([], NEWEST, {"metrics-sidecar": {"monitor": {"enabled": False}}})
              .render(NEWEST), "no PodMonitor where none is wanted")

    def test_several(self):
        """Two workloads of one chart, each by a dict: names, selectors and values of their own."""
        text = "".join(
            workload("Deployment", name, NEWEST)
            .replace('" . |', f'" (dict "root" . "values" .Values.{name} "name" "{name}") |')
            + f'---\n{{{{ include "metrics-sidecar.monitor" (dict "root" . "values" .Values.{name} '
            f'"name" "{name}" "selector" (dict "part" "{name}")) }}}}\n---\n'
            f'{{{{ include "metrics-sidecar.rules" (dict "root" . "values" .Values.{name} "name" '
            f'"{name}") }}}}\n---\n' for name in ("web", "mail"))
        values = yaml.safe_load((LIBRARY / "values.yaml").read_text())
        rules = {"families": [{"name": "a_total", "type": "counter"}]}
        parent = Parent(self.folder, {"all.yaml": text}, {
            "web": {**values, "rules": rules}, "mail": {**values, "port": 8001}})
        manifests = parent.render(NEWEST)
        validate(manifests, NEWEST, "several")
        chart_ports.check_ports(manifests, NEWEST, "several")
        chart_references.check_references(manifests, "several")
        check(len(named(manifests, "PodMonitor")) == 2, "a PodMonitor for each")
        check(only(manifests, "ConfigMap")["metadata"]["name"] == "web-rules", "one has rules")

    def test_started(self):
        """The container's arguments start a sidecar, whose sockets any user may write to."""
        manifests = self.parent(["Deployment"], NEWEST).render(NEWEST)
        arguments = chart_ports.made_pod(only(manifests, "Deployment"))["spec"][
            "initContainers"][0]["args"]
        given = [text for text in arguments if not text.startswith(("serve", "--listen"))]
        check(given, f"nothing but the port in {arguments}")
        with Sidecar(*given) as sidecar:
            mode = pathlib.Path(sidecar.path("statsd.sock")).stat().st_mode & 0o777
            check(mode == 0o666, f"the socket's mode is {mode:o}")


if __name__ == "__main__":
    main()
