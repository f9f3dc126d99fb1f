#!/usr/bin/env python3
"""monitoring/'s values against the chart they are for, rendered by Helm.

    Tests/System/run stack CHARTS=FOLDER[:FOLDER…]

Each FOLDER is the folder charts/ of prometheus-community/helm-charts at the tag of a release of
kube-prometheus-stack, such as kube-prometheus-stack-88.5.3:

    git clone --depth 1 --branch kube-prometheus-stack-88.5.3 \\
      https://github.com/prometheus-community/helm-charts && make verify-stack
      CHARTS=helm-charts/charts

Each key that is set has to be one of the chart's, and what Helm makes of it has to be what
docs/guide.md promises. Grafana's chart lies elsewhere (grafana-community/helm-charts); where it was
put beside the others, it is rendered too. HELM names the helm.
"""
import base64
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from unittest import TestCase, main

import yaml

from support import ROOT, setting
from support.checks import check

HELM = os.environ.get("HELM", "helm")
CHARTS = [ROOT / folder for folder in setting("CHARTS", "").split(":") if folder]
FILES = ["monitoring/kube-prometheus-stack.yaml", "monitoring/kube-prometheus-stack-rules.yaml"]
# What charts before Prometheus 3 do not have, and pass over.
NEWER = {f"prometheus.prometheusSpec.{key}" for key in (
    "scrapeNativeHistograms", "scrapeProtocols")}
# What a chart takes as it is: Alertmanager's own configuration, files by name, groups by name.
FREE = {"alertmanager.config", "alertmanager.templateFiles", "additionalPrometheusRulesMap"}


def keys(values, prefix=""):
    for key, value in values.items():
        path = prefix + key
        if isinstance(value, dict) and path not in FREE:
            yield from keys(value, path + ".")
        else:
            yield path


def known(defaults, path):
    for part in path.split("."):
        if not isinstance(defaults, dict) or part not in defaults:
            return False
        defaults = defaults[part]
    return True


def merge(values, more):
    """Adds what is not there yet."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            merge(values[key], value)
        else:
            values.setdefault(key, value)


def rendered(charts, folder):
    """Every manifest of the chart with our values; sub-charts as far as they lie beside it."""
    stack = folder / "stack"
    shutil.copytree(charts / "kube-prometheus-stack", stack)
    chart = yaml.safe_load((stack / "Chart.yaml").read_text())
    kept = []
    for part in chart["dependencies"]:
        if (charts / part["name"]).exists():
            shutil.copytree(charts / part["name"], stack / "charts" / part["name"])
        if (stack / "charts" / part["name"]).exists():
            kept.append({key: part[key] for key in ("name", "version", "condition")})
    chart["dependencies"] = kept
    (stack / "Chart.yaml").write_text(yaml.safe_dump(chart))
    done = subprocess.run(
        [HELM, "template", "prometheus", str(stack), "--namespace", "monitoring", "--kube-version",
         "1.34.0", *(part for name in FILES for part in ("--values", str(ROOT / name))),
          "--set", "windowsMonitoring.enabled=false,crds.enabled=false",
         "--set", f"grafana.enabled={str((charts / 'grafana').exists()).lower()}"],
        capture_output=True, text=True)
    check(done.returncode == 0, f"helm: {done.stderr}")
    manifests = [found for found in yaml.safe_load_all(done.stdout) if found]
    # Older releases bring the additional rules as a List.
    return chart["version"], [part for found in manifests
                              for part in (found["items"] if found["kind"] == "List" else [found])]


def only(manifests, kind, name):
    found = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    check(len(found) == 1, f"{len(found)} of {kind} {name}, there are "
          f"{[m['metadata']['name'] for m in manifests if m['kind'] == kind]}")
    return found[0]


def verify(charts):
    defaults = yaml.safe_load((charts / "kube-prometheus-stack/values.yaml").read_text())
    grafana = charts / "grafana/values.yaml"
    if grafana.exists():
        merge(defaults["grafana"], yaml.safe_load(grafana.read_text()))
    ours = [yaml.safe_load((ROOT / name).read_text()) for name in FILES]
    paths = [path for values in ours for path in keys(values)]
    guide = (ROOT / "docs/guide.md").read_text()
    named = re.findall(r"`(prometheus\.prometheusSpec\.\w+)`", guide)
    check(named, "the guide names no key of the chart")
    paths += [*named, "prometheus.prometheusSpec.externalLabels"]
    release = yaml.safe_load((charts / "kube-prometheus-stack/Chart.yaml").read_text())["version"]
    passed_over = NEWER if int(release.partition(".")[0]) < 70 else set()
    unknown = [path for path in paths if path not in passed_over and not known(defaults, path)]
    check(not unknown, f"{charts}: the chart knows no {unknown}")
    with tempfile.TemporaryDirectory() as folder:
        version, manifests = rendered(charts, pathlib.Path(folder))
    name = "prometheus-kube-prometheus"
    secret = only(manifests, "Secret", f"alertmanager-{name}-alertmanager")["data"]
    config = yaml.safe_load(base64.b64decode(secret["alertmanager.yaml"]))
    # The chart has inhibit_rules of its own, which stay.
    check(ours[0]["alertmanager"]["config"].items() <= config.items(), f"Alertmanager: {config}")
    template = base64.b64decode(secret["sidecar.tmpl"]).decode()
    check(template.strip() == ours[0]["alertmanager"]["templateFiles"]["sidecar.tmpl"].strip(),
          "the messages' template")
    daemon = only(manifests, "Alertmanager", f"{name}-alertmanager")["spec"]
    check("alertmanager-slack" in daemon["secrets"], f"Slack's address is not mounted: {daemon}")
    spec = only(manifests, "Prometheus", f"{name}-prometheus")["spec"]
    for selector in ("rule", "serviceMonitor", "podMonitor"):
        for what in (f"{selector}Selector", f"{selector}NamespaceSelector"):
            check(spec[what] == {}, f"{what} is {spec[what]}: not every one is taken")
    wanted = ours[0]["prometheus"]["prometheusSpec"]
    for key in ("enableFeatures", *(path.rpartition(".")[2] for path in NEWER - passed_over)):
        check(spec.get(key) == wanted[key], f"{key} is {spec.get(key)}")
    groups = [group for m in manifests if m["kind"] == "PrometheusRule"
              for group in m["spec"]["groups"]]
    alerts = yaml.safe_load((ROOT / "chart/files/alerts.yaml").read_text())["groups"]
    check(all(group in groups for group in alerts), "the rules did not arrive whole")
    for part in ("controller-manager", "scheduler", "etcd", "proxy"):
        left = [m["metadata"]["name"] for m in manifests
                if m["kind"] == "ServiceMonitor" and part in m["metadata"]["name"]]
        check(not left, f"minikube cannot be scraped for {left}")
    for service in (f"{name}-prometheus", f"{name}-alertmanager"):
        only(manifests, "Service", service)
    if not passed_over:
        beside = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        for service, wanted in (("prometheus", spec["version"].removesuffix("-distroless")),
                                ("alertmanager", daemon["version"])):
            check(f":{wanted}@" in beside[service]["image"],
                  f"compose.yaml has another {service} than {wanted}")
    if grafana.exists():
        pod = only(manifests, "Deployment", "prometheus-grafana")["spec"]["template"]["spec"]
        (loader,) = [c for c in pod["containers"] if c["name"] == "grafana-sc-dashboard"]
        found = {part["name"]: part.get("value") for part in loader["env"]}
        wanted = {"LABEL": "grafana_dashboard", "LABEL_VALUE": "1", "NAMESPACE": "ALL"}
        check(wanted.items() <= found.items(), f"Grafana finds dashboards by {found}")
        chart = (ROOT / "chart/values.yaml").read_text()
        check("grafana_dashboard: '1'" in chart, "the app's chart has another label")
        only(manifests, "Secret", "prometheus-grafana")
        image = pod["containers"][-1]["image"].rpartition("/")[2]
        check(passed_over or f"/{image}@" in beside["grafana"]["image"],
              f"compose.yaml has another Grafana than {image}")
        print(f"  Grafana {pod['containers'][-1]['image'].rpartition(':')[2]} loads the dashboard")
    rules = len([m for m in manifests if m["kind"] == "PrometheusRule"])
    print(f"  kube-prometheus-stack {version}: {len(paths)} keys are the chart's; Alertmanager's "
          f"configuration, template and secret, {rules} PrometheusRules with ours among them")


class Stack(TestCase):
    def test_releases(self):
        """What monitoring/ sets is what kube-prometheus-stack has, in each release."""
        check(shutil.which(HELM), f"no {HELM}: install it or set HELM")
        if not CHARTS:
            self.skipTest("CHARTS names no folder of a release")
        for charts in CHARTS:
            verify(charts)


if __name__ == "__main__":
    main()
