#!/usr/bin/env python3
"""What single values of the chart do: tables of values and of what is then in the manifests, and
that each key does something. Rules files that `check-rules` refuses, Helm refuses too.

    Tests/System/run chart_values
"""
import concurrent.futures
import http.client
import json
import os
import pathlib
import subprocess
import tempfile
from unittest import TestCase, main

import yaml

from support import PROGRAMS, chart_ports, chart_references, chart_rules_wrong, chart_values
from support.chart_manifests import NEWEST, VALUES, lingering, named, only, pod
from support.chart_values import CHART, documented, helm, render
from support.checks import check
from support.sidecar import Sidecar

DIGEST = "sha256:" + "ab" * 32


def sets(**values):
    """Arguments that set these values; a name's `__` is a dot."""
    return [part for key, value in values.items()
            for part in ("--set-json", f"{key.replace('__', '.')}={json.dumps(value)}")]


def at(manifest, path):
    for part in path.split("."):
        manifest = manifest[int(part) if part.isdigit() else part] if manifest is not None else None
    return manifest


IMAGES = [  # registry of global, of the image, repository, tag, digest, and what comes of them
    ("", "", "ghcr.io/me/app", "", "", "ghcr.io/me/app:{version}"),
    ("", "", "ghcr.io/me/app", "1", "", "ghcr.io/me/app:1"),
    ("", "", "ghcr.io/me/app", "1", DIGEST, f"ghcr.io/me/app@{DIGEST}"),
    ("", "mirror:5000/a", "ghcr.io/me/app", "1", "", "mirror:5000/a/me/app:1"),
    ("global.example.com", "mirror", "ghcr.io/me/app", "1", "", "global.example.com/me/app:1"),
    ("", "mirror", "me/app", "1", "", "mirror/me/app:1"),
    ("", "mirror", "localhost/app", "1", "", "mirror/app:1"),
    ("", "mirror", "localhost:5000/me/app", "1", "", "mirror/me/app:1"),
]
MONITORS = [  # values, a path in the monitor, and what is there
    ({}, "endpoints.0.honorLabels", False),
    ({"sidecar__push__enabled": True}, "endpoints.0.honorLabels", True),
    ({"sidecar__extraArgs": ["--push"]}, "endpoints.0.honorLabels", True),
    ({"sidecar__extraArgs": ["--push=false", "--push-ttl=1h"]}, "endpoints.0.honorLabels", False),
    ({"sidecar__env": [{"name": "METRICS_SIDECAR_PUSH", "value": "true"}]},
     "endpoints.0.honorLabels", True),
    ({"sidecar__push__enabled": True, "serviceMonitor__honorLabels": False},
     "endpoints.0.honorLabels", False),
    ({"serviceMonitor__honorLabels": True}, "endpoints.0.honorLabels", True),
    ({}, "scrapeProtocols.0", "PrometheusProto"),
    ({}, "scrapeNativeHistograms", True),
    ({"serviceMonitor__scrapeNativeHistograms": False}, "scrapeNativeHistograms", False),
    ({}, "namespaceSelector.matchNames", ["practica"]),
    ({"serviceMonitor__namespace": "monitoring"}, "namespaceSelector.matchNames", ["practica"]),
    ({"namespaceOverride": "shop"}, "namespaceSelector.matchNames", ["shop"]),
    ({"serviceMonitor__spec": {"sampleLimit": 5}}, "sampleLimit", 5),
    ({"serviceMonitor__serviceDiscoveryRole": "EndpointSlice"}, "serviceDiscoveryRole",
     "EndpointSlice"),
]
# What the operator of a version does not know.
UNKNOWN = {
    "0.71.2": {"scrapeProtocols", "serviceDiscoveryRole", "scrapeNativeHistograms",
               "scrapeClassicHistograms"},
    "0.85": {"serviceDiscoveryRole", "scrapeNativeHistograms", "scrapeClassicHistograms"},
    "v0.87.1": {"scrapeNativeHistograms", "scrapeClassicHistograms"},
    "0.88.0": set(),
    "1.0": set(),
}
TIMES = [  # values, the sidecar's linger and the pod's grace period
    ({}, 45, 80),
    ({"serviceMonitor__interval": "1m30s"}, 105, 140),
    ({"serviceMonitor__interval": ""}, 75, 110),
    ({"podMonitor__enabled": True, "podMonitor__interval": "10s"}, 25, 60),
    ({"sidecar__lingerSeconds": 20}, 20, 55),
    ({"app__terminationGracePeriodSeconds": 120}, 45, 170),
    ({"terminationGracePeriodSeconds": 300}, 45, 300),
    ({"workload__kind": "Job", "app__image": "x/y:1", "podMonitor__interval": "1m",
      "app__terminationGracePeriodSeconds": 10}, 75, 90),
    ({"workload__kind": "CronJob", "app__image": "x/y:1", "podMonitor__interval": "1m",
      "serviceMonitor__enabled": True, "serviceMonitor__interval": "5s"}, 20, 55),
]
OTLP = [  # values, and the flags
    ({}, ["--otlp=localhost:4318"]),
    ({"sidecar__otlp__enabled": False}, []),
    ({"workload__kind": "Job", "app__image": "x/y:1"}, ["--otlp=localhost:4318"]),
    ({"sidecar__otlp": {"listen": "[::1]:4319", "resourceLabels": ["service.namespace", "a.b"],
                        "scopeLabels": True, "maxSize": "8MiB", "maxStreams": 80000}},
     ["--otlp=[::1]:4319", "--otlp-resource-labels=service.namespace,a.b", "--otlp-scope-labels",
      "--max-otlp-size=8MiB", "--max-otlp-streams=80000"]),
]
HOSTS = [  # values, and the names by which browsers may come
    ({}, None),
    ({"sidecar__allowedHosts": ["a.example.com", "b.example.com"]}, "a.example.com,b.example.com"),
    ({"ingress__enabled": True}, "my-app.local"),
    ({"ingress__hosts": [{"host": "a.example.com", "paths": [
        {"path": "/", "pathType": "Prefix"}]}]}, None),
    ({"httpRoute__enabled": True, "httpRoute__parentRefs": [{"name": "edge"}],
      "httpRoute__hostnames": ["*.example.com", "a.example.com"], "ingress__enabled": True,
      "sidecar__allowedHosts": ["a.example.com"]}, "a.example.com,my-app.local"),
    ({"sidecar__allowedHosts": ["*"]}, "*"),
]


def without(values, path):
    head, _, rest = path.partition(".")
    if head not in values:
        return values
    if not rest:
        return {key: value for key, value in values.items() if key != head}
    return {**values, head: without(values[head], rest)}


def has(values, path):
    head, _, rest = path.partition(".")
    return isinstance(values, dict) and head in values and (not rest or has(values[head], rest))


class ChartValues(TestCase):
    def test_refused(self):
        """Wrong values are refused."""
        print(f"  {chart_values.check_refused()} wrong values")

    def test_images(self):
        """Registries, digests and tags make the references of all images."""
        version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
        for everywhere, registry, repository, tag, digest, image in IMAGES:
            image = image.format(version=version)
            given = {"registry": registry, "repository": repository, "tag": tag, "digest": digest}
            manifests = render(NEWEST, sets(
                global__imageRegistry=everywhere, image=given, sidecar__image=given))
            spec = only(manifests, "Deployment")["spec"]["template"]["spec"]
            for container in (*spec["initContainers"], *spec["containers"]):
                check(container["image"] == image, f"{container['image']} in place of {image}")
            test = only(manifests, "Pod")["spec"]["containers"][0]["image"]
            check(test == f"{everywhere or 'docker.io'}/library/busybox:1.37", f"helm test: {test}")

    def test_monitors(self):
        """Monitors keep pushed labels, and say what the operator's version knows."""
        for values, path, wanted in MONITORS:
            spec = only(render(NEWEST, sets(serviceMonitor__enabled=True, **values)),
                        "ServiceMonitor")["spec"]
            check(at(spec, path) == wanted, f"{values}: {path} is {at(spec, path)}")
        every = set.union(*UNKNOWN.values())
        for version, unknown in UNKNOWN.items():
            spec = only(render(NEWEST, sets(
                serviceMonitor__enabled=True, serviceMonitor__serviceDiscoveryRole="Endpoints",
                serviceMonitor__scrapeClassicHistograms=True,
                prometheusOperator__version=version)), "ServiceMonitor")["spec"]
            check(every - set(spec) == unknown, f"operator {version}: {set(spec)}")

    def test_times(self):
        """The sidecar's linger follows from the interval, the grace period from both."""
        for values, linger, grace in TIMES:
            spec, containers = pod(render(NEWEST, sets(**values)))
            times = (lingering(containers["metrics-sidecar"]),
                     spec["terminationGracePeriodSeconds"])
            check(times == (linger, grace), f"{values}: linger and grace period are {times}")

    def test_hosts(self):
        """A browser may come by the hosts that lead here, as the program has it."""
        for values, wanted in HOSTS:
            arguments = pod(render(NEWEST, sets(**values)))[1]["metrics-sidecar"]["args"]
            found = [text.partition("=")[2] for text in arguments if "allowed-hosts" in text]
            check(found == ([wanted] if wanted else []), f"{values}: {found}")
        with Sidecar("--allowed-hosts=shop.example.com") as sidecar:
            for host, status in (("shop.example.com", 200), ("evil.example.com", 403)):
                connection = http.client.HTTPConnection("127.0.0.1", sidecar.metrics, timeout=30)
                connection.request("GET", "/", headers={
                    "Host": host, "User-Agent": "Mozilla/5.0", "Sec-Fetch-Mode": "navigate",
                    "Accept": "text/html"})
                with connection.getresponse() as answer:
                    check(answer.status == status, f"a browser by {host}: {answer.status}")

    def test_otlp(self):
        """SDKs find the sidecar at loopback, on by default; no Service, port or policy opens it."""
        for values, wanted in OTLP:
            manifests = render(NEWEST, sets(
                networkPolicy__enabled=True, ingress__enabled="workload__kind" not in values,
                **values))
            arguments = pod(manifests)[1]["metrics-sidecar"]["args"]
            found = [text for text in arguments if "otlp" in text]
            check(found == wanted, f"{values}: {found}")
            rest = json.dumps([part for part in manifests
                               if part["kind"] not in ("Deployment", "Job")])
            ports = json.dumps([container.get("ports") for container
                                in pod(manifests)[1].values()])
            check("4318" not in rest + ports, f"{values}: 4318 is open")

    def test_alerts(self):
        """Alerts are left out by name; a name that is none is a mistake."""
        def rules(**values):
            manifests = render(NEWEST, sets(prometheusRule__enabled=True, **values))
            groups = only(manifests, "PrometheusRule")["spec"]["groups"]
            check(all(group["rules"] for group in groups), "a group without rules")
            return [rule for group in groups for rule in group["rules"]]

        names = [rule["alert"] for rule in rules() if "alert" in rule]
        rest = rules(prometheusRule__disabledAlerts=names)
        check(rest and not any("alert" in rule for rule in rest), "all alerts left out")
        done = helm("template", "my-app", "chart", *sets(
            prometheusRule__enabled=True, prometheusRule__disabledAlerts=["NoSuchAlert"]))
        check("no alert NoSuchAlert" in done.stderr, f"an unknown alert: {done.stderr}")

    def test_subchart(self):
        """Twice in a parent: by alias, switched off by a condition, with a parent's `global`."""
        with tempfile.TemporaryDirectory() as folder:
            parent = pathlib.Path(folder, "parent")
            (parent / "charts").mkdir(parents=True)
            done = helm("package", "chart", "--destination", str(parent / "charts"))
            check(done.returncode == 0, f"package: {done.stderr}")
            chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
            (parent / "Chart.yaml").write_text(yaml.safe_dump({
                "apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [
                    {"name": chart["name"], "version": chart["version"], "alias": alias,
                     "condition": f"{alias}.enabled"} for alias in ("shop", "mail")]}))
            (parent / "values.yaml").write_text(yaml.safe_dump({
                "global": {"imageRegistry": "mirror", "team": {"name": "practica"}},
                "shop": {"enabled": True, "serviceMonitor": {"enabled": True},
                         "networkPolicy": {"enabled": True}},
                "mail": {"enabled": False}}))
            for both in (False, True):
                done = helm("template", "r", str(parent), "--kube-version", NEWEST,
                            *sets(mail__enabled=both))
                check(done.returncode == 0, f"as a subchart: {done.stderr}")
                manifests = [m for m in yaml.safe_load_all(done.stdout) if m]
                pods = named(manifests, "Deployment")
                names = {manifest["metadata"]["name"] for manifest in pods}
                check(names == ({"r-shop", "r-mail"} if both else {"r-shop"}), f"there is {names}")
                image = at(pods[0], "spec.template.spec.containers.0.image")
                check(image.startswith("mirror/metrics-sidecar/"), f"a subchart's image is {image}")
                chart_ports.check_ports(manifests, NEWEST, "subcharts")
                chart_references.check_references(manifests, "subcharts")

    def test_rules(self):
        """What check-rules refuses, Helm refuses before it installs anything, where it can."""
        def tried(row):
            words, rules, chart_refuses, program_refuses = row
            with tempfile.TemporaryDirectory() as folder:
                for name, document in (("values", {"sidecar": {"rules": rules}}), ("rules", rules)):
                    pathlib.Path(folder, name).write_text(json.dumps(document))
                chart = helm("template", "my-app", "chart", "-f", f"{folder}/values",
                             "-s", "templates/rules-configmap.yaml")
                program = subprocess.run(
                    [os.path.join(PROGRAMS, "metrics-sidecar"), "check-rules", f"{folder}/rules"],
                    capture_output=True, text=True)
            if (chart.returncode != 0) != chart_refuses:
                return f"Helm: {words}: {chart.stderr[-300:]}"
            if (program.returncode != 0) != program_refuses:
                return f"check-rules: {words}: {program.stdout}"
            return None

        rows = [(words, rules, chart_refuses, program_refuses)
                for table, chart_refuses, program_refuses in (
                    (chart_rules_wrong.CHART, True, True), (chart_rules_wrong.PROGRAM, False, True),
                    (chart_rules_wrong.RIGHT, False, False))
                for words, rules in table.items()]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            wrong = [text for text in pool.map(tried, rows) if text]
        check(not wrong, "; ".join(wrong))
        print(f"  {len(rows)} rules files")

    def test_keys(self):
        """Each key is in a file of values, and without it there the rendering is another one."""
        names = [arguments[1] for arguments in VALUES.values() if arguments]
        given = {name: yaml.safe_load(pathlib.Path(name).read_text()) for name in names}

        def rendered(values):
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump(values, file)
                file.flush()
                done = helm("template", "my-app", "chart", "--kube-version", NEWEST, "-f",
                            file.name)
            return done.stdout if done.returncode == 0 else done.stderr

        keys = [key for key, _, _ in documented()]
        tries = [(name, key) for key in keys for name in names if has(given[name], key)]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            whole = dict(zip(names, pool.map(lambda name: rendered(given[name]), names)))
            texts = pool.map(lambda each: rendered(without(given[each[0]], each[1])), tries)
            alive = {key for (name, key), text in zip(tries, texts) if text != whole[name]}
        # `enabled` is a parent chart's.
        dead = set(keys) - alive - {"enabled"}
        check(not dead, f"no file of values shows what these do: {sorted(dead)}")
        print(f"  {len(alive)} keys")


if __name__ == "__main__":
    main()
