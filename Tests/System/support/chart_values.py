"""The chart's values: rendered, described in its README, and refused where they are wrong."""
import json
import os
import re
import subprocess

import jsonschema
import yaml

from support import ROOT
from support.checks import check

CHART = ROOT / "chart"
HELM = os.environ.get("HELM", "helm")
JOB = ["--set", "workload.kind=Job,app.image=registry.example.com/backup:1"]
REFUSED = {
    "an unknown key": ["--set", "replicas=2"],
    "an unknown key inside": ["--set", "sidecar.image.repo=x"],
    "a wrong type": ["--set", "replicaCount=many"],
    "a text for a switch": ["--set-string", "ingress.enabled=yes"],
    "a port out of range": ["--set", "service.port=70000"],
    "a port's name with capitals": ["--set", "app.ports[0].name=HTTP,app.ports[0].containerPort=1"],
    "no port": ["--set-json", "app.ports=[]"],
    "a policy that is none": ["--set", "image.pullPolicy=Sometimes"],
    "an interval without unit": ["--set-string", "serviceMonitor.interval=30"],
    "a path without slash": ["--set", "app.healthPath=health"],
    "a memory that is none": ["--set", "resources.limits.memory=lots"],
    "an unknown rules member": ["--set", "sidecar.rules.famillies[0].name=x"],
    "an environment of numbers": ["--set-json", 'app.env=[{"name":"A","value":1}]'],
    "a volume in the place of ours": ["--set-json",
                                      'extraVolumes=[{"name":"state","emptyDir":{}}]'],
    "a sidecar that outstays the pod": ["--set", "terminationGracePeriodSeconds=30"],
    "one port for both containers": ["--set", "sidecar.port=8081"],
    "a port's name that is the sidecar's": [
        "--set", "app.ports[0].name=metrics,app.ports[0].containerPort=1"],
    "an HTTPRoute without a gateway": ["--set", "httpRoute.enabled=true"],
    "a digest that is none": ["--set", "image.digest=sha256:abc"],
    "a network that is none": ["--set-json", 'service.loadBalancerSourceRanges=["10.0.0.1"]'],
    "an extra container in the place of ours": [
        "--set-json", 'extraContainers=[{"name":"app","image":"x"}]'],
    "a native sidecar on a Kubernetes that has none": [
        "--set", "sidecar.native=true", "--kube-version", "1.27.9"],
    "fewer pods at most than at least": [
        "--set", "autoscaling.enabled=true,autoscaling.minReplicas=9"],
    "both monitors": ["--set", "serviceMonitor.enabled=true,podMonitor.enabled=true"],
    "an app on OTLP's port": [
        "--set", "app.ports[0].name=http,app.ports[0].containerPort=4318"],
    "an OTLP address without a port": ["--set", "sidecar.otlp.listen=localhost"],
    "an OTLP size that is none": ["--set", "sidecar.otlp.maxSize=big"],
    "no OTLP streams": ["--set", "sidecar.otlp.maxStreams=0"],
    "a host with a port": ["--set", "sidecar.allowedHosts={metrics.example.com:8000}"],
    "a workload that is none": ["--set", "workload.kind=StatefulSet"],
    "a Job of a server": ["--set", "workload.kind=Job"],
    "a Job behind an Ingress": [*JOB, "--set", "ingress.enabled=true"],
    "a Job that an autoscaler keeps up": [*JOB, "--set", "autoscaling.enabled=true"],
    "a Job that is never to be disrupted": [*JOB, "--set", "podDisruptionBudget.enabled=true"],
    "a Job whose sidecar would never end": [*JOB, "--kube-version", "1.28.9"],
    "a Job without a native sidecar": [*JOB, "--set", "sidecar.native=false"],
    "a Job that restarts for ever": [*JOB, "--set", "workload.job.restartPolicy=Always"],
    "a policy of failures that needs new pods": [
        *JOB, "--set", "workload.job.restartPolicy=OnFailure", "--set-json",
        'workload.job.podFailurePolicy={"rules":[{"action":"Ignore"}]}'],
    "a report of an unknown command": [*JOB, "--set", "workload.report=backup"],
    "a report of a server": ["--set", "workload.report=shop,app.command={shop}"],
    "a name with a comma": [*JOB, "--set-json", 'workload.report="a,b"'],
    "a schedule that is none": ["--set", "workload.cronJob.schedule=daily"],
    "a schedule of four fields": ["--set-string", "workload.cronJob.schedule=0 3 * *"],
    "two runs that may not be": ["--set", "workload.cronJob.concurrencyPolicy=Never"],
    "a deadline below nothing": ["--set", "workload.job.activeDeadlineSeconds=0"],
    "values of the library": ["--set", "metrics-sidecar.port=9000"],
}


# Where keys are people's own: besides all labels and annotations.
FREE = {"global", "nodeSelector", "serviceMonitor.spec", "podMonitor.spec"}


def helm(*arguments):
    return subprocess.run([HELM, *arguments], cwd=ROOT, capture_output=True, text=True)


def render(version, arguments):
    done = helm("template", "my-app", "chart", "--namespace", "practica",
                "--kube-version", version, *arguments)
    if done.returncode != 0:
        raise AssertionError(f"{version} {arguments}: {done.stderr}")
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def documented(chart=CHART):
    """(key, default, words) of each key of values.yaml that a `# --` comment stands above."""
    rows, path, words = [], [], None
    text = (chart / "values.yaml").read_text()
    values = yaml.safe_load(text)
    for line in text.splitlines():
        text = line.strip()
        if text.startswith("# -- "):
            words = text[5:]
        elif text.startswith("#") and words is not None:
            words += " " + text[2:]
        elif match := re.match(r"( *)([A-Za-z]+):", line):
            depth = len(match[1]) // 2
            if depth > len(path) or (rows and ".".join(path[:depth]).startswith(rows[-1][0])
                                     and depth == len(rows[-1][0].split("."))):
                continue  # inside the value of the last key
            path = path[:depth] + [match[2]]
            if words is not None:
                value = values
                for part in path:
                    value = value[part]
                rows.append((".".join(path), value, words))
                words = None
    return rows


def leaves(values, known, prefix=""):
    for key, value in values.items():
        path = prefix + key
        if path not in known and isinstance(value, dict) and value:
            yield from leaves(value, known, path + ".")
        else:
            yield path


def readme(chart=CHART):
    rows = documented(chart)
    known = {row[0] for row in rows}
    missing = set(leaves(yaml.safe_load((chart / "values.yaml").read_text()), known)) - known
    check(not missing, f"values without a `# --` comment: {sorted(missing)}")
    table = "\n".join(
        f"| `{key}` | `{json.dumps(value)}` | {words} |".replace("||", "| |")
        for key, value, words in rows)
    return (chart / "README.md.gotmpl").read_text().replace("{{ values }}", table)


def wrong(value):
    """Values of other types than this one, none of which can be meant."""
    if isinstance(value, bool):
        return ["yes", 1, []]
    if isinstance(value, int):
        return ["many", True, {"a": 1}]
    if isinstance(value, str):
        return [["a"], {"a": "b"}, True if value != "auto" else "perhaps"]
    return ["text", 7, {"a": 1} if isinstance(value, list) else ["a"]]


def put(path, value):
    for part in reversed(path.split(".")):
        value = {part: value}
    return value


def check_refused():
    """Wrong values are refused; how many were tried. Helm is asked for those with a name, the
    schema itself for each key with values of a wrong type and for each object with a key that it
    does not know."""
    for what, arguments in REFUSED.items():
        done = helm("template", "my-app", "chart", *arguments)
        check(done.returncode != 0, f"{what} is not refused")
    schema = json.loads((CHART / "values.schema.json").read_text())
    judge = jsonschema.Draft7Validator(schema)
    rows = documented()
    tries = [put(key, other) for key, value, _ in rows for other in wrong(value)]
    # Labels, requests and the like have any keys; `global` is its parent's, too.
    free = {"global", *(key for key, value, _ in rows if isinstance(value, dict)
                        and judge.is_valid(put(key, {"nonesuch": "1"})))}
    objects = {key.rpartition(".")[0] for key, _, _ in rows} | {
        key for key, value, _ in rows if isinstance(value, dict)}
    tries += [put(f"{path}.nonesuch".lstrip("."), "x") for path in objects - free]
    taken = [values for values in tries if judge.is_valid(values)]
    check(not taken, f"the schema takes {taken}")
    other = {key for key in free - FREE if not key.lower().endswith(("labels", "annotations"))}
    check(not other, f"any key is taken in {other}")
    return len(REFUSED) + len(tries)
