#!/usr/bin/env python3
"""--otlp: the same points again, over connections, clients and a SIGKILL, count once.

    Tests/System/run otlp_retries
"""
import gzip
import http.client
import os
import signal
import threading
import time
from unittest import TestCase, main

from support.otlp import (
    CUMULATIVE, DELTA, OTLP, PROTOBUF, attribute, partial, request)
from support.sidecar import Session


class Retries(TestCase):
    def test_connection(self):
        """One connection, many requests, pipelined and refused ones between."""
        with OTLP() as sidecar:
            connection = http.client.HTTPConnection("127.0.0.1", sidecar.otlp, timeout=20)
            for number in range(1, 51):
                body = b"\xff" if number % 5 == 0 else request(
                    number, time=number + 1).SerializeToString()
                connection.request("POST", "/v1/metrics", body, {"Content-Type": PROTOBUF})
                answer = connection.getresponse()
                answer.read()
                self.assertEqual(answer.status, 400 if number % 5 == 0 else 200)
            connection.close()
            sidecar.expect({"jobs_total": 49,
                            'metrics_sidecar_otlp_requests_total{result="applied"}': 40,
                            'metrics_sidecar_otlp_requests_total{result="refused"}': 10})

    def test_two_clients(self):
        """Clients at once that send all of a history again and again: each unit counts once."""
        with OTLP() as sidecar:
            def work(number):
                for value in range(1, 101):
                    for _ in range(2):
                        sidecar.post(request(value, start=number, time=value + 1000,
                                             queue="mail").SerializeToString())

            threads = [threading.Thread(target=work, args=[number]) for number in (1, 2, 3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            sidecar.expect({'jobs_total{queue="mail"}': 300})

    def test_same_bytes(self):
        """Deltas whose bytes were applied count once: at once, compressed, and over a SIGKILL
        between the commit and the answer."""
        with OTLP() as sidecar:
            body = request(5, temporality=DELTA).SerializeToString()
            for _ in range(3):
                self.assertEqual(sidecar.post(body)[0], 200)
            self.assertEqual(sidecar.post(gzip.compress(body), Content_Encoding="gzip")[0], 200)
            bad = request(1, temporality=DELTA, time=0)
            bad.MergeFrom(request(7, temporality=DELTA, start=3))
            answers = [partial(sidecar.post(bad.SerializeToString())) for _ in range(2)]
            self.assertEqual([answer[0] for answer in answers], [1, 1])
            sidecar.restart()
            self.assertEqual(sidecar.post(body)[0], 200)
            self.assertEqual(partial(sidecar.post(bad.SerializeToString()))[0], 1)
            sidecar.expect({"jobs_total": 12,
                            'metrics_sidecar_otlp_requests_total{result="repeated"}': 2})
            # Other bytes are another request: times differ.
            self.assertEqual(sidecar.post(request(
                5, temporality=DELTA, time=9).SerializeToString())[0], 200)
            sidecar.expect({"jobs_total": 17})

    def test_long(self):
        """A request of new points takes several turns. A worker killed amidst of it leaves none of
        it counted or all; sent again, each point counts once; others count meanwhile."""
        kills = []
        flags = "--supervise", "--max-series", "100000", "--max-otlp-streams", "100000"
        with OTLP(*flags) as sidecar:
            session = Session(sidecar.path("events.sock"))
            for number in range(10):
                body = many(f"jobs{number}", CUMULATIVE if number % 2 else DELTA)
                answers = []

                def work():
                    while not answers:
                        try:
                            if sidecar.post(body)[0] == 200:
                                answers.append(1)
                        except (OSError, http.client.HTTPException):
                            time.sleep(0.01)

                thread = threading.Thread(target=work)
                thread.start()
                time.sleep(0.012 * number)
                if not answers:
                    os.kill(sidecar.worker(), signal.SIGKILL)
                    kills.append(number)
                while not answers or session.waiting:
                    session.put("beside:1|c")
                    try:
                        session.connect()
                        session.flush()
                    except OSError:
                        time.sleep(0.005)
                    session.close()
                thread.join()
                values = [value for name, value in sidecar.values().items()
                          if name.startswith(f"jobs{number}_total")]
                self.assertEqual((len(values), set(values)), (POINTS, {1}), number)
            sidecar.expect({"beside_total": session.number})
            self.assertTrue(kills)
            print(f"  10 requests, killed amidst of {len(kills)}", flush=True)

    def test_beside_reloads(self):
        """Long requests beside reloads that drain long frames: each frame counts whole, and is
        acknowledged, whichever is half applied when."""
        rules = ['{"families": [{"name": "x%d_total", "type": "counter", "events": '
                 '[{"event": "x"}]}]}' % number for number in range(2)]
        flags = "--max-series", "1000000", "--max-otlp-streams", "300000", "--state-size", "1GiB"
        with OTLP(*flags, rules=rules[0]) as sidecar:
            ended, answered = threading.Event(), []

            def post(number):
                while not ended.is_set():
                    answered.append(sidecar.post(many(f"jobs{number}", CUMULATIVE))[0])
                    number += 3

            def reload():
                number = 0
                while not ended.wait(0.004):
                    number += 1
                    with open(sidecar.path("next"), "w", encoding="utf-8") as file:
                        file.write(rules[number % 2])
                    os.replace(sidecar.path("next"), sidecar.path("rules.json"))
                    sidecar.process.send_signal(signal.SIGHUP)

            threads = [threading.Thread(target=post, args=(number,)) for number in range(3)]
            threads.append(threading.Thread(target=reload))
            for thread in threads:
                thread.start()
            try:
                for number in range(5):
                    session = Session(sidecar.path("events.sock"))
                    session.put(*[f"w{number}:1|c|#k:{each % 4000}" for each in range(25_000)])
                    session.connect()
                    session.flush()
                    session.close()
            finally:
                ended.set()
                for thread in threads:
                    thread.join()
            counts = [sum(value for name, value in sidecar.values().items()
                          if name.startswith(f"w{number}_total{{")) for number in range(5)]
            self.assertEqual(counts, [25_000] * 5)
            self.assertIn(200, answered)


POINTS = 8000


def many(name, temporality):
    """A request of as many points, each of a series of its own."""
    whole = request(name=name, temporality=temporality)
    points = whole.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    del points[:]
    for number in range(POINTS):
        point = points.add(start_time_unix_nano=1, time_unix_nano=2, as_int=1)
        attribute(point.attributes, "number", str(number))
    return whole.SerializeToString()


if __name__ == "__main__":
    main()
