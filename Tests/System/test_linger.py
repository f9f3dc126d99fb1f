#!/usr/bin/env python3
"""--linger: after SIGTERM the sidecar goes on until clients have left and the last events are
scraped, and no longer.

    Tests/System/run linger
"""
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from unittest import TestCase, main

from support import dice
from support.checks import as_process_1, awake, check, wait_for
from support.lingering import (
    ENDS, OVER, SEEN, SIGNAL, Lingering, Scraper, count, ended, regular)
from support.sidecar import Session, Sidecar


class Linger(TestCase):
    def lingering(self, *flags, time="60s", **more):
        """A sidecar with --linger, alone and under --supervise."""
        for supervise in (), ("--supervise",):
            with Sidecar("--linger", time, *supervise, *flags, **more) as sidecar:
                yield sidecar

    def test_ends_after_the_last_scrape(self):
        """It waits for the reader that came twice, counts what is sent meanwhile, and goes at
        once after the scrape that has it all."""
        for sidecar in self.lingering():
            scraper = regular(sidecar)
            sidecar.send("jobs:1|c")
            with Lingering(sidecar) as stop:
                stop.lives()
                sidecar.send("jobs:1|c")
                check("jobs_total 2.0" in scraper.take(), "the last scrape has not all")
                stop.ends(SEEN, 0)

    def test_nothing_to_wait_for(self):
        """With nothing counted, or all seen, it ends at once, and without --linger as ever."""
        for sidecar in self.lingering():
            sidecar.process.terminate()
            ended(sidecar, SEEN, 0)
        for sidecar in self.lingering():
            sidecar.send("jobs:1|c")
            regular(sidecar).take()
            sidecar.process.terminate()
            ended(sidecar, SEEN, 0)
        with Sidecar() as sidecar:
            sidecar.send("jobs:1|c")
            sidecar.process.terminate()
            check(sidecar.process.wait(20) == 0 and not ENDS.search(sidecar.output()),
                  sidecar.output())

    def test_who_does_not_end_it(self):
        """A scrape that is cut, curl, a name[] query, HEAD and one half of a Prometheus pair do
        not end the wait."""
        for sidecar in self.lingering():
            # A page that no pair of socket buffers holds.
            sidecar.send(*(f"big:1|c|#tag:{n}{'x' * 900}" for n in range(6000)))
            first, second = regular(sidecar), regular(sidecar, address="127.0.0.3")
            sidecar.send("jobs:1|c")
            with Lingering(sidecar) as stop:
                check("jobs_total 1.0" in first.take(), "one half has not all")
                sidecar.page()
                curl = Scraper(sidecar, agent="curl/7.88.1", address="127.0.0.3")
                check("jobs_total 1.0" in curl.take(), "curl has not all")
                check("jobs_total 1.0" in second.take("/metrics?name[]=jobs_total"), "no filter")
                second.take(method="HEAD")
                with socket.socket() as cut:
                    cut.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    cut.bind(("127.0.0.3", 0))
                    cut.connect(("127.0.0.1", sidecar.metrics))
                    cut.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n"
                                b"User-Agent: Prometheus/2.42.0\r\n\r\n")
                    check(len(cut.recv(4096)) > 0, "nothing came")
                stop.lives()
                second.take()
                stop.ends(SEEN, 0)

    def test_job(self):
        """A job that nobody has scraped twice: anybody's whole scrape ends the wait, but not a
        part of one."""
        for sidecar in self.lingering():
            with sidecar.unix("statsd.sock") as client:
                client.send(b"jobs:1|c")
            with Lingering(sidecar) as stop:
                Scraper(sidecar).take("/metrics?name[]=jobs_total")
                stop.lives()
                # HTTP/1.0, as a shell script has it: our side ends the connection.
                with socket.create_connection(("127.0.0.1", sidecar.metrics)) as s:
                    s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                    page = b""
                    while chunk := s.recv(65536):
                        page += chunk
                check(b"jobs_total 1.0" in page, "the scrape has not all")
                stop.ends(SEEN, 0)

    def test_open_clients(self):
        """A client that is connected is waited for, and what it sends then is seen too: the app
        that drains while the pod ends."""
        for sidecar in self.lingering():
            scraper = regular(sidecar)
            app = Session(sidecar.path("events.sock"))
            count(app, "requests:1|c")
            with Lingering(sidecar) as stop:
                scraper.take()
                stop.lives()
                count(app, "requests:1|c")
                app.socket.close()
                stop.lives()
                check("requests_total 2.0" in scraper.take(), "the scrape has not all")
                stop.ends(SEEN, 0)

    def test_ends_with_its_time_or_a_second_signal(self):
        """When its time is over it ends, and says how many events no scrape has seen; at once at a
        second SIGTERM, and at SIGINT."""
        for sidecar in self.lingering(time="1500ms"):
            regular(sidecar)
            sidecar.send("jobs:1|c", "jobs:2|c", "jobs:4|c")
            sidecar.process.terminate()
            ended(sidecar, OVER, 3)
            check(int(ENDS.search(sidecar.output())[1]) >= 1500, sidecar.output())
        for second in signal.SIGTERM, signal.SIGINT:
            for sidecar in self.lingering():
                regular(sidecar)
                sidecar.send("jobs:1|c")
                with Lingering(sidecar) as stop:
                    sidecar.process.send_signal(second)
                    stop.ends(SIGNAL, 1)
        for sidecar in self.lingering():
            sidecar.send("jobs:1|c")
            sidecar.process.send_signal(signal.SIGINT)
            ended(sidecar, SIGNAL, 1)

    def test_orders(self):
        """compose stops the app, then process 1 of the sidecar; systemd stops the app's unit, then
        sends SIGTERM to parent and worker both, in any order: that is one signal."""
        for order in ["parent"], ["parent", "worker"], ["worker", "parent"]:
            with Sidecar("--linger", "60s", "--supervise") as sidecar:
                scraper = regular(sidecar)
                app = Session(sidecar.path("events.sock"))
                count(app, "jobs:1|c")
                app.close()
                processes = {"parent": sidecar.process.pid, "worker": sidecar.worker()}
                for each in order:
                    os.kill(processes[each], signal.SIGTERM)
                with Lingering(sidecar, is_told=True) as stop:
                    stop.lives()
                    check("jobs_total 1.0" in scraper.take(), "the scrape has not all")
                    stop.ends(SEEN, 0)

    def test_floods_and_hangers_on(self):
        """Who floods without a connection, or connects and stays, cannot keep it beyond its time;
        one that connects while it lingers is waited for; a reload changes nothing."""
        with Sidecar("--linger", "1500ms") as sidecar:
            flood = sidecar.unix("statsd.sock")
            flood.setblocking(False)
            flood.send(b"flood:1|c")
            sidecar.process.terminate()
            while sidecar.process.poll() is None:
                with contextlib.suppress(OSError):
                    flood.send(b"flood:1|c\n" * 50)
                time.sleep(0.0005)
            reason, unseen = ENDS.search(sidecar.output()).groups()[1:]
            check(sidecar.process.returncode == 0 and reason == OVER and int(unseen) > 0,
                  sidecar.output())
        for sidecar in self.lingering(time="4s"):
            sidecar.send("jobs:1|c")
            with Lingering(sidecar) as stop:
                late = sidecar.unix("events.sock", socket.SOCK_STREAM)
                sidecar.process.send_signal(signal.SIGHUP)
                Scraper(sidecar).take()
                stop.lives()
                stop.ends(OVER, 0)
                late.close()

    def test_signals_without_a_worker(self):
        """While the next worker waits for its turn, SIGTERM has it linger, and a second one has it
        end: what nobody has applied is applied."""
        for second in False, True:
            with Sidecar("--linger", "60s", "--supervise") as sidecar:
                regular(sidecar)
                client = sidecar.unix("statsd.sock")
                # The pause before the next worker grows: 640 ms.
                for _ in range(7):
                    wait_for(sidecar.worker, "a worker")
                    victim = sidecar.worker()
                    os.kill(victim, signal.SIGKILL)
                    wait_for(lambda: sidecar.worker() != victim, "its end")
                client.send(b"jobs:1|c")
                with Lingering(sidecar, is_told=True) as stop:
                    if not second:
                        sidecar.process.terminate()
                        wait_for(lambda: "Told to stop" in sidecar.output(), "it to linger")
                        stop.lives()
                        check("jobs_total 1.0" in Scraper(sidecar).take(), "not applied")
                        stop.ends(SEEN, 0)
                        continue
                    sidecar.process.terminate()
                    time.sleep(0.1)
                    sidecar.process.terminate()
                    stop.ends(SIGNAL, 1)
                sidecar.start()
                sidecar.expect({"jobs_total": 1.0})

    def test_killed_while_it_lingers(self):
        """SIGKILL while lingering, at any point of a stop: the state file has all. Of a worker,
        another goes on lingering and waits for both halves of a pair."""
        for point in range(6):
            with Sidecar("--linger", "60s") as sidecar:
                scraper = regular(sidecar)
                app = Session(sidecar.path("events.sock"))
                count(app, "requests:1|c")
                with Lingering(sidecar):
                    if point > 0:
                        count(app, "requests:1|c")
                    if point > 1:
                        scraper.take()
                    if point > 2:
                        app.socket.close()
                    if point > 3:
                        sidecar.send("requests:5|c")
                        sidecar.page()
                    if point > 4:
                        scraper.take()
                    sidecar.process.kill()
                    sidecar.process.wait()
                sidecar.start()
                expected = [1, 2, 2, 2, 7, 7][point]
                sidecar.expect({"requests_total": float(expected)})
                sidecar.process.kill()
        with Sidecar("--linger", "60s", "--supervise") as sidecar:
            first, second = regular(sidecar), regular(sidecar, address="127.0.0.3")
            sidecar.send("jobs:1|c")
            with Lingering(sidecar) as stop:
                sidecar.kill_worker()
                wait_for(lambda: sidecar.output().count("Told to stop") == 2, "it to linger again")
                sidecar.send("jobs:1|c")
                first.close()
                check("jobs_total 2.0" in first.take(), "the scrape has not all")
                stop.lives()
                second.close()
                second.take()
                stop.ends(SEEN, 0)
        # And at any moment, while a client sends: each frame counts once.
        chance = dice()
        for _ in range(15):
            with Sidecar("--linger", "60s") as sidecar:
                app = Session(sidecar.path("events.sock"))
                count(app, "requests:1|c")
                regular(sidecar)
                sent = 1
                end = time.monotonic() + chance.uniform(0, 0.06)
                sidecar.process.terminate()
                while time.monotonic() < end:
                    app.put("requests:1|c")
                    sent += 1
                    app.socket.sendall(app.waiting[-1][1])
                sidecar.process.kill()
                sidecar.process.wait()
                app.close()
                sidecar.start()
                app.flush()
                sidecar.expect({"requests_total": float(sent)})
                sidecar.process.kill()
        # A parent that is killed takes its lingering worker with it: the port is free again.
        with Sidecar("--linger", "60s", "--supervise") as sidecar:
            sidecar.send("jobs:1|c")
            worker = sidecar.worker()
            with Lingering(sidecar):
                sidecar.process.kill()
                sidecar.process.wait()
                wait_for(lambda: not os.path.exists(f"/proc/{worker}"), "the worker's end")

    def test_stops_at_every_point(self):
        """SIGTERM at any moment of a scrape that is on its way: each event is on a scrape that was
        taken, or the log says that it is not."""
        for round_ in range(12):
            with Sidecar("--linger", "2s", *(("--supervise",) if round_ % 2 else ())) as sidecar:
                scraper = regular(sidecar)
                pages = []

                def scrape():
                    try:
                        while True:
                            pages.append(scraper.take())
                            time.sleep(0.02)
                    except (OSError, http.client.HTTPException):
                        pass

                thread = threading.Thread(target=scrape)
                thread.start()
                with sidecar.unix("statsd.sock") as client:
                    sent = 0
                    for _ in range(20 + round_):
                        client.send(b"jobs:1|c")
                        sent += 1
                        time.sleep(0.001)
                    sidecar.process.terminate()
                    # Those that come after the signal count while it is there.
                    client.send(b"jobs:1|c")
                    sent += 1
                thread.join()
                check(sidecar.process.wait(20) == 0, "it failed")
                last = [line for line in pages[-1].splitlines() if line.startswith("jobs_total ")]
                seen = int(float(last[0].split()[1]))
                reason, unseen = ENDS.search(sidecar.output()).groups()[1:]
                check(reason == SEEN and unseen == "0", f"it says {reason}, {unseen}")
                # The one sent after the signal may have come after the last look.
                check(seen >= sent - 1, f"{sent} sent, {seen} seen")

    def test_process_1(self):
        """As process 1 of a container, with and without --supervise."""
        for sidecar in self.pid_1():
            scraper = regular(sidecar)
            sidecar.send("jobs:1|c")
            child = int(subprocess.run(
                ["pgrep", "-P", str(sidecar.process.pid)], capture_output=True,
                text=True).stdout.split()[0])
            os.kill(child, signal.SIGTERM)
            wait_for(lambda: "Told to stop" in sidecar.output(), "the sidecar to linger")
            time.sleep(0.5)
            check(sidecar.process.poll() is None, "it ended: " + sidecar.output())
            scraper.take()
            wait_for(lambda: sidecar.process.poll() is not None, "the end")
            ended(sidecar, SEEN, 0)

    def pid_1(self):
        before = as_process_1()

        class Contained(Sidecar):
            def arguments(self):
                return [*before, *super().arguments()]

        for supervise in (), ("--supervise",):
            with Contained("--linger", "60s", *supervise) as sidecar:
                yield sidecar

    def test_idle(self):
        """While it lingers with nothing to do, nothing wakes it up."""
        with Sidecar("--linger", "60s") as sidecar:
            regular(sidecar)
            sidecar.send("jobs:1|c")
            with Lingering(sidecar):
                count, seconds = awake(sidecar.process.pid)
                check(count <= 2, f"it woke up {count} times in {seconds:.1f} s")
                sidecar.process.send_signal(signal.SIGTERM)

    def test_push(self):
        """A push is waited for as an event is."""
        for sidecar in self.lingering("--push"):
            scraper = regular(sidecar)
            with socket.create_connection(("127.0.0.1", sidecar.metrics)) as s:
                s.sendall(b"POST /metrics/job/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
                          b"Connection: close\r\n\r\npushed 1\n")
                check(b" 200 " in s.recv(4096), "the push is refused")
            with Lingering(sidecar) as stop:
                stop.lives()
                scraper.take()
                stop.ends(SEEN, 0)


if __name__ == "__main__":
    main()
