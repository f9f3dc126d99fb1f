"""A pair under load, a real Prometheus with the real rules, a real Alertmanager with the real
configuration, and a Slack that is not one: all on loopback, in a folder that goes away."""
import http.client
import http.server
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

import yaml

from support import PROGRAMS, ROOT
from support.checks import check, free_port, wait_for
from support.pair import Pair
from support.prometheus import Prometheus

# What brings every metric that a panel reads.
FLAGS = ["--push", "--supervise", "--statsd-udp", "127.0.0.1:0"]
NAMESPACE, JOB, POD = "practica", "my-app", "my-app-0"


def values():
    return yaml.safe_load((ROOT / "monitoring/kube-prometheus-stack.yaml").read_text())


def rules(kind):
    groups = yaml.safe_load((ROOT / "chart/files/alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


class GentleLoad(threading.Thread):
    """A few hundred requests a second, some of them for what is not there."""

    PATHS = ["/", "/health", "/bye", "/health", "/nothing"]

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.stopping, self.answered = port, threading.Event(), 0

    def run(self):
        connection = None
        while not self.stopping.wait(0.005):
            try:
                connection = connection or http.client.HTTPConnection(
                    "127.0.0.1", self.port, timeout=5)
                connection.request("GET", self.PATHS[self.answered % len(self.PATHS)])
                connection.getresponse().read()
                self.answered += 1
            except (OSError, http.client.HTTPException):
                connection = None


class MadeUpCluster(http.server.ThreadingHTTPServer):
    """What kube-state-metrics and the kubelet would say of the pod, under their names."""

    def __init__(self):
        self.started = time.time()
        super().__init__(("127.0.0.1", free_port()), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.server.page().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def page(self):
        seconds = time.time() - self.started
        pod = f'namespace="{NAMESPACE}",pod="{POD}"'
        lines = [f'kube_pod_status_phase{{{pod},phase="Running"}} 1']
        for kind, container, cpu in (("", "app", 0.04), ("init_", "metrics-sidecar", 0.01)):
            of = f'{pod},container="{container}"'
            prefix = f"kube_pod_{kind}container"
            lines += [
                f"{prefix}_info{{{of}}} 1",
                f"{prefix}_status_restarts_total{{{of}}} 0",
                f'{prefix}_resource_requests{{{of},resource="cpu"}} 0.05',
                f'{prefix}_resource_limits{{{of},resource="cpu"}} 0.5',
                f'{prefix}_resource_requests{{{of},resource="memory"}} 16777216',
                f'{prefix}_resource_limits{{{of},resource="memory"}} 67108864',
                f"container_memory_working_set_bytes{{{of}}} 4194304",
                f"container_cpu_usage_seconds_total{{{of}}} {cpu * seconds}",
                f"container_cpu_cfs_periods_total{{{of}}} {int(10 * seconds)}",
                f"container_cpu_cfs_throttled_periods_total{{{of}}} 0",
            ]
        for name, value in (("status_current_replicas", 1), ("status_desired_replicas", 1),
                            ("spec_min_replicas", 1), ("spec_max_replicas", 5)):
            lines.append(f'kube_horizontalpodautoscaler_{name}{{namespace="{NAMESPACE}",'
                         f'horizontalpodautoscaler="{JOB}"}} {value}')
        return "\n".join(lines + self.jobs()) + "\n"

    def jobs(self):
        """A run of a CronJob that took a minute, another that failed long ago, and one that goes
        on."""
        of, done = f'namespace="{NAMESPACE}"', f'namespace="{NAMESPACE}",job_name="backup-1"'
        return [
            f'kube_job_owner{{{done},owner_kind="CronJob",owner_name="backup"}} 1',
            f"kube_job_status_start_time{{{done}}} {self.started - 3600}",
            f"kube_job_status_completion_time{{{done}}} {self.started - 3540}",
            f'kube_job_failed{{{of},job_name="backup-0",condition="true"}} 1',
            f'kube_pod_owner{{{of},pod="backup-2-x",owner_kind="Job",owner_name="backup-2"}} 1',
            f'kube_pod_init_container_info{{{of},pod="backup-2-x",container="metrics-sidecar"}} 1',
            f'kube_pod_status_phase{{{of},pod="backup-2-x",phase="Running"}} 1',
            f'kube_pod_deletion_timestamp{{{of},pod="backup-2-x"}} {self.started}',
            f'kube_pod_start_time{{{of},pod="backup-2-x"}} {self.started}',
        ]


class Lab:
    def __init__(self, programs=PROGRAMS):
        self.pair = Pair(programs)
        self.processes = []
        self.prometheus = None
        self.alertmanager, self.slack = free_port(), free_port()

    def __enter__(self):
        self.pair.start_sidecar(*FLAGS)
        self.push()
        self.report(int(time.time()) - 60)
        self.pair.start_app()
        self.cluster = MadeUpCluster()
        self.load = GentleLoad(self.pair.api)
        self.load.start()
        self.run(sys.executable, ROOT / "monitoring/compose/fake_slack.py",
                 f"127.0.0.1:{self.slack}")
        self.start_alertmanager()
        self.start_prometheus()
        return self

    def __exit__(self, *_):
        self.load.stopping.set()
        self.cluster.shutdown()
        if self.prometheus:
            self.prometheus.__exit__()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(20)
        # A supervisor ends its worker; killed, it would leave the folder to one that still writes.
        self.pair.sidecar.terminate()
        self.pair.sidecar.wait(60)
        self.pair.__exit__()

    def report(self, second):
        """What a job reports that has run for the second time, as `metrics-sidecar run` does."""
        lines = ["job.runs:1|c|#job_name:backup,result:success",
                 "job.duration_seconds:60|d|#job_name:backup", "job.exit_code:0|g|#job_name:backup",
                 "job.max_age_seconds:90000|g|#job_name:backup",
                 "job.max_duration_seconds:600|g|#job_name:backup",
                 f"job.last_success_timestamp_seconds:{second}|g|#job_name:backup"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.connect(self.pair.path("statsd.sock"))
            client.send("\n".join(lines).encode())

    def push(self):
        """A job's push, for the panels of jobs."""
        connection = http.client.HTTPConnection("127.0.0.1", self.pair.metrics, timeout=10)
        connection.request("PUT", "/metrics/job/backup", b"backup_bytes 1\n")
        status = connection.getresponse().status
        connection.close()
        check(status == 200, f"the push is answered {status}")

    def run(self, *command):
        self.processes.append(subprocess.Popen(
            [str(part) for part in command], stdout=self.pair.log, stderr=self.pair.log))

    def start_alertmanager(self):
        """The configuration of the values; only the places of its two files are others here."""
        found = values()["alertmanager"]
        config = found["config"]
        for receiver in config["receivers"]:
            for slack in receiver.get("slack_configs", []):
                slack["api_url_file"] = self.pair.path("slack-url")
        config["templates"] = [self.pair.path("*.tmpl")]
        files = {"slack-url": f"http://127.0.0.1:{self.slack}/",
                 "alertmanager.yaml": yaml.safe_dump(config), **found["templateFiles"]}
        for name, text in files.items():
            pathlib.Path(self.pair.path(name)).write_text(text)
        self.run("prometheus-alertmanager", "--config.file", self.pair.path("alertmanager.yaml"),
                 "--storage.path", self.pair.path("alertmanager"), "--cluster.listen-address=",
                 "--web.listen-address", f"127.0.0.1:{self.alertmanager}")

    def start_prometheus(self):
        def target(port, **labels):
            return {"targets": [f"127.0.0.1:{port}"], "labels": labels}
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yaml"],
            "alerting": {"alertmanagers": [{"static_configs": [target(self.alertmanager)]}]},
            "scrape_configs": [
                {"job_name": JOB, "honor_labels": True,
                 "static_configs": [target(self.pair.metrics, namespace=NAMESPACE, pod=POD)]},
                {"job_name": "made-up-cluster",
                 "static_configs": [target(self.cluster.server_port)]},
            ],
        }
        shutil.copy(ROOT / "chart/files/alerts.yaml", self.pair.folder)
        self.prometheus = Prometheus(None, self.pair.folder, config=yaml.safe_dump(config))
        wait_for(lambda: len(self.query("up == 1")) == 2, "both targets to be up", 300)
        wait_for(lambda: self.query("job_last_success_timestamp_seconds"), "a job's report", 300)
        self.report(int(time.time()))

    def get_json(self, port, path):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = json.loads(answer.read())
            return body if answer.status == 200 else None
        except (OSError, ValueError):
            return None
        finally:
            connection.close()

    def query(self, expression):
        return self.prometheus.query(expression)

    def firing(self):
        found = self.query('ALERTS{alertstate="firing", severity!="none"}')
        return {labels["alertname"] for labels, _ in found}

    def messages(self):
        return self.get_json(self.slack, "/") or []

    def restart_sidecar(self, damage):
        # Killed, a supervisor would leave the sockets to its worker for a moment.
        self.pair.sidecar.terminate()
        self.pair.sidecar.wait(60)
        if damage:
            pathlib.Path(self.pair.path("state")).write_bytes(b"no state file" * 1000)
        self.pair.start_sidecar(*FLAGS)
