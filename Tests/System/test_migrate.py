#!/usr/bin/env python3
"""The clients in docs/migrate.md push to what they pushed to before, and to the sidecar: both pages
are what the document shows, and mean the same.

    Tests/System/run migrate
    Tests/System/run migrate AGGREGATION_GATEWAY=…   a program that takes the address to listen on
"""
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from unittest import TestCase, main

import prometheus_client  # noqa: F401  what the clients in the document need

from support import ROOT, setting
from support.checks import check, free_port, wait_for
from support.sidecar import Sidecar

SECTIONS = {
    "pushgateway": (setting("PUSHGATEWAY", shutil.which("prometheus-pushgateway") or ""),
                    "--web.listen-address={}", ["--push"]),
    "aggregation": (setting("AGGREGATION_GATEWAY", ""), "{}",
                    ["--push", "--push-aggregate", "--push-gauges", "sum"]),
}


def section(name):
    """The client of a section, and what the document shows before and after."""
    text = (ROOT / "docs/migrate.md").read_text()
    match = re.search(rf"<!-- run {name} -->\n```python\n(.*?)```\n.*?\n```\n(.*?)```\n"
                      r".*?\n```\n(.*?)```\n", text, re.DOTALL)
    check(match, f"docs/migrate.md has nothing to run for {name}")
    return match[1], match[2], match[3]


def page(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return None


def shown(text, families):
    """The lines of some families as the document has them."""
    return sorted(line for line in text.splitlines() if not line.startswith("#")
                  and "_created" not in line and re.match(rf"({families})[_{{ ]", line))


def meaning(lines):
    """Samples, whatever way numbers are written in; an empty label is none."""
    found = {}
    for line in lines:
        name, labels, value = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line).groups()
        labels = re.findall(r'(\w+)="([^"]+)"', labels)
        found[name, tuple(sorted((n, str(float(v)) if n == "le" else v) for n, v in labels))] = (
            float(value))
    return found


class Migrate(TestCase):
    def pushed(self, name, families):
        client, before, after = section(name)
        check(meaning(before.splitlines()) == meaning(after.splitlines()), "the document differs")
        program, address, flags = SECTIONS[name]
        with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(client)
            file.flush()
            with Sidecar(*flags) as sidecar:
                subprocess.run([sys.executable, file.name, f"127.0.0.1:{sidecar.metrics}"],
                               check=True)
                ours = shown(sidecar.page(), families)
            check(ours == sorted(after.splitlines()), f"after: {ours}")
            if not program:
                return print(f"  NOT RUN: {name} itself, which is not installed")
            port = free_port()
            server = subprocess.Popen([program, address.format(f"127.0.0.1:{port}")],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                wait_for(lambda: page(port) is not None, name)
                subprocess.run([sys.executable, file.name, f"127.0.0.1:{port}"], check=True)
                theirs = shown(page(port), families)
            finally:
                server.terminate()
                server.wait()
            check(theirs == sorted(before.splitlines()), f"before: {theirs}")
        print(f"  {len(ours)} samples of {name} are the same, before and after")

    def test_pushgateway(self):
        """From Pushgateway: the pages of the same jobs mean the same."""
        self.pushed("pushgateway", "backup")

    def test_aggregation(self):
        """From prom-aggregation-gateway: the same functions add up to the same."""
        self.pushed("aggregation", "orders?|workers")


if __name__ == "__main__":
    main()
