#!/usr/bin/env python3
"""Takes docs/pictures/*.png of the running pair, as a reader would see it. Needs chromium.

    .ci/python .ci/pictures.py --programs dist/linux-amd64 [--seconds 150]
"""
import argparse
import subprocess
import time
import urllib.parse

from checks import check
from monitoring_lab import JOB, ROOT, Lab

FOLDER = ROOT / "docs/pictures"


def graph(lab, *expressions):
    """A page of Prometheus' own graphs over the last minutes."""
    panels = "&".join(
        f"g{index}.expr={urllib.parse.quote(expression)}&g{index}.tab=0&g{index}.range_input=2m"
        for index, expression in enumerate(expressions))
    return f"http://127.0.0.1:{lab.prometheus.port}/graph?{panels}"


def take(lab, name, url, width=1200, height=850):
    target = FOLDER / f"{name}.png"
    target.unlink(missing_ok=True)
    subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--hide-scrollbars", "--disable-gpu",
         f"--user-data-dir={lab.pair.path('chromium')}", f"--window-size={width},{height}",
         "--virtual-time-budget=15000", f"--screenshot={target}", url],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120, check=False)
    check(target.exists(), f"chromium took no picture of {url}")
    print(f"  {target.relative_to(ROOT)}: {target.stat().st_size} bytes", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", default="dist/linux-amd64")
    parser.add_argument("--seconds", type=int, default=150, help="of load before the pictures")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Lab(options.programs) as lab:
        time.sleep(options.seconds)
        take(lab, "prometheus-calls", graph(lab, f'server_requests_total{{job="{JOB}"}}'))
        take(lab, "prometheus-rates", graph(
            lab, f'sum by (endpoint) (rate(http_requests_total{{job="{JOB}"}}[1m]))'))
        lab.restart_sidecar(damage=True)
        for _ in range(60):
            if lab.firing() and lab.get_json(lab.alertmanager, "/api/v2/alerts"):
                break
            time.sleep(1)
        # Debian's Prometheus has the old pages, under /classic.
        take(lab, "prometheus-alerts", f"http://127.0.0.1:{lab.prometheus.port}/classic/alerts",
             height=900)


if __name__ == "__main__":
    main()
