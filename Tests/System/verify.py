#!/usr/bin/env python3
"""Promises checked on real processes: killed, stopped, absent, damaged. Standard library only.

    python3 Tests/System/verify.py --programs dist/linux-amd64 [--only NAME] [--kills 200]

Each check prints its numbers and ends the run when a promise does not hold. They are in test_counted.py, test_faults.py, test_waiting.py.
"""
import random

from support import checks
import test_counted as counted
import test_faults as faults
import test_waiting as waiting

CHECKS = [
    counted.endpoints, counted.sidecar_killed, counted.app_killed, counted.gone_client_counts,
    counted.deaf_client_costs_nothing, counted.scrapes_consistent, waiting.app_never_waits,
    waiting.no_descriptors,
    counted.damaged_state, faults.calls_fail, counted.prometheus, waiting.idle]


def main():
    parser = checks.parser(__doc__)
    parser.add_argument("--debug-programs", default=".build/debug",
                        help="programs in which system calls can be made to fail")
    parser.add_argument("--slices", type=int, default=5, help="pairs of slices in app_never_waits")
    parser.add_argument("--allow-missing", action="store_true",
                        help="go on without the checks whose tools are not installed")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    options.left_out = 0
    print(f"seed {options.seed}")
    done = checks.run(CHECKS, options, lambda each, programs: each(programs, options))
    print(f"{done - options.left_out} passed, 0 failed, {options.left_out} left out")


if __name__ == "__main__":
    main()
