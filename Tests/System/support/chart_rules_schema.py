"""What values.schema.json says of `sidecar.rules`: whatever `metrics-sidecar check-rules` refuses
for what one member, or one family, says. What compares two families, or two numbers of a list, is
in templates/_rules.tpl.
"""
LABEL = {"type": "string", "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$",
         "not": {"anyOf": [{"pattern": "^__"}, {"enum": ["le", "overflow"]}]}}
TAGS = {"type": "string"}
PATTERNS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
CAPTURE = r"\$[1-9]|\$\{[0-9]{1,2}\}"
NAME = {"type": "string", "pattern": f"^([a-zA-Z_:]|{CAPTURE})([a-zA-Z0-9_:]|{CAPTURE})*$",
        "not": {"pattern": "^(metrics_sidecar_|process_|push_(failure_)?time_seconds$)"}}
SEPARATOR = {"type": "string", "pattern": "^[ -)+-~]?$"}
TIME = "([0-9]+(ms|s|m|h|d))+"
EVENT_TYPE = {"enum": ["counter", "gauge", "timing", "set"]}


def members(**properties):
    return {"type": "object", "additionalProperties": False, "properties": properties}


def numbers(most, **item):
    return {"type": "array", "minItems": 1, "maxItems": most, "uniqueItems": True,
            "items": {"type": "number", **item}}


def of(*types, **more):
    """A member that belongs to families of these types."""
    return {"properties": {"type": {"enum": list(types)}, **more}, "required": ["type", *more]}


EVENT = {
    **members(
        event={"type": "string"},
        regex={"type": "string"},
        when={"type": "object", "additionalProperties": {"anyOf": [
            PATTERNS, {**members(**{"not": PATTERNS}), "required": ["not"]}]}},
        match={"enum": ["first", "all"]},
        types={"anyOf": [EVENT_TYPE, {"type": "array", "items": EVENT_TYPE}]},
        scale={"type": "number", "not": {"const": 0}},
        separator=SEPARATOR),
    "oneOf": [{"required": ["event"]}, {"required": ["regex"]}],
}
MEMBERS = dict(
    name=NAME,
    type={"enum": ["counter", "gauge", "histogram", "summary", "set", "event"]},
    help={"type": "string"},
    labels={"anyOf": [{"type": "array", "items": LABEL, "uniqueItems": True},
                      {"type": "object", "propertyNames": LABEL, "additionalProperties": TAGS}]},
    constants={"type": "object", "propertyNames": LABEL,
               "additionalProperties": {"type": "string"}},
    buckets=numbers(200),
    ttl={"type": "string", "pattern": f"^([0-9]+|{TIME})$",
         "not": {"pattern": "^0*[1-9][0-9]{0,2}ms$"}},
    events={"type": "array", "items": EVENT},
    action={"enum": ["feed", "drop"]},
    other_tags={"anyOf": [{"enum": ["keep", "drop"]},
                          {**members(**{"except": PATTERNS}), "required": ["except"]}]},
    honor_labels={"type": "boolean"},
    timings={"enum": ["summary", "histogram"]},
    native={"type": "boolean"},
    bucket_factor={"type": "number", "minimum": 1.0027, "maximum": 65536},
    zero_threshold={"type": "number", "minimum": 0, "maximum": 1e300},
    max_buckets={"type": "number", "minimum": 16, "maximum": 1000},
    quantiles=numbers(32, minimum=0, maximum=1),
    exact={"type": "number", "minimum": 16, "maximum": 40000},
    merge={"enum": ["last", "sum", "min", "max", "livesum", "livemin", "livemax"]},
    minus={"enum": ["step", "value"]},
    client={"type": "string"},
    exemplar={"type": "string", "minLength": 1, "maxLength": 64},
    window={"type": "string", "pattern": f"^([1-9][0-9]*|{TIME})$",
            "not": {"pattern": "^0*[1-9][0-9]{0,2}ms$"}},
)
NATIVE = {"native": {"const": True}}
SHARED = {"merge": {"enum": ["sum", "min", "max", "livesum", "livemin", "livemax"]}}
EVENT_SUMMARY = of("event", timings={"const": "summary"})
HISTOGRAM = {"anyOf": [of("histogram"), {**of("event"), "not": EVENT_SUMMARY}]}
SUMMARY = {"anyOf": [of("summary"), EVENT_SUMMARY]}
WITH_NATIVE = {"allOf": [HISTOGRAM, {"properties": NATIVE, "required": ["native"]}]}
OWNERS = {
    "timings": of("event"),
    "buckets": HISTOGRAM,
    "native": HISTOGRAM,
    "bucket_factor": WITH_NATIVE,
    "zero_threshold": WITH_NATIVE,
    "max_buckets": {"anyOf": [SUMMARY, WITH_NATIVE]},
    "quantiles": SUMMARY,
    "exact": of("set"),
    "merge": of("gauge"),
    "minus": of("gauge"),
    "client": of("gauge", **SHARED),
    "exemplar": {"anyOf": [of("counter"), HISTOGRAM]},
    "window": {"anyOf": [SUMMARY, of("set"), of("gauge", **SHARED)]},
}
QUANTILE_LABEL = {"properties": {"labels": {"not": {"anyOf": [
    {"type": "array", "contains": {"const": "quantile"}},
    {"type": "object", "required": ["quantile"]}]}},
    "constants": {"not": {"required": ["quantile"]}}}}
FAMILY = {
    **members(**MEMBERS),
    "dependencies": OWNERS,
    "if": {"properties": {"action": {"const": "drop"}}, "required": ["action"]},
    "then": {"required": ["events"], "propertyNames": {"enum": ["action", "events"]}},
    "else": {"required": ["name"], "if": of("summary"), "then": QUANTILE_LABEL},
}
RULES = members(
    unmatched={"enum": ["expose", "drop"]},
    match={"enum": ["first", "all"]},
    separator=SEPARATOR,
    families={"type": "array", "items": FAMILY},
)
