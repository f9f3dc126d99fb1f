"""What a sidecar with --linger says at its end."""
import re

from support.checks import check

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
