#!/usr/bin/env python3
"""Writes what follows from other files, so that nothing is written twice; --check compares only.

  chart/files/dashboard.json                    from dashboard.py
  monitoring/kube-prometheus-stack-rules.yaml   from chart/files/alerts.yaml
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
