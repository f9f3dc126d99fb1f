"""What Pushgateway answers and shows otherwise than the sidecar, by its version."""

# name of the request: (status here, status there), explained in docs/push.md under that name; with
# the first version that has the difference, and the first that has not.
DIFFERENCES = {
    "spaces and commas": (200, 400),
    "snappy": (200, 400, (0, 0), (1, 6)),
    "zstd": (415, 400),
    "deflate": (415, 400),
    "HEAD of metrics": (200, 405),
    "HEAD of status": (200, 405),
    "protobuf with a bad name": (400, 200),
    "protobuf with a bad label": (400, 200, (1, 11)),
    "native that does not add up": (400, 200),
    "native of an unknown schema": (400, 200),
    "native with too few buckets": (400, 200),
    "native below zero": (400, 200),
    "metrics of the API": (200, 0, (1, 8)),
    "a bound twice": (400, 200),
    "a bucket without its bound": (400, 200),
    "a quantile that is no number": (400, 200),
    "le in the path": (400, 200),
    "le of a histogram in protobuf": (400, 200),
    "nothing after job/": (400, 307),
    "empty value": (200, 301),
    "bare line of a histogram": (400, 200),
}
# Series that one of the two has otherwise, and why, as docs/push.md says it; with versions as
# above.
OTHER_SERIES = [
    # What came of the requests above.
    (r"((TYPE|HELP) )?(sp|sn|ev|hl|b2|b3|9x|_x|pbl|lpb?|qn)(_bucket|_sum|_count)?({|$)",
     "another status"),
    (r'push_(failure_)?time_seconds{"instance": "", "job": "(sp|sn|hl|b2|b3|pbn|pbl|df|lpb?|qn)"',
     "another status"),
    (r'push_(failure_)?time_seconds{.*"y": "", "z": "1"}', "another status"),
    (r'push_(failure_)?time_seconds{"instance": "", "job": "gc"}', "a gzip body that is cut"),
    (r"pb_native(_bucket|_sum|_count){.*nw[1-4]", "another status"),
    (r'push_(failure_)?time_seconds{"instance": "", "job": "nw[1-4]"}', "another status"),
    (r"pb_(native_)?float(_bucket|_count){", "histograms of floats", (0, 0), (1, 10)),
    (r"HELP h$", "the first help text"),
    (r"hc_(bucket|count){", "without a `_count` line"),
]


def differences(version):
    """DIFFERENCES and the patterns of OTHER_SERIES that a version of Pushgateway has."""

    def has(since=(0, 0), until=(9, 0)):
        return since <= version < until

    return ({name: row[:2] for name, row in DIFFERENCES.items() if has(*row[2:])},
            [row[0] for row in OTHER_SERIES if has(*row[2:])])
