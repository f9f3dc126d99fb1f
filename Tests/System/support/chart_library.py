"""chart/charts/metrics-sidecar, the library chart: its values.yaml ends with what the chart's own
says of `sidecar`, `podMonitor` and `prometheusOperator`, so that each default is written once.
"""
import re

import yaml

from support.chart_values import CHART

LIBRARY = CHART / "charts/metrics-sidecar"
# Keys that the library's file has by its own words, or that mean resources of the chart.
ITS_OWN = {"sidecar": {"rules", "push"}, "podMonitor": set(), "prometheusOperator": set()}
WORDS = {
    "Let Prometheus scrape the pods themselves, instead of `serviceMonitor`. auto: for a Job or a"
    "\n  # CronJob, where the cluster knows PodMonitors and `serviceMonitor` is off.\n"
    "  enabled: auto": "Create a PodMonitor for the pods.\n  enabled: true",
    "numeric addresses, localhost and\n# the hosts of `ingress` and `httpRoute`; `*`":
        "numeric addresses and\n# localhost; `*`",
    "empty: the release's full name.": "empty: the PodMonitor's name.",
    "empty: that of the pods, which it selects from anywhere.": "empty: that of the pods.",
}
MARK = "# From here on as in the chart"


def section(name):
    """The lines of a key of the chart's values.yaml, less those that the library has itself."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    start = lines.index(f"{name}:") + 1
    end = next((number for number in range(start, len(lines))
                if lines[number] and not lines[number].startswith(" ")), len(lines))
    kept, comment, skipping = [], [], False
    for line in lines[start:end]:
        if line.startswith("  #"):
            comment.append(line)
        elif match := re.match(r"  ([A-Za-z]+):", line):
            skipping = match[1] in ITS_OWN[name]
            kept += [] if skipping else [*comment, line]
            comment = []
        elif not skipping and line:
            kept.append(line)
    return kept


def values():
    head, mark, rest = (LIBRARY / "values.yaml").read_text().partition(MARK)
    lines = [line[2:] for line in section("sidecar")]
    lines += ["", "monitor:", *section("podMonitor"), "", "prometheusOperator:",
              *section("prometheusOperator")]
    text = "\n".join(lines) + "\n"
    for old, new in WORDS.items():
        text = text.replace(old, new)
    return head + mark + rest.partition("\n")[0] + "\n" + text


def defaults():
    return yaml.safe_load(values())
