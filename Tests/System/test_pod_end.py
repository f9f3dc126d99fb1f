#!/usr/bin/env python3
"""kubectl delete pod, at real times, with the real programs and a real Prometheus: the last events
of every pod are scraped, and each pod goes at once after that.

    Tests/System/run pod_end [PODS=20] [INTERVAL=30]

What a kubelet does is done here: the app's preStop, its SIGTERM or its death, and only then the
SIGTERM of the sidecar, a native one. Targets are Prometheus' own file discovery: they stay until
the pod has ended, as those of a PodMonitor do, and of a ServiceMonitor whose Service publishes
addresses that are not ready.
"""
import contextlib
import json
import os
import random
import resource
import signal
import tempfile
import threading
import time
from unittest import TestCase, main

from support import setting
from support.checks import check, free_port, wait_for
from support.lingering import ENDS, SEEN
from support.pair import Pair
from support.prometheus import Prometheus

PODS, INTERVAL = setting("PODS", 20), setting("INTERVAL", 30)
LINGER = INTERVAL + 15
COUNT = "server_requests_total"


class Discovery:
    """The targets of one case, as a file that Prometheus watches."""

    def __init__(self, folder, case):
        self.path = os.path.join(folder, case + ".json")
        self.targets = {}
        self.lock = threading.Lock()

    def change(self, pod, is_there):
        with self.lock:
            if is_there:
                self.targets[pod.name] = pod.pair.metrics
            else:
                self.targets.pop(pod.name, None)
            with open(self.path + ".new", "w") as file:
                json.dump([{"targets": [f"127.0.0.1:{port}"], "labels": {"pod": name}}
                           for name, port in self.targets.items()], file)
            os.replace(self.path + ".new", self.path)


class Pod:
    def __init__(self, case, number, ports):
        self.case, self.name = case, f"{case.name}-{number}"
        self.pair = Pair()
        self.pair.metrics, self.pair.api = ports
        self.answered = 0
        self.ended_at = 0
        flags = ("--linger", f"{LINGER}s") if case.lingers else ()
        self.pair.start_sidecar("--supervise", *flags, wait=False)
        self.pair.start_app("--workers", "1", wait=False)

    def request(self):
        answer = self.pair.get(self.pair.api, "/")
        if answer and b" 200 " in answer[:20]:
            self.answered += 1
            return True
        return False

    def delete(self):
        """As the kubelet does it, and the controllers that tell Prometheus."""
        if self.case.vanishes:
            self.case.discovery.change(self, False)
        end = time.monotonic() + self.case.drain
        while time.monotonic() < end:
            self.request()
            time.sleep(1)
        check(self.request(), "the app does not answer")
        self.pair.app.send_signal(signal.SIGKILL if self.case.dies else signal.SIGTERM)
        self.pair.app.wait()
        self.pair.sidecar.send_signal(signal.SIGTERM)
        self.pair.sidecar.wait(LINGER + 30)
        self.ended_at = time.time()
        self.case.discovery.change(self, False)

    def close(self):
        if self.pair.sidecar.poll() is None:
            self.pair.sidecar.send_signal(signal.SIGINT)
            self.pair.sidecar.wait(20)
        self.pair.__exit__()

    def end(self):
        """Why its sidecar has ended, and after how many seconds."""
        with open(self.pair.path("log")) as file:
            found = ENDS.findall(file.read())
        check(len(found) == 1, f"{self.name} says {found}")
        return found[0][1], int(found[0][0]) / 1000


class Case:
    def __init__(self, name, shows, *, count=PODS, drain=0, dies=False, is_slow=False,
                 lingers=True, vanishes=False):
        self.name, self.shows, self.count, self.drain = name, shows, count, drain
        self.dies, self.is_slow, self.lingers, self.vanishes = dies, is_slow, lingers, vanishes
        self.pods = []
        self.discovery = self.prometheus = None

    def start(self, folder, ports):
        self.discovery = Discovery(folder, self.name)
        for number in range(self.count):
            self.pods.append(Pod(self, number, (next(ports), next(ports))))
        for pod in self.pods:
            wait_for(pod.request, "the app of " + pod.name)
            self.discovery.change(pod, True)

    def is_known(self):
        """Whether Prometheus has scraped each pod more than once."""
        found = self.prometheus.query(f'count_over_time(up{{job="{self.name}"}}[1h]) > 1')
        return len(found) == self.count

    def delete(self, chance):
        """Deletes all pods, over one interval; where Prometheus stands still for as long, within
        ten seconds."""
        threads = [threading.Thread(target=pod.delete) for pod in self.pods]
        pauses = sorted(chance.uniform(0, 10 if self.is_slow else INTERVAL) for _ in threads)
        start = time.monotonic()
        if self.is_slow:
            self.prometheus.process.send_signal(signal.SIGSTOP)
            threading.Timer(INTERVAL, self.prometheus.process.send_signal,
                            [signal.SIGCONT]).start()
        for pause, thread in zip(pauses, threads):
            time.sleep(max(0, start + pause - time.monotonic()))
            thread.start()
        for thread in threads:
            thread.join()

    def samples(self):
        """Of each pod all samples: [(time, value)]."""
        found = self.prometheus.ask(f'query?query={COUNT}%7Bjob="{self.name}"%7D%5B1h%5D')
        return {each["metric"]["pod"]: [(float(at), float(value)) for at, value in each["values"]]
                for each in found["result"]}

    def lost(self):
        """The pods whose last requests are on no scrape."""
        samples = self.samples()
        return [pod for pod in self.pods
                if pod.answered != (samples.get(pod.name) or [(0, 0)])[-1][1]]


CASES = [
    Case("servicemonitor", "a ServiceMonitor, the app ends at SIGTERM"),
    Case("podmonitor", "a PodMonitor, the app ends at SIGTERM"),
    Case("drains", "an app that drains for 10 s", drain=10),
    Case("dies", "an app that dies at once", dies=True),
    Case("slow", "a Prometheus that stands still for one interval", is_slow=True),
    Case("before", "without --linger, and the target goes with the deletion", lingers=False,
         vanishes=True),
]


def ports(count):
    """So many free ports, each once."""
    return iter([free_port() for _ in range(count)])


def config(folder, cases):
    jobs = "".join(
        f"- job_name: {case.name}\n  file_sd_configs: [{{files: ['{folder}/{case.name}.json']}}]\n"
        for case in cases)
    return f"global: {{scrape_interval: {INTERVAL}s}}\nscrape_configs:\n{jobs}"


class PodEnd(TestCase):
    def test_last_scrape(self):
        """Of 20 deleted pods none loses an event, however the app ends and Prometheus finds them; a
        pod goes at once after its last scrape."""
        chance = random.Random(setting("SEED", 1))
        with tempfile.TemporaryDirectory(prefix="pods-") as folder, contextlib.ExitStack() as stack:
            free = ports(2 * sum(case.count for case in CASES))
            for case in CASES:
                case.start(folder, free)
                for pod in case.pods:
                    stack.callback(pod.close)
            slow = [case for case in CASES if case.is_slow]
            for group in slow, [case for case in CASES if not case.is_slow]:
                own = os.path.join(folder, group[0].name)
                os.mkdir(own)
                prometheus = stack.enter_context(
                    Prometheus(0, own, config=config(folder, group)))
                for case in group:
                    case.prometheus = prometheus
            for case in CASES:
                wait_for(case.is_known, f"two scrapes of {case.name}", 4 * INTERVAL + 60)
            threads = [threading.Thread(target=case.delete, args=[chance]) for case in CASES]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for case in CASES:
                self.judge(case)
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            count = sum(case.count for case in CASES)
            print(f"  {(used.ru_utime + used.ru_stime) / count * 1000:.0f} ms of CPU for each of "
                  f"{count} pods, app and sidecar")

    def judge(self, case):
        # What was scraped is there to be asked for a moment later.
        if case.lingers:
            wait_for(lambda: not case.lost(), f"the last events of {case.name}", 10)
        lost = case.lost()
        words = f"  {case.shows}: {len(lost)} of {case.count} pods have lost events"
        if not case.lingers:
            print(words)
            return check(len(lost) > case.count // 2, "the test does not see what is lost")
        samples, ends = case.samples(), [pod.end() for pod in case.pods]
        check(all(reason == SEEN for reason, _ in ends), f"{case.name}: {ends}")
        waits = sorted(seconds for _, seconds in ends)
        late = sorted(pod.ended_at - samples[pod.name][-1][0] for pod in case.pods)
        print(f"{words}; they stayed {waits[0]:.1f} to {waits[-1]:.1f} s, "
              f"{sum(waits) / len(waits):.1f} on average, and went {late[len(late) // 2]:.2f} s "
              f"after the last scrape, {late[-1]:.2f} at most")
        check(waits[-1] < LINGER, f"{case.name}: one waited all of its time")
        # Before the next scrape could have come.
        check(late[-1] < INTERVAL / 2, f"{case.name}: one stayed {late[-1]:.1f} s too long")


if __name__ == "__main__":
    main()
