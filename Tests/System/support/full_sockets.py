"""Sockets that hold as much as the kernel takes, while the sidecar reads nothing."""
import signal
from contextlib import contextmanager

from support.checks import check

LINE = b"kkk:1|c\n"


@contextmanager
def standing(sidecar):
    """The sidecar reads nothing meanwhile."""
    sidecar.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        sidecar.process.send_signal(signal.SIGCONT)


def fill(sidecar, count=400):
    """Clients of events.sock that have sent as much as the kernel takes: them, and their lines."""
    clients, lines = [], 0
    for _ in range(count):
        client = sidecar.unix("events.sock", 1)
        client.setblocking(False)
        clients.append(client)
        try:
            while True:
                sent = client.send(LINE * 512)
                check(sent % len(LINE) == 0, "half a line was sent:", sent)
                lines += sent // len(LINE)
        except BlockingIOError:
            pass
    return clients, lines
