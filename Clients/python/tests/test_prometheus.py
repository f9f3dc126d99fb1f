"""prometheus_client's metrics over a session: what the sidecar is sent, and what is read here."""
import os
import subprocess
import sys
import textwrap
import unittest

from .fake_sidecar import FakeSidecar

try:
    import prometheus_client
except ImportError:
    prometheus_client = None

START = """
import os, sys, time, warnings
import metrics_sidecar.prometheus
client = metrics_sidecar.prometheus.install({path!r}, interval=60)
from prometheus_client import *
def exact(condition, *text):
    if not condition:
        raise SystemExit("not so: " + repr(text))
"""


@unittest.skipIf(prometheus_client is None, "prometheus_client is not installed")
class PrometheusTests(unittest.TestCase):
    def setUp(self):
        self.sidecar = FakeSidecar()
        self.sidecar.__enter__()
        self.addCleanup(self.sidecar.__exit__)

    def run_(self, code, **environment):
        """Runs the code in a process of its own, whose end flushes; what it has written."""
        text = START.format(path=self.sidecar.path) + textwrap.dedent(code)
        run = subprocess.run(
            [sys.executable, "-c", text], timeout=60, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment})
        self.assertEqual((run.returncode, run.stdout), (0, ""), run.stderr)
        return run.stderr

    def test_each_type_is_declared_and_counted(self):
        self.run_("""
            Counter("hits", "Hits | of\\nall", ["path"]).labels("/a,b").inc(2)
            Histogram("wait_seconds", "Waiting", buckets=(0.1, 1)).observe(0.1)
            Summary("size", "Sizes").observe(4)
            Gauge("busy", "Busy", multiprocess_mode="livesum").set(3)
            Gauge("each", "Each").set(-1)
            Info("build", "Build").info({"version": "1"})
            Enum("state", "State", states=["a", "b"]).state("b")
        """)
        for line in [r"_family|hits_total|counter|Hits \p of\nall",
                     r"_series|hits_total|#path:/a\cb",
                     "_family|wait_seconds|histogram|Waiting|b:0.1,1", "_series|wait_seconds",
                     "_family|size|summary|Sizes", "_family|busy|gauge|Busy|m:livesum",
                     "_family|each|gauge|Each|m:all", "_family|build_info|gauge|Build|m:livemax",
                     "_family|state|gauge|State|m:livemax"]:
            self.assertIn(line, self.sidecar.others)
        self.assertEqual(self.sidecar.counters, {r"hits_total{path:/a\cb}": 2})
        self.assertEqual(self.sidecar.sums, {"wait_seconds": 0.1, "size": 4})
        gauges = {key.split("pid:")[0]: value for key, value in self.sidecar.gauges.items()}
        self.assertEqual(gauges, {"busy": 3, "each{": -1, "build_info{version:1}": 1,
                                  "state{state:a}": 0, "state{state:b}": 1})

    def test_eight_threads_count_to_the_unit(self):
        self.run_("""
            import threading
            sys.setswitchinterval(1e-5)
            hits, wait = Counter("hits", "Hits"), Histogram("wait", "Wait", buckets=(1, 2))
            level = Gauge("level", "Level", multiprocess_mode="sum")
            def work():
                for turn in range(20_000):
                    hits.inc()
                    wait.observe(turn % 3)
                    level.inc()
                    if turn % 1000 == 0:
                        client.flush()
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        """)
        self.assertEqual(self.sidecar.counters["hits_total"], 160_000)
        self.assertEqual(self.sidecar.observations["wait"], 160_000)
        self.assertEqual(self.sidecar.gauges["level"], 160_000)

    def test_reads_in_the_process_go_on(self):
        self.run_("""
            c = Counter("hits", "Hits")
            c.inc(3)
            exact(c._value.get() == 3)
            h = Histogram("wait_seconds", "Waiting", buckets=(0.1, 1))
            h.observe(0.1)
            h.observe(2)
            page = generate_latest().decode()
            for line in ["hits_total 3.0", 'wait_seconds_bucket{le="0.1"} 1.0',
                         "wait_seconds_count 2.0", "wait_seconds_sum 2.1"]:
                exact(line + "\\n" in page, line, page)
        """)

    def test_a_reset_and_a_restored_value_never_make_the_sidecar_fall(self):
        self.run_("""
            c = Counter("hits", "Hits")
            c.inc(5)
            c._value.set(7)
            client.flush()
            c.reset()
            exact(c._value.get() == 0)
            c.inc(2)
            exact(c._value.get() == 2)
        """)
        self.assertEqual(self.sidecar.counters["hits_total"], 9)

    def test_a_forked_child_adds_only_its_own(self):
        self.run_("""
            c = Counter("hits", "Hits")
            h = Histogram("wait_seconds", "Waiting")
            g = Gauge("busy", "Busy", ["w"], multiprocess_mode="livesum")
            c.inc(3)
            h.observe(1)
            g.labels("parent").set(1)
            pid = os.fork()
            if pid == 0:
                c.inc(4)
                h.observe(2)
                g.labels("child").inc(2)
                sys.exit(0)
            exact(os.waitpid(pid, 0)[1] == 0)
            c.inc()
        """)
        self.assertEqual(self.sidecar.counters["hits_total"], 8)
        self.assertEqual(self.sidecar.observations["wait_seconds"], 2)
        self.assertEqual(self.sidecar.gauges["busy{w:parent}"], 1)
        self.assertEqual(self.sidecar.gauges["busy{w:child}"], 2)

    def test_removed_gauges_end_and_removed_counters_stay(self):
        self.run_("""
            g = Gauge("busy", "Busy", ["w"], multiprocess_mode="sum")
            c = Counter("hits", "Hits", ["w"])
            g.labels("a").set(1)
            g.labels("b").set(2)
            c.labels("a").inc(3)
            client.flush()
            g.remove("a")
            c.labels("a").inc(4)
            c.clear()
            i = Info("build", "Build")
            i.info({"version": "1"})
            client.flush()
            i.info({"version": "2"})
        """)
        self.assertIn("_remove|busy|#w:a", self.sidecar.others)
        self.assertNotIn("_remove|busy|#w:b", self.sidecar.others)
        self.assertEqual(self.sidecar.counters["hits_total{w:a}"], 7)
        self.assertIn("_remove|build_info|#version:1", self.sidecar.others)
        self.assertEqual(self.sidecar.gauges["build_info{version:2}"], 1)

    def test_a_function_is_called_at_each_flush(self):
        told = self.run_("""
            values = iter([1, 2])
            Gauge("left", "Left", multiprocess_mode="max").set_function(lambda: next(values))
            client.flush()
        """)
        self.assertEqual(self.sidecar.gauges["left"], 2)
        self.assertLess(told.count("Traceback"), 2)

    def test_exemplars_go_with_their_events(self):
        lines = []
        apply = self.sidecar._line
        self.sidecar._line = lambda line: (lines.append(line), apply(line))
        self.run_("""
            c = Counter("hits", "Hits")
            c.inc(5)
            c.inc(2, exemplar={"trace_id": "ab", "span_id": "cd"})
            h = Histogram("wait_seconds", "Waiting")
            h.observe(1)
            h.observe(3, {"trace_id": "ef"})
        """)
        self.assertIn("hits_total:2|c|x:trace_id:ab,span_id:cd", lines)
        self.assertIn("wait_seconds:3|d|x:trace_id:ef", lines)
        self.assertEqual(self.sidecar.counters["hits_total"], 7)
        self.assertEqual(self.sidecar.observations["wait_seconds"], 2)

    def test_lost_state_is_given_declarations_and_gauges_again(self):
        text = START.format(path=self.sidecar.path).replace("interval=60", "interval=0.05")
        text += textwrap.dedent("""
            hits = Counter("hits", "Hits")
            hits.inc()
            Gauge("busy", "Busy", multiprocess_mode="sum").set(4)
            sys.stdin.readline()
            hits.inc(2)
            sys.stdin.readline()
        """)
        with subprocess.Popen(
                [sys.executable, "-c", text], stdin=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}) as run:
            self.sidecar.await_(lambda: self.sidecar.gauges.get("busy") == 4, "the gauge")
            self.sidecar.stop()
            self.sidecar.forget()
            self.sidecar.start()
            run.stdin.write(b"\n")
            run.stdin.flush()
            self.sidecar.await_(lambda: self.sidecar.counters["hits_total"] >= 2, "the rest")
            self.sidecar.await_(lambda: self.sidecar.gauges.get("busy") == 4, "the gauge again")
            self.assertIn("_family|hits_total|counter|Hits", self.sidecar.others)
            run.stdin.write(b"\n")
            run.stdin.close()
        self.assertEqual(run.returncode, 0)

    def test_what_cannot_be_is_said_once(self):
        told = self.run_("""
            Counter("a:b", "Recorded")
        """, PROMETHEUS_MULTIPROC_DIR="/tmp")
        self.assertIn("PROMETHEUS_MULTIPROC_DIR has no effect", told)
        self.assertIn("a:b has a colon", told)

    def test_without_a_sidecar_everything_goes_on(self):
        self.sidecar.stop()
        self.run_("""
            c = Counter("hits", "Hits")
            for _ in range(1000):
                c.inc()
            exact(c._value.get() == 1000)
        """)


if __name__ == "__main__":
    unittest.main()
