"""What the checks of running programs share: how one fails, how it waits, and a run of named ones."""
import argparse
import os
import re
import socket
import time


def check(condition, *words):
    if not condition:
        raise SystemExit("FAILED: " + " ".join(str(word) for word in words))


def wait_for(condition, what, seconds=60):
    """Waits for a condition that has to hold; the limit is for what never comes, not for speed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.005)
    raise SystemExit(f"FAILED: waited {seconds} s for {what}")


def settle(condition, seconds=3):
    """Waits for a condition that may never hold; the caller's checks decide."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        time.sleep(0.005)


def left_out(options, why):
    """A check that cannot run here is a failure unless that was asked for."""
    if not options.allow_missing:
        raise SystemExit(f"FAILED: {why} (--allow-missing goes on without this check)")
    options.left_out += 1
    print(f"  LEFT OUT: {why}")


def awake(pid):
    """How often it goes to sleep by itself in two seconds or what the machine makes of them: a loop that
    spins or naps does so all the time."""
    def switches():
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", file.read(), re.M).group(1))
    before, start = switches(), time.monotonic()
    time.sleep(2)
    return switches() - before, time.monotonic() - start


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def parser(description, programs="dist/linux-amd64"):
    """The options that every run of named checks has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--programs", default=programs)
    made.add_argument("--only", help="the name of one check")
    return made


def run(checks, options, call):
    """Runs each check, or the one that --only names, by `call(check, programs)`; tells its name, its
    first line of documentation and its time."""
    chosen = [each for each in checks if options.only in (None, each.__name__)]
    check(chosen, f"no check is called {options.only}; there are "
          + ", ".join(each.__name__ for each in checks))
    for each in chosen:
        start = time.monotonic()
        print(f"{each.__name__}: {each.__doc__}", flush=True)
        call(each, os.path.abspath(options.programs))
        print(f"  ok, {time.monotonic() - start:.1f} s", flush=True)
    return len(chosen)
