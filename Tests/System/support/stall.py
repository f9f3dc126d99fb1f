"""How long a program's loop keeps others waiting, by its own work: a process beside asks for
/-/healthy all the time and sees what CPU the program took between each request and its answer."""
import multiprocessing
import socket
import time

HEALTHY = b"GET /-/healthy HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def cpu_clock(pid):
    """The kernel's clock of a process's CPU time, in nanoseconds (clock_getcpuclockid(3))."""
    return (~pid << 3) | 2


def pings(port, pid, pipe):
    clock, longest = cpu_clock(pid), 0
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipe.send("ready")
        try:
            while not pipe.poll():
                before = time.clock_gettime_ns(clock)
                client.sendall(HEALTHY)
                if not client.recv(4096):
                    break
                longest = max(longest, time.clock_gettime_ns(clock) - before)
        except OSError:
            pass  # The program has ended.
    pipe.recv()
    pipe.send(longest / 1e6)


class Stall:
    """While it is entered; `milliseconds` is the longest stall afterwards."""

    def __init__(self, port, pid):
        self.port, self.pid, self.milliseconds = port, pid, None

    def __enter__(self):
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=pings, args=(self.port, self.pid, other),
                                               daemon=True)
        self.process.start()
        self.pipe.recv()
        return self

    def __exit__(self, *_):
        self.pipe.send("end")
        self.milliseconds = self.pipe.recv()
        self.process.join(20)
