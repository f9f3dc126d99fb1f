#!/usr/bin/env python3
"""Examples/kustomize, the component that puts the sidecar beside workloads that are there: it is
the library chart's sidecar, nothing else of the manifests changes, they stay valid, and pods offend
the standard "restricted" in nothing that they did not before.

    Tests/System/run kustomize [CHARTS=FOLDER[:FOLDER…]]

CHARTS are folders of charts that others wrote, which Helm can render as they are. HELM and KUBECTL
name the programs.
"""
import copy
import os
import pathlib
import subprocess
import tempfile
from unittest import TestCase, main

import kubernetes_validate
import yaml

from support import ROOT, chart_ports, pod_security, setting
from support.chart_manifests import NEWEST, VERSIONS, only, validate
from support.chart_values import helm
from support.checks import check
from test_library import Parent, workload

COMPONENT = ROOT / "Examples/kustomize"
KUBECTL = os.environ.get("KUBECTL", "kubectl")
CHARTS = [ROOT / folder for folder in setting("CHARTS", "").split(":") if folder]
NATIVE = [version for version in VERSIONS if chart_ports.minor(version) >= 29]
PREFIX = "metrics-sidecar-"
POD = """
  containers:
    - name: web
      image: x:1
      ports: [{name: metrics, containerPort: 9000}]
      volumeMounts: [{name: data, mountPath: /data}]
    - name: other
      image: y:1
  volumes: [{name: data, emptyDir: {}}]
"""
EVERY = {"Deployment": ("apps/v1", {"selector": {"matchLabels": {"app": "a"}}}),
         "StatefulSet": ("apps/v1", {"selector": {"matchLabels": {"app": "a"}}, "serviceName": ""}),
         "DaemonSet": ("apps/v1", {"selector": {"matchLabels": {"app": "a"}}}),
         "Job": ("batch/v1", {}), "CronJob": ("batch/v1", {"schedule": "@daily"})}


def made_up():
    """A workload of each kind with two containers, and of one that wants none."""
    for kind, (api, spec) in EVERY.items():
        pod = yaml.safe_load(POD)
        if api == "batch/v1":
            pod.update(restartPolicy="Never", initContainers=[{"name": "first", "image": "z:1"}])
        made = {"template": {"metadata": {"labels": {"app": "a"}}, "spec": pod}}
        made = {"jobTemplate": {"spec": made}} if kind == "CronJob" else made
        yield {"apiVersion": api, "kind": kind, "metadata": {"name": kind.lower()},
               "spec": {**spec, **made}}
    left_out = copy.deepcopy({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {
        "metadata": {"labels": {"app": "a"}}, "spec": yaml.safe_load(POD)}}})
    left_out["metadata"] = {"name": "out", "annotations": {"metrics-sidecar/inject": "false"}}
    left_out["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    yield left_out


def built(manifests, folder):
    """What `kubectl kustomize` makes of them with both components."""
    base = pathlib.Path(folder, "base")
    base.mkdir()
    (base / "all.yaml").write_text(yaml.safe_dump_all(manifests))
    parts = [os.path.relpath(part, os.path.realpath(base))
             for part in (COMPONENT, COMPONENT / "monitor")]
    (base / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": ["all.yaml"], "components": parts}))
    done = subprocess.run([KUBECTL, "kustomize", str(base)], capture_output=True, text=True)
    check(done.returncode == 0, f"kustomize: {done.stderr}")
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def key(manifest):
    return manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"]


def stripped(manifest):
    """The manifest without the sidecar's parts; each of them has to be there."""
    manifest = copy.deepcopy(manifest)
    made = chart_ports.made_pod(manifest)
    labels, spec = made["metadata"]["labels"], made["spec"]
    check(labels.pop("metrics-sidecar/scrape") == "true", "the label")
    sidecar = spec["initContainers"].pop(0)
    check(sidecar["name"] == "metrics-sidecar", "the sidecar comes first")
    volumes = [spec["volumes"].pop(0), spec["volumes"].pop(0)]
    for container in spec["containers"]:
        mount = container["volumeMounts"].pop()
        check(mount == {"name": f"{PREFIX}sockets", "mountPath": "/run/metrics"}, f"mount {mount}")
        if not container["volumeMounts"]:
            del container["volumeMounts"]
    for name in ("initContainers", "volumes"):
        if not spec[name]:
            del spec[name]
    if not labels:
        del made["metadata"]["labels"]
    return manifest, sidecar, volumes


def plain(value):
    """Without what an empty member says, which kustomize may leave out."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()
                if inner not in (None, [], {})}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def is_valid(manifest, version):
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
        return True
    except Exception:  # its errors have no common class
        return False


def verify(before, what):
    """The workloads that have a sidecar by the component, and the component's own manifests."""
    with tempfile.TemporaryDirectory() as folder:
        after = built(before, folder)
    was = {key(manifest): manifest for manifest in before}
    monitor = only([m for m in after if key(m) not in was], "PodMonitor")
    check(len(after) == len(was) + 1, f"{what}: {set(map(key, after)) ^ set(was)}")
    changed = []
    for manifest in after:
        old = was.get(key(manifest))
        annotations = manifest["metadata"].get("annotations") or {}
        if (manifest["kind"] not in EVERY or annotations.get("metrics-sidecar/inject") == "false"):
            check(old is None or plain(manifest) == plain(old), f"{what}: {key(manifest)} changes")
            continue
        rest, sidecar, volumes = stripped(manifest)
        check(plain(rest) == plain(old), f"{what}: more of {key(manifest)} changes")
        for version in NATIVE:
            check(is_valid(manifest, version) or not is_valid(old, version),
                  f"{what}, {version}: {key(manifest)} is not valid any more")
        made, had = chart_ports.made_pod(manifest), chart_ports.made_pod(old)
        more = set(pod_security.offences(made["metadata"], made["spec"])) - set(
            pod_security.offences(had["metadata"], had["spec"]))
        check(not more, f"{what}: {key(manifest)} offends by {more}")
        ports = [port for port in chart_ports.declared(made["spec"])
                 if port[0] == monitor["spec"]["podMetricsEndpoints"][0]["port"]]
        check(len(ports) == 1, f"{what}: {key(manifest)} has {ports}")
        for container in made["spec"]["containers"]:
            places = [mount["mountPath"] for mount in container["volumeMounts"]]
            check(len(set(places)) == len(places), f"{what}: {container['name']} mounts {places}")
        check(chart_ports.selected(monitor["spec"]["selector"], made["metadata"]["labels"]),
              f"{what}: the PodMonitor misses {key(manifest)}")
        changed.append((manifest["kind"], sidecar, volumes))
    return changed, monitor


class Kustomize(TestCase):
    def test_component(self):
        """Each kind of workload gets the sidecar that the library chart makes, first of all its
        init containers, and one that is annotated none."""
        changed, monitor = verify(list(made_up()), "made up")
        check(sorted(kind for kind, _, _ in changed) == sorted(EVERY), "kinds")
        with tempfile.TemporaryDirectory() as folder:
            rendered = Parent(folder, {
                "all.yaml": workload("Deployment", "a", NEWEST),
                "monitor.yaml": '{{ include "metrics-sidecar.monitor" . }}'}).render(NEWEST)
        spec = chart_ports.made_pod(only(rendered, "Deployment"))["spec"]
        wanted = spec["initContainers"][0]
        for kind, sidecar, volumes in changed:
            check(sidecar == wanted, f"{kind}: {sidecar} is not the library's, {wanted}")
            check(volumes == spec["volumes"], f"{kind}: {volumes}")
        library = only(rendered, "PodMonitor")["spec"]
        check(monitor["spec"]["scrapeProtocols"] == library["scrapeProtocols"], "protocols")
        monitor["metadata"]["namespace"] = "default"
        validate([monitor], NEWEST, "the component")

    def test_charts(self):
        """Charts that others wrote, rendered by Helm, with the component over them."""
        if not CHARTS:
            self.skipTest("CHARTS names no folder of a chart")
        for chart in CHARTS:
            done = helm("template", "r", str(chart), "--namespace", "practica", "--kube-version",
                        NEWEST)
            check(done.returncode == 0, f"{chart}: {done.stderr}")
            changed, _ = verify([m for m in yaml.safe_load_all(done.stdout) if m], chart.name)
            check(changed, f"{chart} has no workload")
            print(f"  {chart.name}: {', '.join(kind for kind, _, _ in changed)}")


if __name__ == "__main__":
    main()
