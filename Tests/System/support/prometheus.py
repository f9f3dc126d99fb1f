"""Debian's Prometheus, scraping one port: a check that cannot have it fails."""
import http.client
import json
import os
import shutil
import subprocess
import urllib.parse

from support.checks import check, free_port


class Prometheus:
    """Scrapes the port `target` of this machine each second, or does what `config` says, with its
    files in `folder`. It runs there, so that its pages show no path of this machine."""

    def __init__(self, target, folder, *flags, config=None):
        check(shutil.which("prometheus"),
              "prometheus is not installed: Debian's package prometheus")
        self.port = free_port()
        if config is None:
            config = ("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: pair\n"
                      f"  static_configs: [{{targets: ['127.0.0.1:{target}']}}]\n")
        with open(os.path.join(folder, "prometheus.yml"), "w") as file:
            file.write(config)
        with open(os.path.join(folder, "prometheus.log"), "ab") as log:
            self.process = subprocess.Popen(
                ["prometheus", "--config.file", "prometheus.yml", "--storage.tsdb.path",
                 f"data-{self.port}", "--web.listen-address", f"127.0.0.1:{self.port}", *flags],
                stdout=log, stderr=log, cwd=folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ask(self, path):
        """The data of its API's answer to GET /api/v1/PATH, or None while it cannot answer."""
        check(self.process.poll() is None, "prometheus has ended; its log is prometheus.log")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/api/v1/" + path)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            return body["data"] if answer.status == 200 else None
        except (OSError, ValueError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def query(self, expression):
        """What it answers to an instant query: [(labels, value)]; nothing while it cannot
        answer."""
        found = self.ask("query?query=" + urllib.parse.quote(expression))
        return [(each["metric"], float(each["value"][1]))
                for each in found["result"]] if found else []

    def value(self, expression):
        """The value of its one series, or None."""
        found = self.query(expression)
        return found[0][1] if found else None
