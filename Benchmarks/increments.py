"""What a count costs a Python process: Clients/python beside prometheus_client's own two modes.

    python3 Benchmarks/bench.py --only calls
"""
import json
import os
import subprocess
import sys
import tempfile

from large import HERE
from support.pair import Pair

ROOT = os.path.dirname(HERE)

# One process of a service: its processor time, all threads, of so many calls of each kind.
PROCESS = """
import json, os, sys, time
count, path = int(sys.argv[1]), sys.argv[2]
client = None
if path:
    import metrics_sidecar.prometheus
    client = metrics_sidecar.prometheus.install(path)
from prometheus_client import Counter, Gauge, Histogram
hits = Counter("hits", "Hits", ["path"])
child = hits.labels("/")
wait = Histogram("wait_seconds", "Waiting")
level = Gauge("level", "Level", multiprocess_mode="livesum")

def calls(call, *arguments):
    before = time.process_time()
    for _ in range(count):
        call(*arguments)
    if client:
        client.flush()
    return (time.process_time() - before) / count * 1e9

for call, value in ((child.inc, 1), (wait.observe, 0.2), (level.set, 3)):
    call(value)
print(json.dumps({
    "inc()": calls(child.inc), "labels().inc()": calls(lambda: hits.labels("/").inc()),
    "observe()": calls(wait.observe, 0.2), "set()": calls(level.set, 3)}))
"""


def python():
    """An interpreter that has prometheus_client; None where there is none."""
    for each in (os.path.join(ROOT, ".venv/bin/python"), sys.executable):
        if os.path.exists(each) and subprocess.run(
                [each, "-c", "import prometheus_client"], stderr=subprocess.DEVNULL,
                check=False).returncode == 0:
            return each
    return None


def costs(interpreter, count, path="", folder=""):
    """Nanoseconds a call by kind: through a sidecar at `path`, or in multiprocess mode in
    `folder`, or in the process alone."""
    environment = {**os.environ, "PYTHONPATH": os.path.join(ROOT, "Clients/python/src")}
    environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
    if folder:
        environment["PROMETHEUS_MULTIPROC_DIR"] = folder
    run = subprocess.run([interpreter, "-c", PROCESS, str(count), path], check=True, text=True,
                         capture_output=True, env=environment)
    return json.loads(run.stdout)


def increments(options, row):
    """One call of prometheus_client with the sidecar behind it: CPU time, beside its own modes."""
    interpreter = python()
    if not interpreter:
        return print("  left out: prometheus_client is not installed")
    rounds = []
    with Pair(options.programs) as pair:
        pair.start_sidecar()
        for _ in range(options.slices):
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                rounds.append((costs(interpreter, 200_000, path=pair.path("events.sock")),
                               costs(interpreter, 200_000),
                               costs(interpreter, 200_000, folder=folder)))
    middle = sorted(rounds, key=lambda each: each[0]["inc()"])[len(rounds) // 2]
    for kind in rounds[0][0]:
        for index, peer in ((1, "in-process"), (2, "multiprocess")):
            row(f"{kind} : prometheus_client, {peer}",
                [each[0][kind] / each[index][kind] for each in rounds],
                f"{middle[0][kind]:,.0f} : {middle[index][kind]:,.0f} ns")
