"""What tests of the chart share: values to render it with, its manifests found and validated."""
import json
import os
import pathlib

import jsonschema
import kubernetes_validate

from support import chart_ports
from support.checks import check

SCHEMAS = os.environ.get("CRD_SCHEMAS", "")
CRDS = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "HTTPRoute"}
OLDEST, BEFORE_SLEEP, NEWEST = "1.25.0", "1.29.0", kubernetes_validate.latest_version()
VERSIONS = [f"1.{minor}.0" for minor in range(25, chart_ports.minor(NEWEST) + 1)]

def versions(what):
    """Those for which these values can be rendered."""
    return [version for version in VERSIONS
            if what not in ENDING or chart_ports.minor(version) >= NATIVE]


VALUES = {
    "default values": [],
    "all values": ["-f", "chart/ci/full-values.yaml"],
    "a PodMonitor": ["-f", "chart/ci/podmonitor-values.yaml"],
    "other values": ["-f", "chart/ci/other-values.yaml"],
    "an app of one's own": ["-f", "chart/examples/gunicorn.yaml"],
    "a Job": ["-f", "chart/ci/job-values.yaml"],
    "a CronJob": ["-f", "chart/ci/cronjob-values.yaml"],
}
# Whose sidecar has to be a native one, as it is by default from this version on.
ENDING, NATIVE = {"a Job", "a CronJob"}, 29
# What a cluster has besides the chart.
OTHERS = {"ConfigMap my-rules", "ServiceAccount shop"}


def named(manifests, kind, suffix=""):
    return [m for m in manifests if m["kind"] == kind and m["metadata"]["name"].endswith(suffix)]


def only(manifests, kind, suffix=""):
    found = named(manifests, kind, suffix)
    check(len(found) == 1, f"there are {len(found)} of {kind} {suffix}")
    return found[0]


def services(manifests):
    """The app's, the sidecar's and, if there is one, the pushers'."""
    found = {m["metadata"]["name"]: m["spec"] for m in manifests if m["kind"] == "Service"}
    return [found[name] for name in sorted(found)]


def pod(manifests):
    (spec,) = [chart_ports.made_pod(m)["spec"] for m in manifests
               if m["kind"] != "Pod" and chart_ports.made_pod(m)]
    return spec, {c["name"]: c for c in spec.get("initContainers", []) + spec["containers"]}


def lingering(container):
    """Seconds for which a sidecar waits for its last scrape."""
    (text,) = [text for text in container["args"] if text.startswith("--linger=")]
    return int(text.removeprefix("--linger=").removesuffix("s"))


def validate(manifests, version, what):
    for manifest in manifests:
        kind = manifest["kind"]
        if kind not in CRDS:
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except Exception as error:  # its errors have no common class
                raise AssertionError(f"{what}, {version}, {kind}: {error}")
        elif SCHEMAS and pathlib.Path(SCHEMAS, f"{kind.lower()}.json").exists():
            # Go takes a flag within an expression; Python wants it first.
            text = pathlib.Path(SCHEMAS, f"{kind.lower()}.json").read_text()
            schema = json.loads(text.replace("^(?i)", "(?i)^"))
            errors = list(jsonschema.Draft202012Validator(schema).iter_errors(manifest))
            check(not errors, f"{what}, {kind}: {[error.message for error in errors]}")
