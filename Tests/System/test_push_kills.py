"""What a push was answered for stays, whenever the sidecar is killed.

    Tests/System/run push_kills [KILLS=60]
"""
import collections
import http.client
import os
import random
import re
import threading
from unittest import TestCase, main

from support import setting
from support.checks import check, wait_for
from support.push_servers import sidecar

KILLS = setting("KILLS", 60)


class Pusher(threading.Thread):
    """Pushes to three groups of its own and deletes them, until the server is gone."""

    def __init__(self, port, name, seed, states):
        super().__init__()
        self.port, self.jobs, self.dice = port, [f"{name}-{n}"
                                                 for n in range(3)], random.Random(seed)
        # What each job's group may be: its number, None for no group; two where no answer came.
        self.states = states
        self.done = 0
        self.failure = None

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        while True:
            job, number = self.dice.choice(self.jobs), self.dice.randrange(1, 1000)
            is_delete = self.dice.random() < 0.2
            body = b"" if is_delete else b"last %d\n" % number + b"".join(
                b"filler{n=\"%d\"} %d\n" % (n, number) for n in range(number % 40))
            wanted = None if is_delete else number
            before = self.states[job]
            self.states[job] = before | {wanted}
            try:
                connection.request("DELETE" if is_delete else "PUT", f"/metrics/job/{job}", body)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                return
            if answer.status not in (200, 202):
                self.failure = f"{job}: {answer.status}"
                return
            self.states[job] = {wanted}
            self.done += 1


def found_groups(page):
    """The number of each job's group in a page, after a look at all of its lines."""
    lines = collections.defaultdict(list)
    for job, n, value in re.findall(
        r'^(?:last|filler){instance="",job="([\w-]+)"(?:,n="(\d+)")?} (\S+)$', page, re.M):
        lines[job].append((n, float(value)))
    for job, values in lines.items():
        number = values[0][1]
        check(len(values) == 1 + number % 40 and {value for _, value in values} == {number} and
              len({n for n, _ in values}) == len(values), f"{job} is torn: {values}")
    return {job: int(values[0][1]) for job, values in lines.items()}


class Kills(TestCase):
    def test_kills(self):
        """Killed right after the answer."""
        lost = 0
        with sidecar() as program:
            for number in range(KILLS):
                body = b"# TYPE last gauge\nlast %d\n" % number + b"".join(
                    b"filler{n=\"%d\"} %d\n" % (n, number) for n in range(number % 200))
                status, _ = program.request("PUT", f"/metrics/job/j{number % 3}", body)
                program.kill()
                check(status == 200, f"push {number}: {status}")
                program.start()
                page = program.request("GET", "/metrics")[1]
                expected = b'last{instance="",job="j%d"} %d.0\n' % (number % 3, number)
                whole = page.count(b'job="j%d",n="' % (number % 3)) == number % 200
                lost += expected not in page or not whole
            check(lost == 0, f"{lost} of {KILLS} pushes were lost or torn")
            check(b"damaged" not in open(os.path.join(program.folder, "log"), "rb").read(),
                  "a damaged file")
        print(f"  {KILLS} kills, no push lost, none torn")

    def test_pushes_deletes_and_wipes(self):
        """Several clients push and delete at once, now and then all is wiped, and it is killed in
        the midst."""
        dice = random.Random(KILLS)
        states = collections.defaultdict(lambda: {None})
        done = 0
        with sidecar("--push-admin") as program:
            for turn in range(max(1, KILLS // 4)):
                pushers = [Pusher(program.port, f"p{n}", dice.random(), states) for n in range(4)]
                for pusher in pushers:
                    pusher.start()
                target = dice.randrange(1, 400)
                wait_for(lambda: sum(p.done for p in pushers) >= target
                         or any(p.failure for p in pushers), "pushes")
                is_wiped = turn % 3 == 2
                if is_wiped:
                    program.request("PUT", "/api/v1/admin/wipe")
                program.kill()
                for pusher in pushers:
                    pusher.join()
                    check(pusher.failure is None, pusher.failure)
                    done += pusher.done
                program.start()
                groups = found_groups(program.request("GET", "/metrics")[1].decode())
                for job, known in states.items():
                    # A wipe takes what was answered before it; clients went on after it.
                    check(groups.get(job) in known or is_wiped and job not in groups,
                          f"{job} is {groups.get(job)}, not one of {known}")
                    states[job] = {groups.get(job)}
            check(b"damaged" not in open(os.path.join(program.folder, "log"), "rb").read(),
                  "a damaged file")
        print(f"  {turn + 1} kills among {done} answered pushes and deletes of 4 clients: no "
              f"group lost, none torn")


if __name__ == "__main__":
    main()
