#!/usr/bin/env python3
"""Clients/python, from its wheel: services with workers that come and go count to the unit.

    Tests/System/run python [REQUESTS=4000] [KILLS=4]
    Tests/System/run python.beside_multiprocess_mode BESIDE=1 REQUESTS=20000
"""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from unittest import TestCase, main, skipUnless

# Only so that Tests/System/run knows that these are needed.
import django
import fastapi
import gunicorn

from support import ROOT, setting
from support.checks import check, free_port, wait_for
from support.sidecar import Sidecar

assert django and fastapi and gunicorn
REQUESTS = setting("REQUESTS", 4_000)
KILLS = setting("KILLS", 4)
WORKERS = 8
BESIDE = setting("BESIDE", 0)

INSTALL = """
import os
import metrics_sidecar.prometheus
client = metrics_sidecar.prometheus.install("/run/metrics/events.sock")
from prometheus_client import Gauge
in_progress = Gauge("in_progress", "Requests in hand", multiprocess_mode="livesum")
serving = Gauge("serving", "Workers", multiprocess_mode="livesum")
"""

FASTAPI = INSTALL + """
from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator
app = FastAPI()
Instrumentator().instrument(app)

@app.get("/hello")
async def hello():
    serving.set(1)
    with in_progress.track_inprogress():
        return "ok"
"""

# The same service in prometheus_client's own mode, as its documents have it.
MULTIPROCESS = FASTAPI.replace(INSTALL, INSTALL.split("import metrics")[0] + INSTALL.split(
    "events.sock\")\n")[1]) + """
from fastapi import Response
from prometheus_client import CollectorRegistry, generate_latest, multiprocess

@app.get("/metrics")
def metrics():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return Response(generate_latest(registry))
"""

CHILD_EXIT = """
from prometheus_client import multiprocess

def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
"""

DJANGO = INSTALL + """
from django.conf import settings
settings.configure(
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", DEBUG=False,
    INSTALLED_APPS=["django_prometheus"],
    MIDDLEWARE=["django_prometheus.middleware.PrometheusBeforeMiddleware",
                "django_prometheus.middleware.PrometheusAfterMiddleware"])
import django
django.setup()
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

def hello(request):
    serving.set(1)
    with in_progress.track_inprogress():
        return HttpResponse("ok")

urlpatterns = [path("hello", hello)]
app = get_wsgi_application()
"""


def ask(port, path="/hello"):
    """Whether a request was answered with 200; None where nobody took the connection."""
    answer = body(port, path)
    return answer if answer is None else answer.startswith(b"HTTP/1.1 200 ")


def body(port, path):
    """The whole answer; None where nobody took the connection."""
    try:
        s = socket.create_connection(("127.0.0.1", port), timeout=60)
    except OSError:
        return None
    with s:
        try:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while chunk := s.recv(4096):
                answer += chunk
        except OSError:
            return None
        return answer


def scrape(port):
    """A page's numbers, and the seconds that it takes, the median of five."""
    times = []
    for _ in range(5):
        start = time.monotonic()
        text = body(port, "/metrics").partition(b"\r\n\r\n")[2].decode()
        times.append(time.monotonic() - start)
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] not in "#"]
    return {name: float(value) for name, value in lines}, sorted(times)[2]


class PythonTests(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        # As the release does it, in this environment's Python.
        bin_folder = os.path.dirname(sys.executable)
        subprocess.run(
            [ROOT / "Scripts/wheel", cls.folder], check=True, stdout=subprocess.DEVNULL,
            env={**os.environ, "PATH": bin_folder + os.pathsep + os.environ["PATH"]})
        wheels = list(pathlib.Path(cls.folder).glob("*.whl"))
        check(len(wheels) == 1, "one wheel is built")
        # A wheel is a zip file that can be imported from.
        cls.environment = {**os.environ, "PYTHONPATH": str(wheels[0])}
        cls.environment.pop("PROMETHEUS_MULTIPROC_DIR", None)

    def test_wheel(self):
        """The package's own tests pass from its wheel."""
        environment = dict(self.environment)
        environment["PYTHONPATH"] += os.pathsep + str(ROOT / "Clients/python")
        run = subprocess.run(
            [sys.executable, "-m", "unittest", "tests.test_client", "tests.test_prometheus"],
            cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_fastapi(self):
        """FastAPI under eight gunicorn workers, new ones every 50 requests each, the sidecar
        killed: prometheus-fastapi-instrumentator's numbers are the requests that were answered."""
        count = self.serve(FASTAPI, "--worker-class", "uvicorn_worker.UvicornWorker")
        total = 'http_requests_total{handler="/hello",method="GET",status="2xx"}'
        each = 'http_request_duration_seconds_%s{handler="/hello",method="GET"%s}'
        self.assertEqual(
            [count[total], count[each % ("count", "")], count[each % ("bucket", ',le="+Inf"')]],
            [count["answered"]] * 3)
        self.assertGreater(count[each % ("sum", "")], 0)

    def test_django(self):
        """The same with Django and django-prometheus, in synchronous workers."""
        count = self.serve(DJANGO)
        self.assertEqual(
            [count['django_http_requests_total_by_method_total{method="GET"}'],
             count['django_http_responses_total_by_status_total{status="200"}'],
             count['django_http_requests_latency_seconds_by_view_method_count'
                   '{method="GET",view="test_service.hello"}']],
            [count["answered"]] * 3)

    def test_gevent(self):
        """Django in gevent's workers, which make greenlets of the threads that flush."""
        count = self.serve(DJANGO, "--worker-class", "gevent", requests=REQUESTS // 4)
        self.assertEqual(count['django_http_requests_total_by_method_total{method="GET"}'],
                         count["answered"])

    @skipUnless(BESIDE, "BESIDE=1 measures")
    def test_beside_multiprocess_mode(self):
        """The same service in multiprocess mode: its files, its scrapes, its numbers."""
        total = 'http_requests_total{handler="/hello",method="GET",status="2xx"}'
        uvicorn = "--worker-class", "uvicorn_worker.UvicornWorker"
        with Sidecar() as sidecar:
            files = pathlib.Path(sidecar.path("prometheus"))
            files.mkdir()
            pathlib.Path(sidecar.path("gunicorn_exit.py")).write_text(CHILD_EXIT)
            process, port = self.gunicorn(
                sidecar, MULTIPROCESS, *uvicorn, "--config", "gunicorn_exit.py",
                PROMETHEUS_MULTIPROC_DIR=str(files))
            try:
                wait_for(lambda: ask(port), "the service")
                answered = 1
                for part in range(1, 5):
                    answered += self.load(REQUESTS // 4, port)
                    values, seconds = scrape(port)
                    names = list(files.iterdir())
                    size = sum(path.stat().st_size for path in names)
                    print(f"  multiprocess mode: {answered} answered, {values[total]:.0f} counted,"
                          f" {len(names)} files, {size / 1e6:.1f} MB, a scrape in "
                          f"{seconds * 1000:.1f} ms; serving {values['serving']:.0f}", flush=True)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()
        with Sidecar() as sidecar:
            process, port = self.gunicorn(sidecar, FASTAPI, *uvicorn)
            try:
                wait_for(lambda: ask(port), "the service")
                answered = 1
                for part in range(1, 5):
                    answered += self.load(REQUESTS // 4, port)
                    sidecar.expect({total: answered})
                    values, seconds = scrape(sidecar.metrics)
                    size = os.stat(sidecar.path("state")).st_blocks * 512
                    print(f"  the sidecar: {answered} answered, {values[total]:.0f} counted, 1 "
                          f"file, {size / 1e6:.1f} MB, a scrape in {seconds * 1000:.1f} ms; "
                          f"serving {values['serving']:.0f}", flush=True)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()

    def gunicorn(self, sidecar, code, *arguments, **environment):
        """The service's process and port, in the sidecar's folder."""
        with open(sidecar.path("test_service.py"), "w", encoding="utf-8") as file:
            file.write(code.replace("/run/metrics/", sidecar.path("")))
        port = free_port()
        return subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--preload",
             "--max-requests", "50", "--bind", f"127.0.0.1:{port}", "--log-level", "warning",
             *arguments, "test_service:app"],
            cwd=sidecar.folder, env={**self.environment, **environment}, stdout=sidecar.log,
            stderr=sidecar.log), port

    def serve(self, code, *arguments, requests=REQUESTS):
        """Runs the service, and what its sidecar says in the end; its own values on the way."""
        # Parts of workers that a restarted sidecar does not see again stay for a minute.
        with Sidecar("--supervise", "--max-gauge-clients", "1000") as sidecar:
            process, port = self.gunicorn(sidecar, code, *arguments)
            try:
                wait_for(lambda: ask(port), "the service")
                answered = 1 + self.load(requests, port, sidecar)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()
            # Its workers have gone, and so have their parts: a minute after a restart of the
            # sidecar those, too, whose sessions have not come back.
            values = sidecar.expect({"serving": 0, "in_progress": 0}, seconds=80)
            self.assertEqual(values["metrics_sidecar_worker_restarts_total"], KILLS)
            refused = {name: value for name, value in values.items() if value
                       and name.startswith("metrics_sidecar_events_rejected_total")}
            self.assertEqual(refused, {})
            print(f"  answered {answered}", flush=True)
            return {**values, "answered": answered}

    def load(self, requests, port, victim=None):
        """So many answers over eight connections at a time, while the victim's worker is killed."""
        answers = [0] * 8

        def work(index):
            while answers[index] < requests // 8:
                answers[index] += 1 if ask(port) else 0

        threads = [threading.Thread(target=work, args=[index], daemon=True) for index in range(8)]
        for thread in threads:
            thread.start()
        for kill in range(1, KILLS + 1 if victim else 1):
            wait_for(lambda: sum(answers) > kill * requests // (KILLS + 1), "answers", 600)
            victim.kill_worker()
        for thread in threads:
            thread.join()
        return sum(answers)


if __name__ == "__main__":
    main()
