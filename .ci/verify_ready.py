#!/usr/bin/env python3
"""A sidecar that something goes wrong with goes on, and says on /-/ready what it cannot do, on a real
process: its rules file breaks, its socket files go, it runs out of descriptors or disk.

    python3 .ci/verify_ready.py --programs dist/linux-amd64 [--only NAME]
"""
import json

import checks
from checks import check, wait_for
from sidecar import Sidecar


def rules(name):
    return json.dumps({"families": [
        {"name": name, "type": "counter", "labels": ["q"], "events": [{"event": "jobs"}]}]})


def broken_rules(programs):
    """--supervise: a worker that is killed while the rules file is bad leaves the good rules in force."""
    with Sidecar(programs, "--supervise", rules=rules("first_total")) as sidecar:
        def write(text):
            with open(sidecar.path("rules.json"), "w", encoding="utf-8") as file:
                file.write(text)

        def count(name, value, **expected):
            sidecar.send("jobs:1|c|#q:a")
            sidecar.expect({name + '{q="a"}': value, **expected})
        good = "metrics_sidecar_config_last_reload_successful"
        when = "metrics_sidecar_config_last_reload_success_timestamp_seconds"
        loaded = sidecar.values()[when]
        count("first_total", 1, **{good: 1})
        write('{"families": [')
        # Twice: what the first one has taken over is there for the second.
        for value in (2, 3):
            sidecar.kill_worker()
            count("first_total", value, **{good: 0, when: loaded})
        words = "The worker that takes over keeps the last good rules: " + sidecar.path("rules.json")
        check(sidecar.output().count(words) == 2, sidecar.output())
        check("jobs_total" not in "".join(sidecar.values()), "a name without rules")
        # Rules that were reloaded are the last good ones, not those of the start.
        write(rules("second_total"))
        response, _ = sidecar.get("/-/reload", "POST", content_length="0")
        check(response.status == 200, response.status)
        count("second_total", 1, **{good: 1})
        write("no JSON")
        response, _ = sidecar.get("/-/reload", "POST", content_length="0")
        check(response.status == 400, response.status)
        sidecar.kill_worker()
        count("second_total", 2, **{good: 0, "metrics_sidecar_worker_restarts_total": 3})
        # A mended file counts from the next worker on, as from a reload.
        write(rules("third_total"))
        sidecar.kill_worker()
        count("third_total", 1, **{good: 1})
        # A start has no rules to keep: it ends, with the mistake in one line.
        write("no JSON")
        sidecar.stop()
        check(sidecar.process.returncode == 0, sidecar.process.returncode)
        result = sidecar.run()
        check(result.returncode == 2 and result.stderr.count("\n") == 1
              and "rules.json: line 1, column " in result.stderr, str(result))


CHECKS = [broken_rules]


def main():
    done = checks.run(CHECKS, checks.parser(__doc__).parse_args(), lambda each, programs: each(programs))
    print(f"{done} passed, 0 failed")


if __name__ == "__main__":
    main()
