"""The same requests to the sidecar and to Pushgateway.

    Tests/System/run push_side_by_side [PUSHGATEWAY=PATH]

The requests are in support/push_requests.py. Every difference from Pushgateway that is expected has
a line in support/push_differences.py, with the versions that have it, and docs/push.md explains it.
"""
import json
import re
from unittest import TestCase, main

from support.checks import check
from support.push_bodies import HISTOGRAM_TEXT, NATIVE_FLOAT, PROTOBUF, native
from support.push_differences import DIFFERENCES, OTHER_SERIES, differences
from support.push_requests import REQUESTS
from support.push_servers import (
    PUSHGATEWAY, histogram_fields, pushgateway, samples, sidecar, version)
from support.readers import HISTOGRAM, PROTO, parse_protobuf


def same_histograms(ours, theirs, other_series):
    """Compares the pages' histograms in protobuf; how many there are."""
    pages = []
    for program in (ours, theirs):
        families = parse_protobuf(program.request("GET", "/metrics", headers={"Accept": PROTO})[1])
        pages.append({
            family.name
            + json.dumps({pair.name: pair.value for pair in metric.label}, sort_keys=True):
            histogram_fields(metric.histogram)
            for family in families if family.type == HISTOGRAM for metric in family.metric
            if not re.match("go_|process_|metrics_sidecar_|pushgateway_", family.name)})
    for key in sorted(set(pages[0]) | set(pages[1])):
        pair = [page.get(key) for page in pages]
        check(pair[0] == pair[1] or any(re.match(p, key.replace("{", "_count{"))
                                        for p in other_series), f"{key}: {pair}")
    return len(pages[0])


class SideBySide(TestCase):
    def test_documented(self):
        """Every expected difference is explained."""
        with open("docs/push.md") as page:
            text = page.read()
        for name in DIFFERENCES:
            check(f"`{name}`" in text, f"docs/push.md does not explain `{name}`")
        for pattern, why, *_ in OTHER_SERIES:
            check(why in text, f"docs/push.md does not say: {why}")

    def test_compare(self):
        """The same requests to both."""
        ours, theirs = sidecar("--push-admin"), pushgateway()
        with ours, theirs:
            number = version(PUSHGATEWAY)
            expected, other_series = differences(number)
            unexpected = []
            seen = set()
            for name, method, path, body, headers in REQUESTS:
                here = ours.request(method, path, body, headers)
                there = theirs.request(method, path, body, headers)
                if here[0] != there[0]:
                    seen.add(name)
                    if expected.get(name) != (here[0], there[0]):
                        unexpected.append(
                            f"{name}: {here[0]} here, {there[0]} there: {here[1][:150]} / "
                            f"{there[1][:150]}")
            pages = [samples(p.request("GET", "/metrics")[1], p is theirs) for p in (ours, theirs)]
            for key in sorted(set(pages[0]) | set(pages[1])):
                pair = (pages[0].get(key), pages[1].get(key))
                if pair[0] != pair[1] and not any(re.match(p, key) for p in other_series):
                    unexpected.append(f"{key}: {pair[0]} here, {pair[1]} there")
            for name in set(expected) - seen:
                unexpected.append(f"{name}: no difference any more; take it out of the table")
            check(not unexpected, "differences:\n  " + "\n  ".join(unexpected))
            count = same_histograms(ours, theirs, other_series)
            # A group whose key has an empty instance is a twin of the one without.
            for program in (ours, theirs):
                twin = program.request("PUT", "/metrics/job/c/instance@base64/=", b"u2 1\n")[0]
                check(twin == 400, f"a twin of a group: {twin}")
            after = [p.request("GET", "/metrics")[0] for p in (ours, theirs)]
            check(after[0] == 200, f"/metrics after a refused push: {after[0]}")
            print(f"  after a push that both refuse, /metrics is {after[0]} here and {after[1]} "
                  f"there")
            wipe = [p.request("PUT", "/api/v1/admin/wipe")[0] for p in (ours, theirs)]
            check(wipe == [202, 202], f"wipe: {wipe}")
            check(not samples(ours.request("GET", "/metrics")[1]), "groups after a wipe")
        print(f"  Pushgateway {number[0]}.{number[1]}: {len(REQUESTS)} requests, {len(expected)} "
              f"with another status and "
              f"{len(other_series)} kinds of series told otherwise, {len(pages[0])} lines of "
              f"exposition and "
              f"{count} histograms in protobuf compared")

    def test_same_api(self):
        """The query API of both."""

        def cleaned(data):
            out = {}
            for group in data["data"]:
                for name, value in group.items():
                    if isinstance(value, dict) and "time_stamp" in value:
                        check(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$",
                                       value.pop("time_stamp")), "a time")
                        if name.startswith("push_"):
                            for metric in value["metrics"]:
                                metric["value"] = float(metric["value"]) > 0
                        for metric in value["metrics"]:
                            # A native histogram's: bounds of powers of 2 may differ in their last
                            # digit.
                            if isinstance(metric.get("buckets"), list):
                                metric["buckets"] = [
                                    [row[0], *(f"{float(number):.12g}" for number in row[1:])]
                                    for row in metric["buckets"]]
                out[json.dumps(group["labels"], sort_keys=True)] = group
            return out

        ours, theirs = sidecar(), pushgateway()
        with ours, theirs:
            for path, body in [
                ("/metrics/job/a/z/1",
                 b"# HELP b \"q\" \\\\ \\n<\n# TYPE b gauge\nb{x=\"1\"} 2.5\nb{x=\"2\"} 1234567\n"
                 b"b{x=\"3\"} 0.00001234\nb{x=\"4\"} 123456\nb{x=\"5\"} -Inf\nb{x=\"6\\n\\\"<\"} "
                 b"1e21\nb{x=\"7\"} -0.5\n"),
                ("/metrics/job/h", HISTOGRAM_TEXT),
                ("/metrics/job/s",
                 b"# TYPE s summary\ns{quantile=\"0.5\"} 0.0001\ns_sum 1\ns_count 2\n"),
                ("/metrics/job/bad", b"x 1 5\n"),
            ]:
                for program in (ours, theirs):
                    program.request("PUT", path, body)
            if version(PUSHGATEWAY) >= (1, 8):
                for path, body in [("/metrics/job/native", native()),
                                   ("/metrics/job/floats", NATIVE_FLOAT)]:
                    for program in (ours, theirs):
                        program.request("PUT", path, body, {"Content-Type": PROTOBUF})
            answers = [cleaned(json.loads(p.request("GET", "/api/v1/metrics")[1]))
                       for p in (ours, theirs)]
            check(answers[0] == answers[1],
                  f"the API's answers differ:\n{answers[0]}\n{answers[1]}")
            status = json.loads(ours.request("GET", "/api/v1/status")[1])
            check(set(status["data"]) == {"flags", "start_time", "build_information"}, "status")
            print(f"  {len(answers[0])} groups, the same but for the times")


if __name__ == "__main__":
    main()
