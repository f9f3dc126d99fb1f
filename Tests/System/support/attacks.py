"""Clients that attack by HTTP or on a line socket: what arrives and never ends, what is asked for
in heaps and never read, half frames, silent connections."""
import contextlib
import selectors
import socket
import threading


def request(line, *fields):
    return ("\r\n".join([line + " HTTP/1.1", "Host: 127.0.0.1", *fields]) + "\r\n\r\n").encode()


def writes(path):
    """What arrives and never ends: a head and what follows it, again and again."""
    post = f"POST {path}"
    return [
        (40, request(post, "Transfer-Encoding: chunked"), b"1\r\nA\r\n" * 5000),
        (40, request(post, "Content-Length: 1000000"), b"x" * 9000),
        (100, request(post, "Content-Length: 1000000"), b"x"),
        (40, f"GET {path} HTTP/1.1\r\nHost: a\r\n".encode(), b"X: " + b"y" * 200 + b"\r\n"),
        (40, b"", b"\r\n")]


def reads(*lines):
    """What is asked for in heaps, and never read."""
    return [(40, b"", request(line) * 500) for line in lines]


class Attack(threading.Thread):
    """As many clients as it is told, each of which sends its start and then its rest for ever, and
    connects anew when it is closed. What is answered is not read."""

    def __init__(self, port, count, start, rest):
        super().__init__(daemon=True)
        self.port, self.count, self.first, self.rest = port, count, start, rest
        self.is_ending = threading.Event()

    def run(self):
        selector = selectors.DefaultSelector()
        for _ in range(self.count):
            self.connect(selector)
        while not self.is_ending.is_set():
            for key, _ in selector.select(0.1):
                try:
                    key.fileobj.send(key.data[0] or self.rest)
                    key.data[0] = b""
                except BlockingIOError:
                    pass
                except OSError:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    self.connect(selector)
            self.is_ending.wait(0.02)
        for key in list(selector.get_map().values()):
            key.fileobj.close()

    def connect(self, selector):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.connect(("127.0.0.1", self.port))
        selector.register(client, selectors.EVENT_WRITE, [self.first])


@contextlib.contextmanager
def attacked(port, attacks):
    threads = [Attack(port, *each) for each in attacks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.is_ending.set()
        for thread in threads:
            thread.join(20)


class Neighbours:
    """What others do to a sidecar with `--push` meanwhile, as a throw of the dice has it: it may
    cost nobody a count. What they open stays open for a while."""

    def __init__(self, sidecar, dice):
        self.sidecar, self.dice = sidecar, dice
        self.open, self.attack, self.done = [], None, {}

    def act(self):
        what = self.dice.choice((self.half_frames, self.silent, self.requests_as_lines, self.junk,
                                 self.push, self.browse, self.floods))
        self.done[what.__name__] = self.done.get(what.__name__, 0) + 1
        try:
            what()
        except OSError:
            pass  # The worker was killed meanwhile, or has closed it.

    def connect(self, kind):
        client = (self.sidecar.unix("events.sock", socket.SOCK_STREAM) if kind == "events" else
                  socket.create_connection(("127.0.0.1", getattr(self.sidecar, kind)), timeout=5))
        client.settimeout(5)
        self.open.append(client)
        while len(self.open) > 300:
            self.open.pop(self.dice.randrange(len(self.open))).close()
        return client

    def half_frames(self):
        for _ in range(self.dice.randint(1, 40)):
            self.connect("events").sendall(
                (500_000).to_bytes(4, "little") + b"x" * self.dice.randrange(60_000))

    def silent(self):
        kind = self.dice.choice(("events", "tcp", "metrics"))
        for _ in range(self.dice.randint(1, 60)):
            self.connect(kind)

    def requests_as_lines(self):
        for kind in ("events", "tcp"):
            self.connect(kind).sendall(b"POST / HTTP/1.1\r\nHost: x\r\n\r\npair:1|c\n")

    def junk(self):
        client = self.connect(self.dice.choice(("events", "tcp", "metrics")))
        client.sendall(b"\xff\xff\xff" + self.dice.randbytes(self.dice.randrange(3000)) + b"\n")

    def push(self):
        """Bodies of up to 1 MiB that are refused at the end, or replace a group."""
        count = self.dice.choice((10, 5000, 80_000))
        body = self.dice.choice((
            b"m{" + b",".join(b"l%d=\"\"" % n for n in range(count)) + b"} 1\n",
            b"\n".join(b"m%d 1" % n for n in range(count // 4)) + b"\n",
            b"# TYPE m counter\n" + b"m{a=\"b\"} 1\n" * (count // 4)))
        client = self.connect("metrics")
        client.sendall(request("POST /metrics/job/neighbour", f"Content-Length: {len(body)}")
                       + body)

    def browse(self):
        self.connect("metrics").sendall(request(
            self.dice.choice(("POST /-/reload", "PUT /metrics/job/x", "GET /metrics")),
            "Origin: http://elsewhere.example", "User-Agent: Mozilla/5.0", "Content-Length: 0"))

    def floods(self):
        """Chunks, bodies, heads and heaps of requests that never end; the ones before end."""
        self.end()
        port = self.sidecar.metrics
        attacks = writes("/metrics/job/attack") + writes("/-/reload") + reads(
            "GET /metrics", "GET /-/ready", "GET /nothing")
        self.attack = Attack(port, self.dice.randint(1, 8), *self.dice.choice(attacks)[1:])
        self.attack.start()

    def end(self):
        if self.attack:
            self.attack.is_ending.set()
            self.attack.join(20)
        self.attack = None

    def close(self):
        self.end()
        for client in self.open:
            client.close()
