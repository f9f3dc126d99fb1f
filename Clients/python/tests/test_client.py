"""SessionClient against a sidecar that is killed, stopped, late and forgetful."""
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import unittest

from metrics_sidecar import SessionClient, _lines
from metrics_sidecar._observations import Observations
from metrics_sidecar._session import Session

from .fake_sidecar import FakeSidecar

try:
    import gevent
except ImportError:
    gevent = None


class ClientTests(unittest.TestCase):
    def setUp(self):
        self.sidecar = self.enterContext(FakeSidecar()) if hasattr(self, "enterContext") else None
        if self.sidecar is None:
            self.sidecar = FakeSidecar()
            self.sidecar.__enter__()
            self.addCleanup(self.sidecar.__exit__)

    def client(self, **named):
        client = SessionClient(self.sidecar.path, interval=0.02, **named)
        self.addCleanup(client.close, 0)
        return client

    def counted(self, name, value):
        self.sidecar.await_(lambda: self.sidecar.counters[name] == value, f"{name} = {value}")

    def test_counts_arrive_by_themselves(self):
        client = self.client()
        client.count("jobs")
        client.count("jobs", 2.5, tags={"queue": "a,b|c\nd\\e"})
        client.gauge("level", -4)
        client.observe("wait", 0.25, tags="k:v")
        client.count("odd", tags={"a,b:c|d#": "v"})
        self.counted("odd{a_b_c_d_:v}", 1)
        self.counted("jobs", 1)
        self.counted(r"jobs{queue:a\cb\pc\nd\\e}", 2.5)
        self.sidecar.await_(lambda: self.sidecar.gauges.get("level") == -4, "the gauge")
        self.sidecar.await_(lambda: self.sidecar.sums["wait{k:v}"] == 0.25, "the observation")

    def test_what_a_line_cannot_say_is_refused(self):
        client = self.client()
        for value in (-1, float("nan"), float("inf")):
            with self.assertRaises(ValueError):
                client.count("jobs", value)
            if value != -1:
                with self.assertRaises(ValueError):
                    client.observe("wait", value)

    def test_eight_threads_count_to_the_unit(self):
        client = self.client()
        before = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, before)
        sys.setswitchinterval(1e-5)

        def work():
            for _ in range(20_000):
                client.count("jobs")

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(before)
        self.assertTrue(client.close())
        self.assertEqual(self.sidecar.counters["jobs"], 160_000)

    def test_a_killed_sidecar_costs_nothing(self):
        client = self.client()
        done = threading.Event()

        def work():
            for index in range(4000):
                client.count("jobs")
                client.observe("wait", index)
                if index % 50 == 0:
                    time.sleep(0.005)
            done.set()

        threading.Thread(target=work).start()
        while not done.wait(0.05):
            self.sidecar.stop()
            time.sleep(0.01)
            self.sidecar.start()
        self.assertTrue(client.close())
        self.assertEqual(self.sidecar.counters["jobs"], 4000)
        self.assertEqual(self.sidecar.observations["wait"], 4000)
        self.assertAlmostEqual(self.sidecar.sums["wait"], sum(range(4000)), delta=1e-3)

    def test_one_that_is_stopped_gets_everything_when_it_goes_on(self):
        client = self.client()
        client.count("jobs")
        self.counted("jobs", 1)
        # It has its socket and its connection, and does nothing.
        with self.sidecar.lock:
            for index in range(3000):
                client.count("jobs")
                client.observe("wait", index % 10)
                if index % 50 == 0:
                    self.assertFalse(client.flush())
            self.assertLessEqual(len(client._session._frames), Session.WINDOW)
        self.assertTrue(client.close())
        self.assertEqual(self.sidecar.counters["jobs"], 3001)
        self.assertEqual(self.sidecar.observations["wait"], 3000)

    def test_one_that_comes_late_gets_everything(self):
        self.sidecar.stop()
        client = self.client()
        for index in range(1000):
            client.count("jobs")
            client.observe("wait", index)
        self.assertFalse(client.flush())
        time.sleep(0.1)
        self.sidecar.start()
        self.counted("jobs", 1000)
        self.sidecar.await_(lambda: self.sidecar.observations["wait"] == 1000, "observations")

    def test_lost_state_gets_gauges_again_and_what_was_not_acknowledged(self):
        client = self.client()
        client.gauge("level", 7)
        client.count("jobs", 3)
        self.counted("jobs", 3)
        self.sidecar.await_(client.flush, "the acknowledgement")
        self.sidecar.stop()
        self.sidecar.forget()
        client.count("jobs", 2)
        self.sidecar.start()
        self.counted("jobs", 2)
        self.sidecar.await_(lambda: self.sidecar.gauges.get("level") == 7, "the gauge")

    def test_memory_is_bounded_while_it_is_away(self):
        self.sidecar.stop()
        client = SessionClient(self.sidecar.path, interval=60, max_series=10, threads=False)
        client.flush()
        for index in range(100):
            client.count(f"jobs{index}")
        for index in range(100_000):
            client.observe("wait", index % 97)
        with client._lock:
            client._fold()
        waiting = client._observations["wait", ""]
        self.assertLessEqual(len(waiting.values), Observations.EACH)
        self.assertLessEqual(len(waiting._bins), 97)
        self.assertGreaterEqual(client.dropped, 89)
        client.close(0)

    def test_without_threads_calls_flush(self):
        client = self.client(threads=False)
        total = 0
        end = time.monotonic() + 10
        while self.sidecar.counters["jobs"] < 3 and time.monotonic() < end:
            client.count("jobs")
            total += 1
            time.sleep(0.005)
        self.assertGreaterEqual(self.sidecar.counters["jobs"], 3)
        self.assertIsNone(client._thread)
        self.assertTrue(client.close())
        self.assertEqual(self.sidecar.counters["jobs"], total)

    def test_a_child_takes_nothing_of_its_parents(self):
        client = self.client()
        stop = threading.Event()

        def work():
            while not stop.is_set():
                client.count("parent")
                self.total += 1
                client.flush()

        self.total = 0
        worker = threading.Thread(target=work)
        worker.start()
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                client.count("child", 5)
                os._exit(0 if client.close(5) else 1)
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
        stop.set()
        worker.join()
        self.assertTrue(client.close())
        self.assertEqual(self.sidecar.counters["child"], 100)
        self.assertEqual(self.sidecar.counters["parent"], self.total)

    def ends(self, code, *arguments):
        """Runs the code with `client` in a process of its own."""
        text = f"""
            import os, signal, sys, time
            from metrics_sidecar import SessionClient
            client = SessionClient({self.sidecar.path!r}, interval=60)
        """
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(text) + textwrap.dedent(code)], timeout=30,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False, *arguments)

    @unittest.skipIf(gevent is None, "gevent is not installed")
    def test_greenlets_count_to_the_unit_while_the_flush_thread_is_one_of_them(self):
        run = self.ends("""
            import gevent.monkey
            gevent.monkey.patch_all()
            import gevent
            client = SessionClient(client.path, interval=0.02)
            beats = []

            def work(number):
                for turn in range(2000):
                    client.count("jobs")
                    if turn % 100 == number:
                        gevent.sleep(0)
                    if turn % 500 == number:
                        gevent.sleep(0.02)

            workers = [gevent.spawn(work, number) for number in range(20)]
            gevent.joinall(workers)
            # By itself: nothing here flushes, and nothing holds the hub.
            end = time.monotonic() + 10
            while not client._session.acknowledged and time.monotonic() < end:
                gevent.sleep(0.01)
            assert client._session.acknowledged
        """)
        self.assertEqual(run.returncode, 0)
        self.counted("jobs", 40_000)

    @unittest.skipIf(gevent is None, "gevent is not installed")
    def test_a_client_made_before_gevent_took_over_does_not_hold_its_hub(self):
        run = self.ends("""
            # As a preloaded service makes it. A sleep without the hub would hold it here.
            client = SessionClient(client.path, interval=60)
            pid = os.fork()
            if pid:
                sys.exit(os.waitpid(pid, 0)[1])
            import gevent.monkey
            gevent.monkey.patch_all()
            import gevent
            client.count("jobs", 3)
            gevent.sleep(0.01)
            sys.exit(not client.close())
        """)
        self.assertEqual(run.returncode, 0)
        self.counted("jobs", 3)

    def test_the_end_of_the_interpreter_flushes(self):
        self.assertEqual(self.ends("client.count('jobs', 4)").returncode, 0)
        self.counted("jobs", 4)

    def test_sigterm_flushes_and_still_kills(self):
        run = self.ends("""
            client.count('jobs', 4)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        """)
        self.assertEqual(run.returncode, -signal.SIGTERM)
        self.counted("jobs", 4)

    def test_sigterm_flushes_where_a_server_has_put_the_default_back(self):
        run = self.ends("""
            before = signal.signal(signal.SIGTERM, lambda *_: None)
            assert before is signal.SIG_DFL
            client.count('jobs', 4)
            signal.signal(signal.SIGTERM, before)
            signal.raise_signal(signal.SIGTERM)
            time.sleep(10)
        """)
        self.assertEqual(run.returncode, -signal.SIGTERM)
        self.counted("jobs", 4)

    def test_a_child_of_multiprocessing_flushes(self):
        run = self.ends("""
            import multiprocessing
            def work():
                client.count('jobs', 4)
            multiprocessing.set_start_method('fork')
            child = multiprocessing.Process(target=work)
            child.start()
            child.join()
        """)
        self.assertEqual(run.returncode, 0)
        self.counted("jobs", 4)

    def test_the_end_is_bounded_where_nobody_listens(self):
        self.sidecar.stop()
        start = time.monotonic()
        self.assertEqual(self.ends("client.count('jobs', 4)").returncode, 0)
        self.assertLess(time.monotonic() - start, 15)


class LineTests(unittest.TestCase):
    def test_numbers_are_read_as_the_same(self):
        for value, text in [(1, "1"), (1.0, "1"), (0.1, "0.1"), (-2.5, "-2.5"), (1e300, "1e+300"),
                            (float("inf"), "inf"), (2**53, "9007199254740992.0")]:
            self.assertEqual(_lines.number(value), text)
            self.assertEqual(float(_lines.number(value)), value)

    def test_what_is_folded_keeps_counts_buckets_and_sums(self):
        numbers = random.Random(5)
        for bounds in (None, (), (0.5,), (-1, 0, 0.1, 1, 10)):
            waiting = Observations(bounds)
            everything = []
            for _ in range(20):
                for _ in range(200):
                    value = numbers.choice((0, 0.1, 1, 10, -1, numbers.gauss(0, 5),
                                            numbers.expovariate(1e-3), 1e-300, 1e300))
                    waiting.values.append(value)
                    everything.append(value)
                waiting.fold()
            self.assertEqual(sum(each[0] for each in waiting._bins.values()), len(everything))
            edges = bounds or (0,)
            for edge in edges:
                counted = 0
                for count, total, least, greatest in waiting._bins.values():
                    self.assertLessEqual(least, greatest)
                    self.assertLessEqual(min(max(total / count, least), greatest), greatest)
                    if bounds or bounds is None:
                        self.assertFalse(least <= edge < greatest, (bounds, edge, least, greatest))
                    counted += count if greatest <= edge else 0
                if bounds != ():
                    self.assertEqual(counted, sum(value <= edge for value in everything))

    def test_means_stay_in_their_bucket(self):
        waiting = Observations((0.1, 1))
        for _ in range(999):
            waiting.values.append(0.1)
        waiting.fold()
        self.assertEqual(waiting.take("w", ""), [f"w:0.1|d|@{1 / 999!r}".encode()])
        self.assertFalse(waiting)


if __name__ == "__main__":
    unittest.main()
