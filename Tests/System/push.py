#!/usr/bin/env python3
"""Pushes: the same requests to the sidecar and to Debian's Pushgateway, the official clients, kills
right after an answer, and pushes a CPU second of both.

    .ci/python Tests/System/push.py --programs dist/linux-amd64 [--only NAME] [--pushgateway PATH]

The requests are in pushes/requests_table.py. Every difference from Pushgateway that is expected has
a line there, for the versions that have it, and docs/push.md explains it. Only loopback, free ports,
folders of their own.
"""
import os
import shutil

from support import checks
from support.checks import check
import test_push_beyond as beyond
import test_push_clients as clients
import test_push_kills as kills
import test_push_rates as rates
import test_push_side_by_side as side_by_side

CHECKS = [
    side_by_side.documented, side_by_side.compare, side_by_side.same_api, clients.python_client,
    clients.go_client, beyond.beyond, beyond.beside_events, beyond.formats, kills.kills,
    kills.pushes_deletes_and_wipes, rates.rates]


def main():
    parser = checks.parser(__doc__)
    parser.add_argument("--pushgateway", default=shutil.which("prometheus-pushgateway"))
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    check(options.pushgateway, "no prometheus-pushgateway on PATH: Debian's package of that name")

    def call(each, programs):
        options.program = os.path.join(programs, "metrics-sidecar")
        each(options)

    checks.run(CHECKS, options, call)
    print("pushes: all checks passed")


if __name__ == "__main__":
    main()
