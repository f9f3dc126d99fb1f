#!/usr/bin/env python3
"""Clients/python, from its wheel: services with workers that come and go count to the unit.

    Tests/System/run python [REQUESTS=4000] [KILLS=4]
"""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from unittest import TestCase, main

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


def ask(port):
    """Whether a request was answered with 200; None where nobody took the connection."""
    try:
        s = socket.create_connection(("127.0.0.1", port), timeout=60)
    except OSError:
        return None
    with s:
        try:
            s.sendall(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b""
            while chunk := s.recv(4096):
                answer += chunk
        except OSError:
            return None
        return answer.startswith(b"HTTP/1.1 200 ")


class PythonTests(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        copy = os.path.join(cls.folder, "source")
        subprocess.run(["cp", "-r", str(ROOT / "Clients/python"), copy], check=True)
        subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps",
                        "--disable-pip-version-check", "-w", cls.folder, copy], check=True)
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

    def serve(self, code, *arguments):
        """Runs the service, and what its sidecar says in the end; its own values on the way."""
        with Sidecar("--supervise") as sidecar:
            with open(sidecar.path("test_service.py"), "w", encoding="utf-8") as file:
                file.write(code.replace("/run/metrics/", sidecar.path("")))
            port = free_port()
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--preload",
                 "--max-requests", "50", "--bind", f"127.0.0.1:{port}", "--log-level", "warning",
                 *arguments, "test_service:app"],
                cwd=sidecar.folder, env=self.environment, stdout=sidecar.log, stderr=sidecar.log)
            try:
                answered = self.load(sidecar, port)
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

    def load(self, sidecar, port):
        wait_for(lambda: ask(port), "the service")
        answers = [1] + [0] * 8

        def work(index):
            while answers[index] < REQUESTS // 8:
                answers[index] += 1 if ask(port) else 0

        threads = [threading.Thread(target=work, args=[index], daemon=True)
                   for index in range(1, 9)]
        for thread in threads:
            thread.start()
        for kill in range(1, KILLS + 1):
            wait_for(lambda: sum(answers) > kill * REQUESTS // (KILLS + 1), "answers", 600)
            sidecar.kill_worker()
        for thread in threads:
            thread.join()
        return sum(answers)


if __name__ == "__main__":
    main()
