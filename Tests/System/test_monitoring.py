#!/usr/bin/env python3
"""Rules, dashboard and Slack messages on the real programs, in about two minutes.

    Tests/System/run monitoring
"""
import json
import math
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from unittest import TestCase, main

import yaml

from support import ROOT, monitoring_lab
from support.checks import check, wait_for
from support.monitoring_lab import JOB, NAMESPACE, POD, Lab
from support.pair import Pair
from support.prometheus import Prometheus

PATIENCE = 300
ANNOTATIONS = {"summary", "description", "value", "runbook_url"}


def run(*command):
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    check(result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}")
    return result.stdout


def message(firing, resolved):
    """What Slack gets as the text for so many pods, by Alertmanager's own templates."""
    alert = {**monitoring_lab.rules("alert")[0]["annotations"]}
    alerts = [{"status": status, "fingerprint": f"{number:016x}",
               "labels": {"alertname": "Try", "namespace": NAMESPACE, "severity": "critical",
                          "pod": f"my-app-{number:05}"},
               "annotations": alert | {"description": alert["description"] + length * "x"}}
              for number, (status, length) in enumerate(
                  [("firing", 0)] * firing + [("resolved", 10_000)] * resolved)]
    status = "firing" if firing else "resolved"
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder, "data.json")
        data.write_text(json.dumps({"receiver": "slack", "status": status, "alerts": alerts,
                                    "commonLabels": {"alertname": "Try", "namespace": NAMESPACE}}))
        return run("amtool", "template", "render",
                   "--template.glob=monitoring/compose/sidecar.tmpl",
                   f"--template.data={data}",
                   '--template.text={{ template "sidecar.slack.text" . }}')


def fields(query):
    return {"expr": query["expr"].replace("$namespace", NAMESPACE).replace("$job", JOB)
            .replace("$pod", ".*").replace("$pushing", ".*").replace("$__rate_interval", "1m"),
            "legend": query["legendFormat"]}


def promised(message, title, color, status, runbook):
    (attachment,) = message["attachments"]
    lines = attachment["text"].strip().split("\n")
    expected = [
        "*The sidecar found its state damaged and started from zero*",
        f"Status: {status}",
        "Severity: critical",
        f"Pod: {POD}",
        "Value: 1 state files set aside",
        f"{NAMESPACE}/{POD}: the state file could not be trusted and was set aside. Counters began "
        "again at 0 within the last hour.",
        f"<{runbook}|Runbook>",
    ]
    check(attachment["title"] == title, f"title {attachment['title']!r}, not {title!r}")
    check(attachment["title_link"] == runbook, f"link {attachment['title_link']!r}")
    check(attachment["color"] == color, f"color {attachment['color']!r}")
    check(lines == expected, f"the text is\n{lines}\nnot\n{expected}")


class Written(TestCase):
    """Rules and dashboard as they are written."""

    def test_written_rules(self):
        """Rules are right by promtool; every alert is complete, explained and tested both ways."""
        run(sys.executable, "monitoring/generate.py", "--check")
        run("promtool", "check", "rules", "--lint=all", "chart/files/alerts.yaml")
        run("promtool", "test", "rules", "monitoring/alerts-test.yaml")
        run("amtool", "check-config", "monitoring/compose/alertmanager.yaml")
        runbook = (ROOT / "docs/runbook.md").read_text()
        tests = (ROOT / "monitoring/alerts-test.yaml").read_text()
        alerts = monitoring_lab.rules("alert")
        for alert in alerts:
            name = alert["alert"]
            severities = ("none",) if name == "MetricsWatchdog" else ("high", "critical")
            check(alert["labels"]["severity"] in severities, f"{name}: severity")
            check(set(alert["annotations"]) == ANNOTATIONS, f"{name}: annotations")
            check(alert["annotations"]["runbook_url"].endswith("#" + name.lower()),
                  f"{name}: runbook")
            check(f"\n## {name}\n" in runbook, f"{name} is not in docs/runbook.md")
            firing = f'ALERTS{{alertname="{name}", alertstate="firing"'
            groups = [group for group in yaml.safe_load(tests)["tests"]
                      if firing in yaml.safe_dump(group, width=1000)]
            check(groups, f"{name} fires in no test")
            # It is silent at its test's first moment and at the last.
            check(all(firing not in str(group["promql_expr_test"][at]["exp_samples"])
                      for group in groups for at in (0, -1)), f"{name} resolves in no test")
        for name in re.findall(r"\n## (\w+)\n", runbook):
            check(name in {alert["alert"] for alert in alerts},
                  f"the runbook knows {name}, no rule does")
        print(f"  {len(alerts)} alerts, {len(monitoring_lab.rules('record'))} recording rules")

    def test_long_messages(self):
        """However many pods an alert has, its message names ten and counts the rest."""
        for firing, resolved, ends in (
                (1, 0, []), (10, 0, []), (11, 0, ["and 1 more firing"]),
                (1000, 0, ["and 990 more firing"]),
                (0, 1000, ["and 990 more resolved"]),
                (13, 12, ["and 3 more firing", "and 2 more resolved"])):
            text = message(firing, resolved)
            check(re.findall(r"(?m)^and .*$", text) == ends,
                  f"{firing}, {resolved}: ends with {text[-300:]}")
            pods = [int(pod) for pod in re.findall(r"(?m)^Pod: my-app-(\d+)$", text)]
            check(pods == [*range(min(firing, 10)), *range(firing, firing + min(resolved, 10))],
                  f"{firing} firing, {resolved} resolved: names {pods}")
            check(len(text) <= 20_000, f"{firing} firing, {resolved} resolved: {len(text)} bytes")
        print(f"  1,000 pods are {len(message(1000, 0))} bytes")

    def test_routed(self):
        """critical goes to Slack; by the other values high to its channel, and the dead-man's
        switch to what listens for it."""
        more = yaml.safe_load((ROOT / "monitoring/kube-prometheus-stack-more.yaml").read_text())
        more = more["alertmanager"]["config"]
        config = monitoring_lab.values()["alertmanager"]["config"]
        config["templates"] = []
        extended = {**config, "receivers": more["receivers"],
                    "route": {**config["route"], **more["route"]}}
        for receiver in extended["receivers"]:
            for webhook in receiver.get("webhook_configs", []):
                # Debian's Alertmanager is older than `url_file`.
                check(webhook.pop("url_file").endswith("/heartbeat"), "the heartbeat's address")
                webhook["url"] = "http://127.0.0.1/"
        for which, others in ((config, ("null", "null")), (extended, ("slack-high", "heartbeat"))):
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                yaml.safe_dump(which, file)
                file.flush()
                run("amtool", "check-config", file.name)
                for receiver, labels in (
                        ("slack", ["severity=critical", "alertname=MetricsTargetDown"]),
                        (others[0], ["severity=high", "alertname=ContainerRestarted"]),
                        (others[1], ["severity=none", "alertname=MetricsWatchdog"]),
                        ("null", ["severity=none", "alertname=Watchdog"])):
                    run("amtool", "config", "routes", "test", f"--config.file={file.name}",
                        f"--verify.receivers={receiver}", *labels)
        print("  each severity goes where the values say")

    def test_panels(self):
        """Every panel says what it shows, none needs a recorded series, and each metric that an
        alert reads is in one."""
        board = json.loads((ROOT / "chart/files/dashboard.json").read_text())
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        queries = [target["expr"] for panel in panels for target in panel["targets"]]
        for panel in panels:
            check(panel["description"].endswith("."), f"{panel['title']} has no description")
        recorded = {rule["record"]: rule["expr"] for rule in monitoring_lab.rules("record")}
        for query in queries:
            used = [name for name in recorded if name in query]
            check(not used, f"a panel needs the recorded {used}: {query}")
            windows = set(re.findall(r"\}\[(.+?)\]", query))
            windows -= {"$__rate_interval", "30m", "5m", "1h", "1d", "10d"}
            check(not windows, f"a panel rates over {windows}: {query}")
        names = {variable["name"] for variable in board["templating"]["list"]}
        check({"datasource", "namespace", "job", "pod", "pushing"} <= names, f"variables: {names}")
        shown = set(re.findall(r"[a-z][a-z0-9_]{5,}", " ".join(queries)))
        # Which pods there are is no number.
        known = shown | {"kube_pod_container_info", "kube_pod_init_container_info",
                         "kube_pod_status_phase", "kube_pod_deletion_timestamp"}
        for alert in monitoring_lab.rules("alert"):
            text = alert["expr"]
            while used := [name for name in recorded if name in text]:
                for name in used:
                    text = text.replace(name, recorded[name])
            read = set(re.findall(
                r"\b((?:metrics_sidecar|process|app|http|kube|container|job(?!_name))_\w+)", text))
            unseen = {name for name in read if not any(
                name == other or other == name + "_bucket" for other in known)}
            check(not unseen, f"{alert['alert']} reads {unseen}, no panel does")
        print(f"  {len(panels)} panels, {len(queries)} queries")

    def test_native_latency(self):
        """Where the rules make latency a native histogram, the alerts' share of slow requests is
        right, and probes are no part of it."""
        rules = json.loads((ROOT / "chart/files/rules.json").read_text())
        (family,) = [family for family in rules["families"]
                     if family["name"] == "http_request_duration_seconds"]
        del family["buckets"]
        family["native"] = True
        event = "http.request.duration:{}|d|#endpoint:{}\n"
        second = 3 * event.format(0.1, "/") + event.format(0.4, "/") + 9 * event.format(
            0.001, "/health")
        with Pair() as pair, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            pair.rules = pair.path("rules.json")
            pathlib.Path(pair.rules).write_text(json.dumps(rules))
            pair.start_sidecar()
            client.connect(pair.path("statsd.sock"))
            client.send(second.encode())
            shutil.copy(ROOT / "chart/files/alerts.yaml", pair.folder)
            config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                      "rule_files": ["alerts.yaml"],
                      "scrape_configs": [{"job_name": JOB, "static_configs": [
                          {"targets": [f"127.0.0.1:{pair.metrics}"]}]}]}
            with Prometheus(None, pair.folder, "--enable-feature=native-histograms",
                            config=yaml.safe_dump(config)) as server:
                def measured():
                    client.send(second.encode())
                    time.sleep(0.2)
                    # What Prometheus saw first may end in the middle of a second.
                    found = server.value("job:http_slow:ratio_rate5m")
                    return found is not None and abs(found - 0.25) < 0.02
                wait_for(measured, "a quarter of the requests to be slow", PATIENCE)
                buckets = server.query("http_request_duration_seconds_bucket")
                check(not buckets, "there are classic buckets, too")
                print("  slow by a native histogram: "
                      f"{server.value('job:http_slow:ratio_rate5m'):.3f} of the users' requests")

    def test_told_metrics(self):
        """Every metric of the sidecar's own that a rule or a panel reads is one that it has."""
        text = "".join((ROOT / name).read_text() for name in (
            "chart/files/alerts.yaml", "chart/files/dashboard.json"))
        asked = set(re.findall(r"(?<![:\w])((?:metrics_sidecar|process)_[a-z_]+)(?![:\w])", text))
        with Pair() as pair:
            # What only some flags bring is there as well.
            pair.start_sidecar(*monitoring_lab.FLAGS)
            page = pair.get(pair.metrics, "/metrics").decode()
        known = set(re.findall(r"# TYPE (\w+) ", page))
        check(not asked - known, f"the sidecar has no {sorted(asked - known)}")
        print(f"  {len(asked)} metrics of the sidecar's own, each on its page")


class Lived(TestCase):
    """A pair under load, with a Prometheus, an Alertmanager and Slack's stand-in."""

    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())

    def test_1_dashboard(self):
        """Each query of the dashboard has numbers, and the labels that its legend names."""
        panels = json.loads((ROOT / "chart/files/dashboard.json").read_text())["panels"]
        targets = [(panel["title"], fields(target))
                   for panel in panels for target in panel.get("targets", [])]

        def empty(target):
            numbers = [labels for labels,
                       value in self.lab.query(target["expr"]) if not math.isnan(value)]
            return not numbers or any(
                label not in labels for labels in numbers
                for label in re.findall(r"{{(\w+)}}", target["legend"]))

        waiting, end = targets, time.monotonic() + PATIENCE
        while waiting and time.monotonic() < end:
            waiting = [(title, target) for title, target in waiting if empty(target)]
            time.sleep(1)
        check(not waiting, "queries without an answer:\n" + "\n".join(
            f"  {title}: {target['expr']}" for title, target in waiting))
        of_cluster = sorted({title for title, target in targets
                             if re.search(r"kube_|pod_container:", target["expr"])})
        print(f"  {len(targets)} queries in {sum('targets' in panel for panel in panels)} panels "
              f"have "
              "numbers")
        print(f"  of a made-up cluster, since they need a real one: {', '.join(of_cluster)}")
        recorded = {rule["record"] for rule in monitoring_lab.rules("record")}
        names = {labels["__name__"] for labels, _ in self.lab.query('{__name__=~".+:.+"}')}
        check(recorded == names, f"recorded without an answer: {recorded - names}")
        check(not self.lab.firing(), f"alerts fire while all is well: {self.lab.firing()}")

    def test_2_series(self):
        """What a pod costs is what the guide says, without what pushes bring."""
        value = self.lab.prometheus.value
        every = {rule["record"] for rule in monitoring_lab.rules("record")}
        wait_for(lambda: {labels["__name__"] for labels, _ in self.lab.query(
            '{__name__=~".+:.+"}')} == every, "every recorded series", PATIENCE)
        pushes = value(f'count({{__name__=~"metrics_sidecar_push.+", job="{JOB}"}})')
        pushed = value('count({job="backup"})')
        jobs = value(f'count({{__name__=~"job_[^:]+", job="{JOB}"}})')
        samples = value(f'scrape_samples_scraped{{job="{JOB}"}}') - pushes - pushed - jobs
        own = value(f'count({{__name__=~"(metrics_sidecar|process)_.+", job="{JOB}"}})') - pushes
        buckets = self.lab.prometheus.value(
            f'count(http_request_duration_seconds_bucket{{job="{JOB}"}})')
        check(self.lab.query(f'{{__name__=~".+_created", job="{JOB}"}}') == [],
              "start times are series")
        summed = self.lab.prometheus.value('count({__name__=~".+:.+"})')
        service = self.lab.prometheus.value('count({__name__=~"(job|job_.+):.+"})')
        print(f"  one pod: {samples:.0f} series a scrape, {own:.0f} of them the "
              f"sidecar's own, {buckets:.0f} latency buckets")
        print(f"  {summed:.0f} recorded series, {service:.0f} of them the service's")
        # The guide gives round figures.
        guide = (ROOT / "docs/guide.md").read_text()
        for what, found in (("series", samples), ("series per service", service)):
            told = re.search(r"\*\*(\d+) " + what + r"\*\*", guide)
            check(told and abs(int(told[1]) - found) <= 0.15 * int(told[1]),
                  f"docs/guide.md tells another number of {what} than {found:.0f}")

    def test_3_slack(self):
        """An alert fires and resolves under load; Slack gets what the template promises."""
        check(self.lab.messages() == [], "Slack has messages before any alert")
        answered = self.lab.load.answered
        self.lab.restart_sidecar(damage=True)
        wait_for(lambda: "MetricsStateReset" in self.lab.firing(), "the alert to fire", PATIENCE)
        wait_for(lambda: len(self.lab.messages()) == 1, "the first message", PATIENCE)
        self.lab.restart_sidecar(damage=False)
        wait_for(lambda: "MetricsStateReset" not in self.lab.firing(), "the alert to resolve",
                 PATIENCE)
        wait_for(lambda: len(self.lab.messages()) == 2, "the second message", PATIENCE)
        check(self.lab.load.answered > answered + 100, "there was no load meanwhile")
        firing, resolved = self.lab.messages()
        runbook = next(rule for rule in monitoring_lab.rules("alert")
                       if rule["alert"] == "MetricsStateReset")["annotations"]["runbook_url"]
        promised(firing, "[FIRING: 1] MetricsStateReset in practica", "danger", "firing", runbook)
        promised(resolved, "[RESOLVED] MetricsStateReset in practica", "good", "resolved", runbook)
        print("  two messages:", firing["attachments"][0]["title"], "and",
              resolved["attachments"][0]["title"])
        print("    " + resolved["attachments"][0]["text"].strip().replace("\n", "\n    "))

    def test_4_made_up(self):
        """The guide's made-up alert reaches Slack."""
        guide = (ROOT / "docs/guide.md").read_text().replace("\\\n", " ")
        (command,) = re.findall(r"(amtool --alertmanager\.url=.*)$", guide, re.M)
        before = len(self.lab.messages())
        run(*shlex.split(command.replace("http://localhost:9093",
                                         f"http://127.0.0.1:{self.lab.alertmanager}")))
        wait_for(lambda: len(self.lab.messages()) > before, "the made-up alert's message", PATIENCE)
        title = self.lab.messages()[before]["attachments"][0]["title"]
        check(f"`{title}`" in guide, f"the guide promises another message than {title}")
        print(f"  {title}")


if __name__ == "__main__":
    main()
