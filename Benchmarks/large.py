"""A sidecar filled with many series, and whole pages of it. Standard library only."""
import os
import re
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "Tests", "System"))
from support.checks import check  # noqa: E402
from support.pair import Pair  # noqa: E402

PREFIX = "app_requests_total{"
MIB = 1024


def line(number):
    return f"app.requests:1|c|#endpoint:/path/{number},method:GET,status:200".encode()


def frames(lines, limit=8192):
    """Frames of whole lines, of so many bytes at most."""
    part, size = [], 0
    for each in lines:
        if part and size + len(each) + 1 > limit:
            yield struct.pack("<I", size - 1) + b"\n".join(part)
            part, size = [], 0
        part.append(each)
        size += len(each) + 1
    if part:
        yield struct.pack("<I", size - 1) + b"\n".join(part)


def send(path, lines):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        for frame in frames(lines):
            s.sendall(frame)


def page(port, *fields, path="/metrics"):
    """The body of one answer, and the seconds it took."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        request = "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *fields])
        buffer, chunks = bytearray(1 << 20), []
        begin = time.perf_counter()
        s.sendall(request.encode() + b"\r\n\r\n")
        while count := s.recv_into(buffer):
            chunks.append(bytes(memoryview(buffer)[:count]))
        took = time.perf_counter() - begin
    head, _, body = b"".join(chunks).partition(b"\r\n\r\n")
    check(head.startswith(b"HTTP/1.1 200"), f"an answer of {head[:80]!r}")
    return (chunked(body) if b"chunked" in head.lower() else body), took


def chunked(body):
    parts, at = [], 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2:end + 2 + size])
        at = end + 4 + size


def is_complete(body, count, value=b" 1.0"):
    """Whether each of the series is there once, with its value."""
    found = [each for each in body.split(b"\n") if each.startswith(PREFIX.encode())]
    return (len(found) == count and len(set(found)) == count
            and all(each.endswith(value) for each in found))


def started(options, count, *flags):
    """A pair whose sidecar has room for so many series."""
    pair = Pair(options.programs)
    pair.start_sidecar("--max-series", str(count + 1000), *flags)
    return pair


def fill(pair, count):
    send(pair.path("events.sock"), map(line, range(count)))


def filled(options, count, *flags):
    pair = started(options, count, *flags)
    fill(pair, count)
    return pair


def row(what, *texts):
    print(f"  {what:<36}" + "".join(f"{each:>20}" for each in texts), flush=True)


def build(name, folder):
    """A C program of this folder, compiled."""
    target = os.path.join(folder, name)
    subprocess.run(["gcc", "-O3", "-o", target, os.path.join(HERE, name + ".c")], check=True)
    return target


def cpu_seconds(pid):
    """User and system time of all threads of a process, to the nanosecond."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def resident_kib(pid, field="VmRSS"):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(field + r":\s+(\d+)", f.read()).group(1))
