#!/usr/bin/env python3
"""Writes what follows from other files, so that nothing is written twice; --check compares only.

  chart/files/dashboard.json                    from dashboard.py
  monitoring/kube-prometheus-stack-rules.yaml   from chart/files/alerts.yaml
  monitoring/kube-prometheus-stack-more.yaml    from monitoring/kube-prometheus-stack.yaml
  monitoring/compose/alertmanager.yaml, .tmpl   from monitoring/kube-prometheus-stack.yaml
"""

import json
import pathlib
import sys

import yaml

import dashboard

ROOT = pathlib.Path(__file__).parent.parent
HEAD = "# Written by monitoring/generate.py from {}. Do not edit.\n"


def rules():
    source = "chart/files/alerts.yaml"
    lines = (ROOT / source).read_text().splitlines()
    body = "".join(f"    {line}".rstrip() + "\n" for line in lines)
    return HEAD.format(source) + "additionalPrometheusRulesMap:\n  metrics-sidecar:\n" + body


MORE = """#
# By choice, beside the first file: alerts of severity high go to a channel of their own, and the
# dead-man's switch MetricsWatchdog to a service that tells you when it hears nothing for some
# minutes. Both addresses are in the Secret beside the first one:
#
#   kubectl -n monitoring create secret generic alertmanager-slack --from-literal=url=… \\
#     --from-literal=url-high=https://hooks.slack.com/services/… --from-literal=heartbeat=https://…
#
# Helm replaces lists, so these are whole.
"""


def more():
    """The values of the first file with a receiver for what goes nowhere there."""
    source = "monitoring/kube-prometheus-stack.yaml"
    config = yaml.safe_load((ROOT / source).read_text())["alertmanager"]["config"]
    high = json.loads(json.dumps(next(r for r in config["receivers"] if r["name"] == "slack")))
    high["name"] = "slack-high"
    (slack,) = high["slack_configs"]
    slack["api_url_file"] += "-high"
    slack["color"] = slack["color"].replace("danger", "warning")
    folder = slack["api_url_file"].rpartition("/")[0]
    heartbeat = {"name": "heartbeat", "webhook_configs": [
        {"url_file": f"{folder}/heartbeat", "send_resolved": False}]}
    routes = [{"receiver": "heartbeat", "matchers": ['alertname = "MetricsWatchdog"'],
               "group_wait": "0s", "group_interval": "1m", "repeat_interval": "1m"},
              *config["route"]["routes"],
              {"receiver": "slack-high", "matchers": ['severity = "high"']}]
    values = {"alertmanager": {"config": {
        "route": {"routes": routes}, "receivers": [*config["receivers"], high, heartbeat]}}}
    return HEAD.format(source) + MORE + yaml.safe_dump(values, sort_keys=False, width=100)


def alertmanager():
    source = "monitoring/kube-prometheus-stack.yaml"
    values = yaml.safe_load((ROOT / source).read_text())["alertmanager"]
    config = values["config"]
    for receiver in config["receivers"]:
        for slack in receiver.get("slack_configs", []):
            slack["api_url_file"] = "/etc/alertmanager/slack-url"
    config["templates"] = ["/etc/alertmanager/*.tmpl"]
    text = HEAD.format(source) + yaml.safe_dump(config, sort_keys=False, width=100)
    return text, values["templateFiles"]["sidecar.tmpl"] + "\n"


def main():
    config, template = alertmanager()
    files = {
        "chart/files/dashboard.json": json.dumps(dashboard.dashboard(), indent=2) + "\n",
        "monitoring/kube-prometheus-stack-rules.yaml": rules(),
        "monitoring/kube-prometheus-stack-more.yaml": more(),
        "monitoring/compose/alertmanager.yaml": config,
        "monitoring/compose/sidecar.tmpl": template,
        "monitoring/compose/slack-url": "http://fake-slack:8080/",
    }
    stale = []
    for name, text in files.items():
        path = ROOT / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text)
    if stale and "--check" in sys.argv:
        sys.exit(f"not what monitoring/generate.py writes: {', '.join(stale)}")


if __name__ == "__main__":
    main()
