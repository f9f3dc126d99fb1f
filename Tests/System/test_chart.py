#!/usr/bin/env python3
"""The chart: linted strictly, rendered for each Kubernetes from 1.25 on with each set of values,
every manifest validated, every port and name in it followed to what it means, every pod held to
the standard "restricted", and what the templates promise looked for. Single values are for
test_chart_values.py.

    Tests/System/run chart
    Tests/System/run chart.made WRITE=1    makes README.md and values.schema.json from values.yaml

What a cluster would run is run here where it can be: the rules go through `check-rules`, the
script of `helm test` (in busybox) asks a real pair, and the gunicorn of examples/gunicorn.yaml
reports to a real sidecar that has its rules.

HELM names the helm to run. CRD_SCHEMAS may name a folder with servicemonitor.json, podmonitor.json,
prometheusrule.json and httproute.json, made from the CRDs; kinds without one are not validated.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from unittest import TestCase, main

import yaml

from support import PROGRAMS, ROOT, chart_library, chart_ports, chart_references, chart_schema
from support import chart_values
from support import pod_security, setting
from support.chart_library import LIBRARY
from support.chart_manifests import NEWEST, OLDEST, OTHERS, SCHEMAS, VALUES
from support.chart_manifests import ENDING, lingering, named, only, pod, services, validate
from support.chart_manifests import versions
from support.chart_programs import mebibytes, rules_of, runnable, written
from support.chart_rules_schema import MEMBERS, RULES
from support.chart_values import CHART, HELM, helm, render
from support.checks import check, wait_for
from support.pair import Pair, listening
from support.sidecar import Sidecar

def pause(hook):
    """Seconds that a preStop hook takes."""
    command = hook.get("exec", {}).get("command", [])
    if "sleep" in hook:
        return hook["sleep"]["seconds"]
    return int(command[2]) if "sleep" in command else 0


def check_pod(manifests, version, what):
    """What every rendered pod has to keep, whatever the values."""
    spec, containers = pod(manifests)
    sidecar, app = containers["metrics-sidecar"], containers["app"]
    native = sidecar in spec.get("initContainers", [])
    minor = int(version.split(".")[1])
    check(native == (minor >= 29 and what != "other values"),
          f"{what}: a native sidecar from 1.29 on, not at {version}")
    check(not native or spec["initContainers"][0] is sidecar,
          f"{what}: init containers send events")
    check(native == (sidecar.get("restartPolicy") == "Always"), f"{what}: restartPolicy")
    hook = app.get("lifecycle", {}).get("preStop", {})
    check(("sleep" in hook) == (minor >= 30) or what != "default values",
          f"{what}: the kubelet sleeps from 1.30 on")
    own, linger = pause(hook), lingering(sidecar)
    check("lifecycle" not in sidecar, f"{what}: the sidecar knows itself when to end")
    check(("restartPolicy" in spec) == (what in ENDING), f"{what}: Never or OnFailure")
    check(("ports" in app) == (what not in ENDING), f"{what}: ports of a server alone")
    check(own == 5 or what != "default values", f"{what}: the app takes no pause before it stops")
    check(own < linger < spec["terminationGracePeriodSeconds"], f"{what}: the sidecar stays longer")
    check(spec["automountServiceAccountToken"] is (what == "all values"), f"{what}: no token")
    check(spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", f"{what}: seccomp")
    check(spec["securityContext"]["fsGroup"] == 65532, f"{what}: fsGroup")
    users = set()
    for container in (sidecar, app):
        security = container["securityContext"]
        users.add(security["runAsUser"])
        check(security["runAsNonRoot"] and security["readOnlyRootFilesystem"], f"{what}: hardened")
        check(not security["allowPrivilegeEscalation"], f"{what}: no escalation")
        check(security["capabilities"]["drop"] == ["ALL"], f"{what}: no capabilities")
        check(security["runAsGroup"] == 65532, f"{what}: one group")
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            check(probe in container or what in ("all values", "other values")
                  or what in ENDING and container is app,
                  f"{what}: {container['name']} has no {probe}")
        memory = container["resources"]["limits"]["memory"]
        check(memory == "64Mi" or what in ("all values", "other values"), f"{what}: {memory}")
        for key in ("requests", "limits"):
            check({"cpu", "memory"} <= set(container["resources"][key]), f"{what}: {key}")
        check(any(m["name"] == "sockets" for m in container["volumeMounts"]), f"{what}: sockets")
    check(len(users) == 2, f"{what}: different users")
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    check(volumes["sockets"]["emptyDir"]["medium"] == "Memory", f"{what}: sockets in memory")
    check("medium" not in volumes["state"]["emptyDir"], f"{what}: state on disk")


def tested(manifests, api, metrics):
    """Runs what the pod of `helm test` runs, with these ports in place of the service's."""
    container = only(manifests, "Pod", "-test")["spec"]["containers"][0]
    (script,) = container["args"]
    found = {m["metadata"]["name"]: m["spec"] for m in manifests if m["kind"] == "Service"}
    for (name, service), here in zip(sorted(found.items()), (api, metrics)):
        there = f"http://{name}:{service['ports'][0]['port']}"
        check(there in script, f"helm test does not ask {there}")
        script = script.replace(there, f"http://127.0.0.1:{here}")
    done = subprocess.run(["busybox", *container["command"], script], capture_output=True,
                          text=True)
    return done


class Chart(TestCase):
    @classmethod
    def setUpClass(cls):
        check(shutil.which(HELM), f"no {HELM}: install it or set HELM")
        check(shutil.which("busybox"), "no busybox (Debian: busybox)")

    def test_made(self):
        """README and schema are what values.yaml says; WRITE=1 makes them so."""
        for chart, name, made in (
                (LIBRARY, "values.yaml", chart_library.values),
                (LIBRARY, "README.md", lambda: chart_values.readme(LIBRARY)),
                (LIBRARY, "values.schema.json", lambda: written(chart_schema.library())),
                (CHART, "README.md", chart_values.readme),
                (CHART, "values.schema.json", lambda: written(chart_schema.schema()))):
            text = made()
            if setting("WRITE", 0):
                (chart / name).write_text(text)
            check((chart / name).read_text() == text,
                  f"{chart}/{name} is not what values.yaml says: Tests/System/run chart.made "
                  "WRITE=1")

    def test_manifests(self):
        """Linted, and for each version: every manifest valid, each port and name followed, every
        pod restricted."""
        chart_ports.check_self()
        pod_security.check_self(pod(render(NEWEST, []))[0])
        ports = names = 0
        for what, arguments in VALUES.items():
            done = helm("lint", "--strict", "chart", *arguments)
            check(done.returncode == 0, f"{what}: {done.stdout}{done.stderr}")
            for version in versions(what):
                manifests = render(version, arguments)
                validate(manifests, version, what)
                check_pod(manifests, version, what)
                ports += chart_ports.check_ports(manifests, version, what)
                names += chart_references.check_references(manifests, what, OTHERS)
                pod_security.check_restricted(manifests, what)
        print(f"  whole for Kubernetes {OLDEST} to {NEWEST}; {ports} ports and {names} names lead "
              "somewhere; "
              + ("CRDs too" if SCHEMAS else "CRDs not validated: CRD_SCHEMAS names no folder"))

    def test_package(self):
        """Helm packs it."""
        with tempfile.TemporaryDirectory() as folder:
            done = helm("package", "chart", "--destination", folder)
            check(done.returncode == 0, f"package: {done.stderr}")

    def test_promises(self):
        """What the templates promise is in what they make."""
        plain, full = render(NEWEST, VALUES["default values"]), render(NEWEST, VALUES["all values"])
        check({m["kind"] for m in plain} == {
            "ServiceAccount", "ConfigMap", "Service", "Deployment", "Pod"}, "kinds by default")
        check({m["kind"] for m in full} == {
            "ServiceAccount", "ConfigMap", "Service", "Deployment", "Pod", "Ingress",
            "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor",
            "PrometheusRule", "HTTPRoute", "Secret"}, "kinds with everything on")
        check(only(plain, "Deployment")["metadata"]["namespace"] == "practica", "the namespace")
        check(only(plain, "Deployment")["spec"]["replicas"] == 1, "replicas without autoscaling")
        check("replicas" not in only(full, "Deployment")["spec"], "replicas are the autoscaler's")
        service, metrics, push = services(full)
        ports = {p["name"]: p["port"] for p in service["ports"]}
        check(ports == {"http": 8081, "grpc": 8082}, "a LoadBalancer shows the app alone")
        check(push["ports"] == [{"name": "push", "port": 9091, "targetPort": 8000}]
              and len(services(plain)) == 2, "pushes have a service of their own")
        check(metrics["clusterIP"] == "None" and metrics["publishNotReadyAddresses"] is True
              and metrics["ports"] == [{"name": "metrics", "port": 8000, "targetPort": 8000}],
              "pods that stop stay in a metrics service of their own")
        long = render(NEWEST, [
            "--set", "sidecar.push.enabled=true,fullnameOverride=" + "long" * 20])
        names = [m["metadata"]["name"] for m in long if m["kind"] == "Service"]
        check(len(set(names)) == 3 and max(map(len, names)) <= 63, f"names of services: {names}")
        rules = json.loads(only(plain, "ConfigMap", "-rules")["data"]["rules.json"])
        check(rules == json.loads((CHART / "files/rules.json").read_text()), "the rules")
        own = render(NEWEST, ["--set", "app.image=registry.example.com/own:1"])
        check(json.loads(only(own, "ConfigMap", "-rules")["data"]["rules.json"])
              == json.loads((CHART / "files/job-rules.json").read_text()),
              "an app of one's own has the App's families")
        sums = [only(m, "Deployment")["spec"]["template"]["metadata"]["annotations"][
            "checksum/rules"]
                for m in (plain, full)]
        check(sums[0] != sums[1], "other rules restart the pods")
        alerts = yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"]
        groups = only(full, "PrometheusRule")["spec"]["groups"]
        for group in alerts:
            group["rules"] = [r for r in group["rules"] if r.get("alert") != "ContainerRestarted"]
        check(groups[:-1] == alerts and groups[-1]["name"] == "mine", "the alerts, but for one")
        board = only(full, "ConfigMap", "-dashboard")
        check(board["metadata"]["labels"]["grafana_dashboard"] == "1",
              "Grafana finds the dashboard")
        check(json.loads(next(iter(board["data"].values())))
              == json.loads((CHART / "files/dashboard.json").read_text()), "the dashboard, whole")
        for kind, values, key, job in (
                ("ServiceMonitor", "all values", "endpoints", "shop"),
                ("PodMonitor", "a PodMonitor", "podMetricsEndpoints", "my-app-simple-server")):
            endpoint = only(render(NEWEST, VALUES[values]), kind)["spec"][key][0]
            check(endpoint["port"] == "metrics" and endpoint["relabelings"][:2] == [
                {"action": "labeldrop", "regex": "endpoint"},
                {"targetLabel": "job", "replacement": job}],
                f"{kind} keeps the app's labels, and the name of its job")
        policy = only(full, "NetworkPolicy")["spec"]
        metrics = [i for i in policy["ingress"] if i["ports"][0]["port"] == 8000]
        check(len(metrics) == 1 and metrics[0]["from"], "not everybody reads /metrics")
        app = pod(render(NEWEST, VALUES["an app of one's own"]))[1]["app"]
        check(app["image"].startswith("registry.example.com/") and app["command"] == ["gunicorn"]
              and app["ports"][0]["containerPort"] == 8080, "an app of one's own")
        by_hand = pod(render(NEWEST, ["--set", "sidecar.native=false"]))[0]
        check("initContainers" not in by_hand, "native can be switched off")

    def test_ending(self):
        """A Job's manifests are those of something that ends: no Service of an app, no test of one,
        PodMonitors by default where the cluster knows them, and a name for each revision."""
        job = ["--set", "workload.kind=Job,app.image=registry.example.com/backup:1"]
        knows = ["--api-versions", "monitoring.coreos.com/v1/PodMonitor"]
        for more, monitors in (([], []), (knows, ["PodMonitor"]), (
                [*knows, "--set", "serviceMonitor.enabled=true"], ["Service", "ServiceMonitor"]), (
                [*knows, "--set", "podMonitor.enabled=false"], [])):
            kinds = [m["kind"] for m in render(NEWEST, [*job, *more])]
            check(sorted(kinds) == sorted(["ConfigMap", "Job", "ServiceAccount", *monitors]), kinds)
        check(not named(render(NEWEST, knows), "PodMonitor"), "a Deployment gets a PodMonitor")
        made = render(NEWEST, [*job, "--set", "fullnameOverride=" + "long" * 20])
        check(only(made, "Job")["metadata"]["name"].endswith("-1"), "the revision")
        check(len(only(made, "Job")["metadata"]["name"]) <= 63, "a Job's name")
        made = render(NEWEST, [*VALUES["a CronJob"], "--set", "fullnameOverride=" + "long" * 20])
        check(len(only(made, "CronJob")["metadata"]["name"]) <= 52, "a CronJob's name")
        job = only(render(NEWEST, VALUES["a Job"]), "Job")["spec"]
        given = yaml.safe_load((CHART / "ci/job-values.yaml").read_text())["workload"]["job"]
        check({**job, "restartPolicy": job["template"]["spec"]["restartPolicy"]}.items()
              >= given.items(), f"a Job's spec: {job}")
        spec, containers = pod(render(NEWEST, VALUES["a Job"]))
        check([c["name"] for c in spec["initContainers"]] == ["metrics-sidecar", "tools"], "order")
        check(containers["app"]["command"] == [
            "/tools/metrics-sidecar", "run", "--name=reindex",
            "--statsd-socket=/run/metrics/statsd.sock", "--", "reindex"], "the job is run by it")
        cron = only(render(NEWEST, VALUES["a CronJob"]), "CronJob")["spec"]
        given = yaml.safe_load((CHART / "ci/cronjob-values.yaml").read_text())["workload"]
        check(cron.items() >= given["cronJob"].items(), f"a CronJob's spec: {cron}")
        check("completions" not in cron["jobTemplate"]["spec"], "what is empty is left out")

    def test_versions(self):
        """Charts and programs have one version."""
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        library = yaml.safe_load((LIBRARY / "Chart.yaml").read_text())
        check([library["version"], library["appVersion"]] == 2 * [chart["version"]],
              "the library has another version")
        swift = (ROOT / "Sources/Platform/Program/Version.swift").read_text()
        check(chart["version"] == chart["appVersion"], "version and appVersion differ")
        check(f'number = "{chart["version"]}"' in swift, "chart and programs have other versions")

    def test_guide(self):
        """What docs/guide.md tells people to type: Helm takes its values, make knows its
        targets."""
        guide = (ROOT / "docs/guide.md").read_text().replace("\\\n", " ")
        commands = re.findall(r"^helm upgrade --install my-app chart (.*)$", guide, re.M)
        check(commands, "the guide installs no chart")
        for command in commands:
            sets = re.findall(r"--set \S+", command)
            manifests = render(NEWEST, [part for text in sets for part in text.split()])
            kinds = {m["kind"] for m in manifests}
            check({"HorizontalPodAutoscaler", "ServiceMonitor", "PrometheusRule"} <= kinds,
                  f"{kinds}")
            only(manifests, "Service", "my-app")
            only(manifests, "Service", "my-app-metrics")
        targets = set(re.findall(r"(?m)^([a-z0-9-]+):", (ROOT / "Makefile").read_text()))
        for name in ("README.md", "CONTRIBUTING.md", "docs/guide.md"):
            asked = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", (ROOT / name).read_text(), re.M))
            check(asked <= targets, f"{name}: the Makefile has no {asked - targets}")

    def test_notes(self):
        """The notes name ports, hosts and what is not switched on."""
        done = helm("install", "my-app", "chart", "--namespace", "practica", "--dry-run=client")
        notes = done.stdout.partition("NOTES:")[2]
        for text in ("port-forward service/my-app-simple-server 8081:8081",
                     "port-forward service/my-app-simple-server-metrics 8000:8000",
                     "helm test my-app --namespace practica", "serviceMonitor.enabled=true"):
            check(text in notes, f"the notes lack {text}: {done.stderr}{notes}")
        done = helm("install", "my-app", "chart", "--dry-run=client", *VALUES["all values"])
        notes = done.stdout.partition("NOTES:")[2]
        for text in ("http://shop.example.com", "-push.default:9091"):
            check(text in notes, f"the notes lack {text}: {notes}")
        check("No Prometheus" not in notes, f"notes: {notes}")

    def test_rules(self):
        """The schema knows the members of a rules file, and the program every rendered one."""
        source = "".join(path.read_text() for path in sorted(
            (ROOT / "Sources/MetricsSidecar").glob("*/*Rule*.swift")))
        types = "".join(path.read_text() for path in sorted(
            (ROOT / "Sources/MetricsSidecar/Metrics").glob("*.swift")))
        own = re.findall(r'MetricMember\(\s*("[a-z_]+")', types)
        source += f"memberNames = [{' '.join(own)}]"
        for pattern, known in ((r"document\.members\(\s*\[([^\]]*)\]", RULES["properties"]),
                               (r"memberNames =\s*\[([^\]]*)\]", MEMBERS)):
            found = set(re.findall(r'"(\w+)"', " ".join(re.findall(pattern, source))))
            check(found == set(known), f"the program knows {found}, the schema {set(known)}")
        for what, arguments in VALUES.items():
            with tempfile.TemporaryDirectory() as folder:
                manifests = render(NEWEST, arguments)
                if not named(manifests, "ConfigMap", "-rules"):
                    continue  # somebody's own
                rules = rules_of(manifests, folder)
                done = subprocess.run([os.path.join(PROGRAMS, "metrics-sidecar"), "check-rules",
                                       rules],
                                      capture_output=True, text=True)
                check(done.returncode == 0, f"{what}: {done.stdout}{done.stderr}")

    def test_memory(self):
        """The memory that the flags allow, as the sidecar adds it up, is within the limit, with
        each file of values and as the examples have it."""
        found = []
        cases = {what: pod(render(NEWEST, arguments))[1] for what, arguments in VALUES.items()}
        for name in ("deployment", "gateway", "cronjob"):
            manifests = list(yaml.safe_load_all((ROOT / f"Examples/{name}.yaml").read_text()))
            cases[name] = pod(manifests)[1]
        for what, containers in cases.items():
            container = containers["metrics-sidecar"]
            with tempfile.TemporaryDirectory() as folder:
                arguments = runnable(container.get("args", []), folder)
                with Sidecar(*arguments) as sidecar:
                    allowed = sidecar.values()["metrics_sidecar_memory_bound_bytes"]
            limit = mebibytes(container["resources"]["limits"]["memory"])
            check(allowed <= limit << 20,
                  f"{what}: {arguments} allow {allowed / (1 << 20):.1f} MiB of {limit}")
            found.append(f"{allowed / (1 << 20):.0f} of {limit} MiB")
        print(f"  {', '.join(found)}")

    def test_hooks(self):
        """Before 1.30 a program of the image takes the pause: the command is one that it knows."""
        app = pod(render(OLDEST, VALUES["default values"]))[1]["app"]
        command = app["lifecycle"]["preStop"]["exec"]["command"]
        done = subprocess.run([os.path.join(PROGRAMS, command[0].strip("/")), *command[1:-1], "0"],
                              capture_output=True, text=True)
        check(done.returncode == 0, f"{command}: {done.stderr}")

    def test_helm_test(self):
        """The script of `helm test` passes beside a pair, and fails where nothing is counted."""
        manifests = render(NEWEST, VALUES["default values"])
        with Pair() as pair:
            pair.start_sidecar()
            pair.start_app()
            done = tested(manifests, pair.api, pair.metrics)
            check(done.returncode == 0, f"helm test: {done.stdout}{done.stderr}")
            check('{"health": "ok"}' in done.stdout, f"helm test prints {done.stdout}")
            check(pair.total() == 3, f"helm test makes {pair.total()} requests")
            # A sidecar that counts nothing is found out.
            pair.app.kill()
            pair.app.wait()
            pair.sidecar.kill()
            pair.sidecar.wait()
            os.remove(pair.path("state"))
            pair.start_app("--events-socket", "")
            pair.start_sidecar()
            script = "helm test passes where nothing is counted"
            check(tested(manifests, pair.api, pair.metrics).returncode != 0, script)

    def test_gunicorn(self):
        """The example as it is written, but for ports and folder."""
        manifests = render(NEWEST, VALUES["an app of one's own"])
        app = pod(manifests)[1]["app"]
        with Pair() as pair:
            pair.rules = rules_of(manifests, pair.folder)
            pair.start_sidecar()
            pathlib.Path(pair.path("my_service")).mkdir()
            pathlib.Path(pair.path("my_service/wsgi.py")).write_text(
                "def application(environ, start):\n    start('200 OK', [('Content-Length', '2')])\n"
                "    return [b'ok']\n")
            port = app["ports"][0]["containerPort"]
            arguments = [argument.replace("/run/metrics", pair.folder)
                         .replace(f"0.0.0.0:{port}", f"127.0.0.1:{pair.api}")
                         for argument in app["args"]]
            check(any(str(pair.api) in argument for argument in arguments), "the example's port")
            gunicorn = os.path.join(os.path.dirname(sys.executable), *app["command"])
            pair.app = subprocess.Popen([gunicorn, *arguments], cwd=pair.folder, stdout=pair.log,
                                        stderr=pair.log)
            wait_for(lambda: listening(pair.api), "gunicorn", 120)
            done = tested(manifests, pair.api, pair.metrics)
            check(done.returncode == 0, f"gunicorn: {done.stdout}{done.stderr}")
            values = pair.values()
            check(values.get("gunicorn_requests_total") == 1, f"gunicorn counts {values}")
            check(values.get("gunicorn_request_duration_seconds_count") == 1,
                  "gunicorn's durations")
            pair.app.terminate()
            pair.app.wait()


if __name__ == "__main__":
    main()
