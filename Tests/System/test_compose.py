#!/usr/bin/env python3
"""compose.yaml brought up for real: counts through kills, down and up; an alert as far as Slack's
stand-in.

    Tests/System/run compose [KILLS=3]

CONTAINER_ENGINE and CONTAINER_BUILD are as test_images.py has them; images that it built are taken.
Everything runs in a network of its own (no port of this machine is touched) with the containers on
it, by an override file. Images that cannot be pulled here have stand-ins: Debian's Prometheus,
Alertmanager and Python on the paths that the official images have. Grafana has none: of it only
the files are read. Where the engine can start nothing, a line NOT RUN says so.
"""
import fcntl
import json
import os
import pathlib
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from unittest import TestCase, main

import yaml

from support import ROOT, setting
from support.checks import check, settle, wait_for
from support.containers import PATIENCE, Engine, must, not_run, run, say
from support.pair import Load, Pair, listening

PROJECT = "verifycompose"
KILLS = setting("KILLS", 3)
PATHS = [b"/", b"/bye"]
API, METRICS, PROMETHEUS, ALERTMANAGER, SLACK = 8081, 8000, 9090, 9093, 8080
STANDS_IN = {
    "prometheus": ["/usr/bin/prometheus", "--config.file=/etc/prometheus/debian.yml",
                   "--storage.tsdb.path=/tmp/prometheus"],
    "alertmanager": ["/usr/bin/prometheus-alertmanager", "--storage.path=/tmp/alertmanager",
                     "--config.file=/etc/alertmanager/alertmanager.yml",
                     "--cluster.listen-address="],
    "fake-slack": None,
}


def own_network():
    """Starts this script again where nothing but a loopback exists. Where that may not be, goes
    on."""
    if os.environ.get("VERIFY_COMPOSE_NETWORK"):
        with socket.socket() as s:  # ip link set lo up
            request = bytearray(struct.pack("16sh14x", b"lo", 0x1 | 0x40))
            fcntl.ioctl(s, 0x8914, request)
        return
    os.environ["VERIFY_COMPOSE_NETWORK"] = "own"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0:
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    print("  no network of its own: the ports of compose.yaml have to be free", flush=True)


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return None


def query(expression):
    text = get(PROMETHEUS, "/api/v1/query?query=" + urllib.parse.quote(expression))
    return json.loads(text)["data"]["result"] if text else []


class Project:
    def __init__(self, engine, work):
        self.engine = engine
        override = {"services": {}}
        names = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        hosts = [f"{name}:127.0.0.1" for name in names]
        for name in names:
            if name != "grafana":
                override["services"][name] = {"network_mode": "host", "extra_hosts": hosts}
        for name, command in STANDS_IN.items():
            service = override["services"][name]
            service.update(image="localhost/verify-debian", pull_policy="never",
                           volumes=["/usr:/usr:ro", "/etc/alternatives:/etc/alternatives:ro"])
            if command:
                service.update(entrypoint=command[:1], command=command[1:])
        config = yaml.safe_load((ROOT / "monitoring/compose/prometheus.yaml").read_text())
        # Debian's Prometheus is a 2, which does not know these.
        for newer in ("scrape_native_histograms", "scrape_protocols"):
            config["global"].pop(newer)
        pathlib.Path(work, "prometheus.yaml").write_text(yaml.safe_dump(config))
        override["services"]["prometheus"]["volumes"].append(
            f"{work}/prometheus.yaml:/etc/prometheus/debian.yml:ro")
        path = pathlib.Path(work, "override.yaml")
        path.write_text(yaml.safe_dump(override))
        if engine.docker:
            self.command = [*engine.run, "compose"]
        else:
            podman = pathlib.Path(work, "podman")
            podman.write_text(
                f'#!/bin/sh\nexec {shlex.join(map(os.path.abspath, engine.run))} "$@"\n'
                              if "/" in engine.run[0] else
                              f'#!/bin/sh\nexec {shlex.join(engine.run)} "$@"\n')
            podman.chmod(0o755)
            beside = pathlib.Path(sys.executable).parent / "podman-compose"
            self.command = [str(beside) if beside.exists() else "podman-compose", "--in-pod",
                            "false",
                            "--podman-path", str(podman)]
        self.command += ["-p", PROJECT, "-f", str(ROOT / "compose.yaml"), "-f", str(path)]

    def __call__(self, *arguments):
        return must(*self.command, *arguments)

    def container(self, service):
        for sign in "_-":
            name = f"{PROJECT}{sign}{service}{sign}1"
            if self.engine.call("inspect", "--type", "container", name).returncode == 0:
                return name
        raise AssertionError(f"no container of {service}")

    def inspect(self, service, form):
        text = must(*self.engine.run, "inspect", "--format", form, self.container(service))
        return text.strip().splitlines()[-1]


class Numbers(Pair):
    """What the pair in the containers says, on compose.yaml's ports."""

    def __init__(self):
        super().__init__("")
        self.api, self.metrics = API, METRICS


def counted(pair):
    values = pair.values()
    return values.get("main_requests_total", 0) + values.get("bye_request_total", 0)


def up_and_counting(pair):
    wait_for(lambda: (get(METRICS, "/-/ready") is not None) and listening(API), "the pair",
             PATIENCE)


def stand_in(engine, work):
    """An empty Debian root; its /usr is mounted."""
    folder = pathlib.Path(work, "debian")
    root = folder / "root"
    for name in ("bin", "sbin", "lib", "lib64"):
        root.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in ("usr", "etc/alternatives", "tmp"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY root /\n")
    must(*engine.build, "-f", folder / "Dockerfile", "-t", "localhost/verify-debian", folder)


def images(engine):
    """test_images.py's, or new ones, under the names that compose.yaml has."""
    for program in ("simple-server", "metrics-sidecar"):
        name = f"localhost/{program}:verify-amd64"
        if engine.call("image", "inspect", name).returncode != 0:
            name = engine.image(program, "linux/amd64")
        must(*engine.run, "tag", name, f"localhost/{program}:dev")


def pair_counts(compose, kills):
    compose("up", "-d", "simple-server", "metrics-sidecar")
    with Numbers() as pair:
        up_and_counting(pair)
        for service, command in (("simple-server", "simple-server"),
                                 ("metrics-sidecar", "metrics-sidecar")):
            name = compose.container(service)
            must(*compose.engine.run, "exec", name, f"/{command}", "healthcheck")
            check(compose.inspect(service, "{{.HostConfig.ReadonlyRootfs}}") == "true",
                  f"{service}: root")
            policy = compose.inspect(service, "{{.HostConfig.RestartPolicy.Name}}")
            check(policy == "unless-stopped", f"{service}: {policy}")
            pid = compose.inspect(service, "{{.State.Pid}}")
            status = pathlib.Path("/proc", pid, "status").read_text()
            check("CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status, status)
        load = Load(API, 1, paths=PATHS)
        load.start()
        restarts = 0
        for _ in range(kills):
            seen = load.answered
            wait_for(lambda: load.answered > seen + 50, "answers", PATIENCE)
            pid = int(compose.inspect("metrics-sidecar", "{{.State.Pid}}"))
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: get(METRICS, "/-/ready") is None, "the sidecar's end", PATIENCE)
            settle(lambda: get(METRICS, "/-/ready") is not None, 20)
            if get(METRICS, "/-/ready") is None:
                must(*compose.engine.run, "start", compose.container("metrics-sidecar"))
            else:
                restarts += 1
            wait_for(lambda: get(METRICS, "/-/ready") is not None, "the sidecar", PATIENCE)
        load.stopping.set()
        load.join(PATIENCE)
        settle(lambda: counted(pair) == load.answered, PATIENCE)
        check(counted(pair) == load.answered, f"{load.answered} answered, {counted(pair)} counted")
        say(f"pair: {kills} kills of the sidecar ({restarts} started again by its restart policy), "
            f"{load.answered} answered = counted")

        compose("down")
        check(not listening(API) and not listening(METRICS), "down leaves one running")
        compose("up", "-d", "simple-server", "metrics-sidecar")
        up_and_counting(pair)
        check(counted(pair) == load.answered, f"down and up: {counted(pair)} of {load.answered}")
        again = Load(API, 2, paths=PATHS)
        again.start()
        wait_for(lambda: again.answered > 50, "answers", PATIENCE)
        again.stopping.set()
        again.join(PATIENCE)
        total = load.answered + again.answered
        settle(lambda: counted(pair) == total, PATIENCE)
        check(counted(pair) == total,
              f"after down and up {total} answered, {counted(pair)} counted")
        settle(lambda: pair.values().get("app_starts_total") == 2)
        check(pair.values()["app_starts_total"] == 2, "the App's starts")
        say(f"down, up: {total} answered = counted, app_starts_total 2")


def monitored(compose):
    """A damaged state is an alert as soon as it is found, and over with the next start."""
    compose("--profile", "monitoring", "up", "-d", "prometheus", "alertmanager", "fake-slack")
    wait_for(lambda: query('up{job="my-app"} == 1'), "Prometheus to scrape the pair", PATIENCE)
    wait_for(lambda: query('server_requests_total{namespace="compose"}'), "its numbers", PATIENCE)
    wait_for(lambda: get(ALERTMANAGER, "/-/ready"), "Alertmanager", PATIENCE)
    wait_for(lambda: get(SLACK, "/") is not None, "Slack's stand-in", PATIENCE)

    def restart(damage):
        name = compose.container("metrics-sidecar")
        must(*compose.engine.run, "stop", "-t", "60", name)
        if damage:
            folder = must(*compose.engine.run, "volume", "inspect", "--format", "{{.Mountpoint}}",
                          f"{PROJECT}_state").strip().splitlines()[-1]
            state = pathlib.Path(folder, "state")
            check(state.exists(), f"no state in {os.listdir(folder)}")
            state.write_bytes(b"no state file" * 1000)
        must(*compose.engine.run, "start", name)
        wait_for(lambda: get(METRICS, "/-/ready") is not None, "the sidecar", PATIENCE)

    def titles():
        return [message["attachments"][0]["title"]
                for message in json.loads(get(SLACK, "/") or "[]")]

    restart(damage=True)
    wait_for(lambda: query('ALERTS{alertname="MetricsStateReset",alertstate="firing"}'),
             "the alert",
             PATIENCE)
    firing = "[FIRING: 1] MetricsStateReset in compose"
    wait_for(lambda: firing in titles(), firing, 2 * PATIENCE)
    restart(damage=False)
    resolved = "[RESOLVED] MetricsStateReset in compose"
    wait_for(lambda: resolved in titles(), resolved, 4 * PATIENCE)
    say(f"monitoring: Slack's stand-in has {firing!r} and {resolved!r}")


def limited():
    """Every service has limits of memory and processes, and a health check."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        lost = {"mem_limit", "pids_limit", "healthcheck", "restart"} - set(service)
        check(not lost, f"compose.yaml: {name} has no {sorted(lost)}")
    say(f"{len(services)} services, each with limits and a health check")


def grafana_files():
    """Grafana cannot be had here: its provisioning names what compose mounts."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["grafana"]
    mounted = dict(volume.split(":")[1::-1] for volume in compose["volumes"])
    provider = yaml.safe_load((ROOT / "monitoring/compose/grafana/dashboards.yaml").read_text())
    folder = provider["providers"][0]["options"]["path"]
    check(f"{folder}/metrics-sidecar.json" in mounted, f"no dashboard in {folder}")
    for source in mounted.values():
        check((ROOT / source).exists(), f"{source} is not there")
    print("NOT RUN: Grafana: there is no image of it here; that its provisioning names files that "
          "are there is checked", flush=True)


class Compose(TestCase):
    def test_files(self):
        """compose.yaml by its schema, with limits and health checks, and the files for Grafana."""
        schema = pathlib.Path(sys.executable).parent / "check-jsonschema"
        must(schema, "--builtin-schema", "vendor.compose-spec", "compose.yaml")
        limited()
        grafana_files()

    def test_up(self):
        """compose.yaml up, killed, down and up again: every request counted; an alert reaches
        Slack."""
        own_network()
        with tempfile.TemporaryDirectory(prefix="verify-compose-") as work:
            engine = Engine(work)
            unbuilt, unstarted = engine.probe()
            if unbuilt or unstarted:
                not_run("compose.yaml", unbuilt or unstarted)
                return
            images(engine)
            stand_in(engine, work)
            compose = Project(engine, work)
            run(*compose.command, "--profile", "monitoring", "down", "--volumes")
            try:
                pair_counts(compose, KILLS)
                monitored(compose)
            except BaseException:
                print(run(*compose.command, "--profile", "monitoring", "logs").stdout[-6000:])
                raise
            finally:
                run(*compose.command, "--profile", "monitoring", "down", "--volumes")


if __name__ == "__main__":
    main()
