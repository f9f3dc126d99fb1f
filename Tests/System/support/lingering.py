"""A sidecar with --linger: its readers, the wait for its end, and what it says then."""
import http.client
import re
import signal
import time

from support.checks import check, wait_for

# Milliseconds, the reason, and how many events no scrape has seen.
ENDS = re.compile(r"Ends (\d+) ms after it was told to: ([^;]+); (\d+) events that no scrape")
SEEN, OVER = "its readers have taken the last events", "the time of --linger is over"
SIGNAL = "a further signal came"


def ended(sidecar, reason, unseen):
    """It has ended with 0, or does so now, for this reason."""
    check(sidecar.process.wait(20) == 0, f"it ended with {sidecar.process.returncode}")
    found = ENDS.findall(sidecar.output())
    check(len(found) == 1, f"it says {found}, once is enough: {sidecar.output()}")
    check((found[0][1], int(found[0][2])) == (reason, unseen), f"it says {found[0]}")


class Scraper:
    """One reader: Prometheus as its User-Agent says, from an address of its own on loopback, with a
    connection that stays open."""

    def __init__(self, sidecar, address="127.0.0.2", agent="Prometheus/2.42.0"):
        self.agent = agent
        self.connection = http.client.HTTPConnection(
            "127.0.0.1", sidecar.metrics, timeout=20, source_address=(address, 0))

    def take(self, path="/metrics", method="GET"):
        self.connection.request(method, path, headers={"User-Agent": self.agent})
        return self.connection.getresponse().read().decode()

    def close(self):
        self.connection.close()


class Lingering:
    """A sidecar that has been told to stop, with a thread's eye on when it ends."""

    def __init__(self, sidecar, is_told=False):
        self.sidecar, self.is_told = sidecar, is_told

    def __enter__(self):
        if not self.is_told:
            self.sidecar.process.send_signal(signal.SIGTERM)
            wait_for(lambda: "Told to stop" in self.sidecar.output(), "the sidecar to linger")
        return self

    def __exit__(self, *_):
        pass

    def lives(self):
        """It has not ended, and answers: after this, what came before has had its effect."""
        check(self.sidecar.process.poll() is None, "it ended: " + self.sidecar.output())
        check(self.sidecar.page("/-/healthy") == "healthy\n", "it does not answer")
        # Two looks at receipts.
        time.sleep(0.6)
        check(self.sidecar.process.poll() is None, "it ended: " + self.sidecar.output())

    def ends(self, reason, unseen):
        """It ends by itself, with 0, and says why."""
        wait_for(lambda: self.sidecar.process.poll() is not None, "the end")
        ended(self.sidecar, reason, unseen)


def count(session, line):
    """Has a session's client send a line, and waits for the acknowledgement."""
    session.put(line)
    if session.socket:
        session.socket.sendall(session.waiting[-1][1])
    session.flush()


def regular(sidecar, **who):
    """A reader that came twice."""
    scraper = Scraper(sidecar, **who)
    scraper.take()
    scraper.take()
    return scraper
