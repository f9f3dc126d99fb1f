"""Neighbours that attack by HTTP, all at once, on both programs in containers of 64 MiB: memory
stays within the limit, probes are answered, and each count is right.

    Tests/System/run attacks [SECONDS=8]
"""
import contextlib
import signal
import socket
import time
from unittest import TestCase, main

from support import setting
from support.attacks import attacked, reads, request, writes
from support.checks import check, wait_for
from support.memory import Limit, taken
from support.pair import Pair, cpu
from support.sidecar import Session, Sidecar

SECONDS = setting("SECONDS", 8.0)
MEMORY = 64 << 20


def ask(port, path):
    """The whole answer; however slow the machine is that the attackers share, it has to come."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        client.sendall(request("GET " + path, "Connection: close"))
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
        return answer


class Attacks(TestCase):
    def test_both_programs(self):
        """Endless chunks, bodies and heads, heaps of requests whose answers nobody reads: of both
        programs at once, while a session counts and probes ask."""
        peaks = {"sidecar": 0, "app": 0}
        probes, slowest = 0, 0
        with Limit(MEMORY, "sidecar") as first, Limit(MEMORY, "app") as second, Pair() as pair:
            pair.start_sidecar("--push", preexec_fn=first.join)
            pair.start_app(preexec_fn=second.join)
            session = Session(pair.path("events.sock"))
            with attacked(pair.metrics, writes("/metrics/job/attack") + writes("/-/reload") + reads(
                    "GET /metrics", "POST /-/reload", "GET /-/ready", "GET /nothing")), \
                    attacked(pair.api, writes("/bye") + reads("GET /docs", "GET /", "PUT /")):
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    session.put("counted:3|c")
                    session.flush()
                    session.close()
                    for port, path, expected in ((pair.metrics, "/-/healthy", b"healthy"),
                                                 (pair.metrics, "/-/ready", b"HTTP/1.1 "),
                                                 (pair.api, "/health", b'"ok"')):
                        process = pair.app if port == pair.api else pair.sidecar
                        before = cpu(process)
                        answer = ask(port, path)
                        slowest = max(slowest, cpu(process) - before)
                        check(expected in answer, path, "is answered", answer)
                    probes += 1
                    peaks["sidecar"] = max(peaks["sidecar"], taken(pair.sidecar.pid))
                    peaks["app"] = max(peaks["app"], taken(pair.app.pid))
            check(pair.sidecar.poll() is None and pair.app.poll() is None, "a program has ended")
            for _ in range(20):
                pair.get(pair.api, "/health")
            wait_for(lambda: pair.values().get("counted_total") == 3 * session.number,
                     "each event of the session")
            values = pair.values()
            closed = {name.split('"')[1]: int(value) for name, value in values.items()
                      if name.startswith("metrics_sidecar_http_connections_closed_total{")}
            # Which of the limits an attack meets first is the machine's.
            check(closed["memory"] + closed["evicted"] > 0, "no attacker was closed", closed)
            check(values["healthcheck_requests_total"] == probes + 20,
                  values["healthcheck_requests_total"], "of", probes + 20, "requests are counted")
            wait_for(lambda: pair.values()["metrics_sidecar_client_memory_bytes"] < 64 << 10,
                     "what the clients held to be given back")
        for name, peak in peaks.items():
            check(peak < MEMORY, f"the {name} took {peak} bytes")
            print(f"  {name}: {peak >> 10} KiB of anonymous and shared memory")
        print(f"  {probes} rounds of probes, each after {slowest:.2f} s of CPU at most; "
              f"{session.number} frames counted; closed {closed}")

    def test_memory_of_the_app(self):
        """Heads that do not end and answers that nobody reads, beyond simple-server's
        --max-client-memory, cost their clients the connection, and are counted so."""
        with Pair() as pair, contextlib.ExitStack() as clients:
            pair.start_sidecar()
            pair.start_app("--workers", "1", "--max-client-memory", "1MiB")
            for _ in range(300):
                client = clients.enter_context(socket.create_connection(("127.0.0.1", pair.api)))
                with contextlib.suppress(OSError):  # It may have to go.
                    client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 7000)
            pair.get(pair.api, "/health")
            name = 'http_connections_closed_total{reason="memory"}'
            wait_for(lambda: pair.values().get(name, 0) > 100, "closed clients are counted")

    def test_full_buffers(self):
        """A scrape has to see what hundreds of clients had sent before it, 40 MB of it, to the
        event; it is read in slices, and a probe that comes after the scrape is answered before
        it."""
        with Sidecar() as sidecar:
            sidecar.process.send_signal(signal.SIGSTOP)
            clients, lines = [], 0
            for _ in range(200):
                client = sidecar.unix("events.sock", socket.SOCK_STREAM)
                client.setblocking(False)
                clients.append(client)
                sent = 0
                with contextlib.suppress(BlockingIOError):
                    while True:
                        sent += client.send((b"a:1|c\n" * 5000)[sent % 6:])
                lines += sent // 6
            scrape, probe = (socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=60)
                             for _ in range(2))
            scrape.sendall(request("GET /metrics", "Connection: close"))
            probe.sendall(request("GET /-/healthy", "Connection: close"))
            sidecar.process.send_signal(signal.SIGCONT)
            check(probe.recv(12) == b"HTTP/1.1 200", "the probe is not answered")
            with contextlib.suppress(BlockingIOError):
                scrape.setblocking(False)
                check(not scrape.recv(1), "the scrape came first")
            scrape.settimeout(60)
            page = b""
            while chunk := scrape.recv(65536):
                page += chunk
            check(b"\na_total %d.0\n" % lines in page, "of", lines, "lines the page has",
                  [line for line in page.splitlines() if line.startswith(b"a_total")])
            print(f"  {lines} lines of {len(clients)} clients are on the page")

    def test_heaps_of_probes(self):
        """64 KiB of requests for /-/ready beside 900 clients of events.sock look at these once for
        each read, and others are answered between."""
        with Sidecar() as sidecar:
            clients = [sidecar.unix("events.sock", socket.SOCK_STREAM) for _ in range(900)]
            before = cpu(sidecar.process)
            count = 1000
            with socket.create_connection(("127.0.0.1", sidecar.metrics), timeout=60) as heap:
                heap.sendall(request("GET /-/ready") * (count - 1)
                             + request("GET /-/ready", "Connection: close"))
                check(sidecar.page("/-/healthy") == "healthy\n", "a probe was not answered")
                answers = b""
                while chunk := heap.recv(65536):
                    answers += chunk
            check(answers.count(b"HTTP/1.1 200") == count, "not each is answered")
            taken_seconds = cpu(sidecar.process) - before
            check(taken_seconds < 0.6, f"{count} answers took {taken_seconds} s of CPU")
            print(f"  {count} answers took {taken_seconds:.2f} s of CPU")
            for client in clients:
                client.close()


if __name__ == "__main__":
    main()
