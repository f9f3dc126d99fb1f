#!/usr/bin/env python3
"""Large pages: time, memory, gzip, what intake feels of it, limits and rules. Standard library
only.

    python3 Benchmarks/bench_scrape.py [--programs dist/linux-amd64] [--only NAME] [--check]

Prints a table with peers that are installed, and names those that are not. `--check` judges only
what a busy machine cannot change: that pages are complete, memory bounded and nothing lost; it
measures no time.
"""
import argparse
import gzip
import json
import os
import socket
import statistics
import struct
import threading
import time

import pauses as pauses_
import peers as peers_
from large import (MIB, PREFIX, cpu_seconds, fill, filled, is_complete, line, page, resident_kib,
                   row, send, started)
from support.checks import check
from support.pair import Pair


def pages(options):
    """Pages of 1,000 to 1,000,000 series: whole, in bounded memory, at the same cost a series."""
    sizes = [1000, 10_000, 100_000] if options.check else [1000, 10_000, 100_000, 1_000_000]
    if not options.check:
        row("series", "page ms (least)", "CPU ms", "CPU ns a series", "above an empty page",
            "MiB after, peak")
    for count in sizes:
        with started(options, count) as pair:
            pid = pair.sidecar.pid
            _, empty = costs(pair, 0 if options.check else options.slices * 40)
            fill(pair, count)
            body, _ = page(pair.metrics)
            check(is_complete(body, count), f"a page of {count} series is not complete")
            peak = resident_kib(pid, "VmHWM")
            if count == 100_000:
                # 250 bytes a series, the page, and room for what the allocator keeps.
                check(peak < 64 * MIB, f"{peak} KiB at the peak of 100,000 series")
            if options.check:
                print(f"  {count} series: {len(body)} bytes, whole; {peak} KiB at the peak")
                continue
            times, used = costs(pair, max(3, min(options.slices * 400_000 // count, 500)))
            middle, least = statistics.median(used), statistics.median(empty)
            row(f"{count:,} ({len(body) / 1e6:.1f} MB)",
                f"{statistics.median(times) * 1e3:.1f} ({min(times) * 1e3:.1f})",
                f"{middle * 1e3:.2f}", f"{middle / count * 1e9:.0f}",
                f"{(middle - least) / count * 1e9:.0f}",
                f"{resident_kib(pid) / MIB:.0f}, {resident_kib(pid, 'VmHWM') / MIB:.0f}")


def costs(pair, scrapes, *fields):
    """The seconds that each of so many pages took, and the sidecar's CPU seconds."""
    times, used = [], []
    for _ in range(scrapes):
        before = cpu_seconds(pair.sidecar.pid)
        times.append(page(pair.metrics, *fields)[1])
        used.append(cpu_seconds(pair.sidecar.pid) - before)
    return times, used


def compressed(options):
    """The page of 100,000 series in gzip."""
    with filled(options, 100_000) as pair:
        pid = pair.sidecar.pid
        body, _ = page(pair.metrics, "Accept-Encoding: gzip")
        check(is_complete(gzip.decompress(body), 100_000), "the page in gzip is not complete")
        peak = resident_kib(pid, "VmHWM")
        check(peak < 64 * MIB, f"{peak} KiB at the peak of a page in gzip")
        if options.check:
            return print(f"  {len(body)} bytes, whole; {peak} KiB at the peak")
        _, used = costs(pair, options.slices * 3, "Accept-Encoding: gzip")
        row("100,000 series in gzip", f"{statistics.median(used) * 1e3:.1f} CPU ms",
            f"{len(body) / 1e6:.2f} MB", f"peak {peak / MIB:.0f} MiB")


def forms(options):
    """100,000 counters with two labels as each Prometheus asks for them, beside the text page."""
    wanted = {"text": ([], 1), "text, gzip": ([pauses_.GZIP], None),
              "OpenMetrics": ([pauses_.OPENMETRICS], 1.2),
              "OpenMetrics, gzip": ([pauses_.OPENMETRICS, pauses_.GZIP], 3.5),
              "protobuf": ([pauses_.PROTOBUF], 2.5),
              "protobuf, gzip": ([pauses_.PROTOBUF, pauses_.GZIP], 4.0)}
    with started(options, 100_000, "--max-exposition-size", "100MiB") as pair:
        send(pair.path("events.sock"), (
            f"app.requests:1|c|#endpoint:/path/{each},method:GET".encode()
            for each in range(100_000)))
        text = None
        for form, (fields, goal) in wanted.items():
            body, _ = page(pair.metrics, *fields)
            if options.check:
                print(f"  {form}: {len(body)} bytes")
                continue
            _, used = costs(pair, options.slices * 4, *fields)
            least = min(used)
            text = text or least
            row(f"{form} ({len(body) / 1e6:.2f} MB)", f"{least * 1e3:.2f} CPU ms",
                f"{least / text:.2f} of text", f"goal {goal}" if goal else "")


def beside(options):
    """Frames of a hundred events while pages of 100,000 series are written."""
    with filled(options, 100_000) as pair:
        path = pair.path("events.sock")
        more = [b"\n".join(line(n) for n in range(start, start + 100))
                for start in range(0, 100_000, 100)]
        is_over, sent = threading.Event(), [0]

        def feed():
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(path)
                while not is_over.is_set():
                    each = more[sent[0] % len(more)]
                    s.sendall(struct.pack("<I", len(each)) + each)
                    sent[0] += 1
                    time.sleep(0.0005)
        feeder = threading.Thread(target=feed)
        feeder.start()
        before = pages_read = 0
        for _ in range(options.slices):
            body, _ = page(pair.metrics)
            # Each frame adds one to a hundred series, or to none of them.
            total = sum(float(each.rsplit(b" ", 1)[1]) for each in body.split(b"\n")
                        if each.startswith(PREFIX.encode()))
            check(total % 100 == 0, f"a page has part of a frame: {total}")
            check(total >= before, "a page has less than the one before")
            before, pages_read = total, pages_read + 1
        is_over.set()
        feeder.join()
        body, _ = page(pair.metrics)
        total = sum(float(each.rsplit(b" ", 1)[1]) for each in body.split(b"\n")
                    if each.startswith(PREFIX.encode()))
        check(total == 100_000 + sent[0] * 100, f"{total} counted of {100_000 + sent[0] * 100}")
        print(f"  {pages_read} pages of whole frames; {sent[0] * 100} events beside them, none "
              f"lost")


def limited(options):
    """A million distinct series against --max-series 10000."""
    count = 200_000 if options.check else 1_000_000
    with Pair(options.programs) as pair:
        pair.start_sidecar("--max-series", "10000")
        send(pair.path("events.sock"), map(line, range(count)))
        body, _ = page(pair.metrics)
        total = sum(float(each.rsplit(b" ", 1)[1]) for each in body.split(b"\n")
                    if each.startswith(PREFIX.encode()))
        peak = resident_kib(pair.sidecar.pid, "VmHWM")
        check(total == count, f"{total} counted of {count}")
        check(peak < 64 * MIB, f"{peak} KiB for {count} series beyond the limit")
        print(f"  {count} distinct series: all counted, {peak / MIB:.1f} MiB at the peak")


def rules(options):
    """What an event costs under 1 to 500 rules: known ones, and each for the first time."""
    if options.check:
        return print("  (times only)")
    row("rules", "ns a known event", "ns a new event")
    for count in (1, 10, 100, 500):
        families = [{"name": f"family_{n}_total", "type": "counter", "labels": ["endpoint"],
                     "events": [{"event": f"event.{n}.*"}]} for n in range(count)]
        families[-1]["events"] = [{"event": "app.requests"}]
        with Pair(options.programs) as pair:
            path = pair.path("rules.json")
            with open(path, "w") as f:
                json.dump({"families": families}, f)
            pair.start_sidecar("--rules", path, "--max-series", "200000")
            costs = []
            for lines in (list(map(line, range(50_000))),
                          [line(n % 200) for n in range(1_000_000)]):
                before = cpu_seconds(pair.sidecar.pid)
                send(pair.path("events.sock"), lines)
                pair.get(pair.metrics, "/-/healthy")
                page(pair.metrics, path="/metrics?name[]=none")
                costs.append((cpu_seconds(pair.sidecar.pid) - before) / len(lines) * 1e9)
            row(str(count), f"{costs[1]:.0f}", f"{costs[0]:.0f}")


def pauses(options):
    """How long a scrape of each kind holds everybody else up."""
    if options.check:
        return print("  (times only)")
    pauses_.measure(options)


def peers(options):
    """The page of 100,000 series from others."""
    if options.check:
        return print("  (times only)")
    for measure in (peers_.go_client, peers_.pushgateway, peers_.exporter):
        measure(options)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", default="dist/linux-amd64")
    parser.add_argument("--only")
    parser.add_argument("--slices", type=int, default=5)
    parser.add_argument("--check", action="store_true", help="judge, and measure no time")
    options = parser.parse_args()
    options.programs = os.path.abspath(options.programs)
    checks = [pages, compressed, forms, beside, pauses, limited, rules, peers]
    if options.only and options.only not in [each.__name__ for each in checks]:
        parser.error(f"no {options.only}: " + ", ".join(each.__name__ for each in checks))
    for each in checks:
        if options.only in (None, each.__name__):
            print(f"{each.__name__}: {each.__doc__}", flush=True)
            each(options)


if __name__ == "__main__":
    main()
