"""Rules files with a mistake each: `check-rules` refuses all of them, and Helm those in CHART
before anything is installed. RIGHT has what looks like a mistake and is none: both take it.
"""


def family(**members):
    first = {"name": "x_total", "type": "counter", "events": [{"event": "x"}]}
    return {"families": [{**first, **members}]}


def event(**members):
    return family(events=[{"event": "x", **members}])


def histogram(**members):
    return family(name="x", type="histogram", **members)


def two(**second):
    again = {"name": "x_total", "events": [{"event": "y"}]}
    return {"families": [*family()["families"], {**again, **second}]}


CHART = {
    "an unknown member at the top": {"famillies": []},
    "an unknown member": family(typ="counter"),
    "an unknown member of an event": event(wenn={}),
    "families that are no list": {"families": {}},
    "unmatched events lost": {"unmatched": "lose"},
    "the second match": {"match": "second"},
    "a separator of two": {"separator": ".."},
    "a separator that is a star": {"separator": "*"},
    "an event that is a glob and a regex": event(regex="a"),
    "an event that is neither": family(events=[{"when": {"a": "b"}}]),
    "a regex of numbers": family(events=[{"regex": 5}]),
    "a separator of no one byte": event(separator="é"),
    "a family without a name": {"families": [{"type": "counter", "events": []}]},
    "a family without a type": {"families": [{"name": "x", "events": []}]},
    "another type": family(type="count"),
    "a name with a dash": family(name="x-y"),
    "a name that starts with a digit": family(name="9x"),
    "an empty name": family(name=""),
    "the sidecar's own name": family(name="metrics_sidecar_x"),
    "a process's name": family(name="process_x"),
    "the time of a push": family(name="push_time_seconds"),
    "help of numbers": family(help=1),
    "a label with a dash": family(labels=["a-b"]),
    "a label of Prometheus": family(labels=["__a"]),
    "the label le": family(labels=["le"]),
    "the label overflow": family(labels={"overflow": "a"}),
    "a label twice": family(labels=["a", "a"]),
    "a label that is a constant too": family(labels=["a"], constants={"a": "1"}),
    "a tag of numbers": family(labels={"a": 1}),
    "a constant of numbers": family(constants={"a": 1}),
    "a constant le": family(constants={"le": "1"}),
    "the label quantile of a summary": family(name="x", type="summary", labels=["quantile"]),
    "buckets of a counter": family(buckets=[1]),
    "no buckets": histogram(buckets=[]),
    "a bucket of text": histogram(buckets=["1"]),
    "buckets that fall": histogram(buckets=[1, 3, 2]),
    "a bucket twice": histogram(buckets=[1, 1]),
    "201 buckets": histogram(buckets=list(range(201))),
    "a ttl of numbers": family(ttl=10),
    "a ttl without a unit of time": family(ttl="10x"),
    "a ttl below a second": family(ttl="999ms"),
    "another action": family(action="keep"),
    "a drop with a name": {"families": [{"name": "x", "action": "drop", "events": []}]},
    "a drop without events": {"families": [{"action": "drop"}]},
    "an event without a name": family(events=[{}]),
    "an event that is a text": family(events=["x"]),
    "another match": event(match="last"),
    "an unknown type of event": event(types="histogram"),
    "a list with an unknown type of event": event(types=["counter", "timer"]),
    "a scale of 0": event(scale=0),
    "a scale of text": event(scale="2"),
    "a condition that is a number": event(when={"a": 1}),
    "a condition of another kind": event(when={"a": {"is": "x"}}),
    "an empty condition": event(when={"a": {}}),
    "other tags of another kind": family(other_tags="some"),
    "other tags without except": family(other_tags={"but": "a"}),
    "honor_labels as a text": family(honor_labels="yes"),
    "timings of a counter": family(timings="summary"),
    "timings of another kind": family(type="event", timings="gauge"),
    "a native counter": family(native=True),
    "a factor without native": histogram(bucket_factor=1.1),
    "a factor of 1": histogram(native=True, bucket_factor=1),
    "a zero threshold below 0": histogram(native=True, zero_threshold=-1),
    "a zero threshold without native": histogram(zero_threshold=0),
    "eight buckets at most": histogram(native=True, max_buckets=8),
    "a bound of buckets without native": histogram(max_buckets=160),
    "quantiles of a histogram": histogram(quantiles=[0.5]),
    "a quantile above 1": family(name="x", type="summary", quantiles=[2]),
    "quantiles that fall": family(name="x", type="summary", quantiles=[0.9, 0.5]),
    "no quantiles": family(name="x", type="summary", quantiles=[]),
    "33 quantiles": family(name="x", type="summary", quantiles=[n / 100 for n in range(33)]),
    "exact of a gauge": family(name="x", type="gauge", exact=100),
    "15 exact values": family(name="x", type="set", exact=15),
    "merge of a counter": family(merge="sum"),
    "minus of a counter": family(minus="step"),
    "another minus": family(name="x", type="gauge", minus="auto"),
    "another merge": family(name="x", type="gauge", merge="mean"),
    "a client without merge": family(name="x", type="gauge", client="pid"),
    "a client of the last": family(name="x", type="gauge", merge="last", client="pid"),
    "a window of a counter": family(window="5m"),
    "a window of the last": family(name="x", type="gauge", window="5m"),
    "a window of 0": family(name="x", type="set", window="0"),
    "an exemplar of a gauge": family(name="x", type="gauge", exemplar="trace_id"),
    "an empty exemplar": family(exemplar=""),
    "an exemplar's tag of 65 bytes": family(exemplar="a" * 65),
    "an exemplar's tag that is a label": family(exemplar="a", labels=["a"]),
    "an exemplar's tag under another label": family(exemplar="a", labels={"b": "a"}),
    "the same family with other help": two(help="Other"),
    "the same family as a gauge": two(type="gauge"),
    "more captures than stars": family(constants={"a": "$2"}, events=[{"event": "x.*"}]),
    "a capture in a name without stars": family(name="x_${1}_total"),
    "a capture that one event lacks": family(
        name="x_$1", events=[{"event": "x.*"}, {"event": "y"}]),
}
PROGRAM = {
    "a name that would be a line of a histogram": {"families": [
        histogram()["families"][0], family(name="x_count")["families"][0]]},
    "a ttl of two hundred years": family(ttl="73000d"),
    "a window of 25 days": family(name="x", type="set", window="25d"),
    "201 scales": family(events=[{"event": "x", "scale": n} for n in range(2, 203)]),
}
RIGHT = {
    "nothing": {},
    "no separator": {"separator": "", "families": []},
    "a family again with other labels": two(labels=["a"], type="counter"),
    "a native histogram again": {"families": [
        histogram(native=True)["families"][0], histogram(labels=["a"])["families"][0]]},
    "the event's own type, of a summary": family(type="event", timings="summary", window="5m"),
    "the event's own type, of a histogram": family(type="event", buckets=[1, 2], native=True),
    "a regex with a group": family(name="x_$1", events=[{"regex": "^(a|b)$", "types": "counter"}]),
    "two dollar signs": family(constants={"a": "$$1"}),
    "a capture of 0 is the first": family(constants={"a": "${0}"}, events=[{"event": "x.**"}]),
    "a dollar sign without a number": family(constants={"a": "$x"}),
    "quantile of a counter": family(labels=["quantile"]),
    "merge of the last": family(name="x", type="gauge", merge="last"),
    "a minus": family(name="x", type="gauge", minus="value"),
    "a ttl of 0": family(ttl="0"),
    "a drop": {"families": [{"action": "drop", "events": [{"event": "debug.*"}]}]},
    "a feed": family(action="feed"),
    "small buckets": histogram(buckets=[1e-9, 0.5, 1, 1e9, 1e21]),
    "a condition with not": event(when={"a": {"not": ["b", "c*"]}}),
}
