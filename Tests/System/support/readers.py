"""Pages as programs that others wrote read them: the official Python parsers, and protobuf with the
public field numbers. All give {(name, labels): value}."""
import math

# The two parsers are for those who read pages by this module.
from google.protobuf import (
    descriptor_pb2, descriptor_pool, message_factory, unknown_fields)
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_text

from support.checks import check

OPEN = "application/openmetrics-text;version=1.0.0"
PROTO = ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
         "encoding=delimited")


def schema():
    """The public `metrics.proto`, as far as this page uses it, by its field numbers."""
    field = descriptor_pb2.FieldDescriptorProto
    kinds = {"string": field.TYPE_STRING, "double": field.TYPE_DOUBLE, "uint64": field.TYPE_UINT64,
             "int64": field.TYPE_INT64, "int32": field.TYPE_INT32, "sint32": field.TYPE_SINT32,
             "uint32": field.TYPE_UINT32, "sint64": field.TYPE_SINT64}
    messages = {
        "Timestamp": "1 seconds int64, 2 nanos int32",
        "LabelPair": "1 name string, 2 value string",
        "Exemplar": "1 label LabelPair*, 2 value double, 3 timestamp Timestamp",
        "Gauge": "1 value double",
        "Counter": "1 value double, 2 exemplar Exemplar, 3 created_timestamp Timestamp",
        "Quantile": "1 quantile double, 2 value double",
        "Summary": "1 sample_count uint64, 2 sample_sum double, 3 quantile Quantile*, "
                   "4 created_timestamp Timestamp",
        "Untyped": "1 value double",
        "BucketSpan": "1 offset sint32, 2 length uint32",
        "Bucket": "1 cumulative_count uint64, 2 upper_bound double, 3 exemplar Exemplar, "
                  "4 cumulative_count_float double",
        "Histogram": "1 sample_count uint64, 2 sample_sum double, 3 bucket Bucket*, "
                     "4 sample_count_float double, 5 schema sint32, 6 zero_threshold double, "
                     "7 zero_count uint64, 8 zero_count_float double, 9 negative_span BucketSpan*, "
                     "10 negative_delta sint64*, 11 negative_count double*, "
                     "12 positive_span BucketSpan*, 13 positive_delta sint64*, "
                     "14 positive_count double*, 15 created_timestamp Timestamp, "
                     "16 exemplars Exemplar*",
        "Metric": "1 label LabelPair*, 2 gauge Gauge, 3 counter Counter, 4 summary Summary, "
                  "5 untyped Untyped, 6 timestamp_ms int64, 7 histogram Histogram",
        "MetricFamily": "1 name string, 2 help string, 3 type int32, 4 metric Metric*, "
                        "5 unit string",
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="metrics.proto", package="io.prometheus.client", syntax="proto2")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for number, label, kind in (part.split() for part in fields.split(", ")):
            repeated = kind.endswith("*")
            kind = kind.rstrip("*")
            made = message.field.add(
                name=label, number=int(number),
                label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL)
            if kind in kinds:
                made.type = kinds[kind]
            else:
                made.type = field.TYPE_MESSAGE
                made.type_name = f".io.prometheus.client.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName("io.prometheus.client.MetricFamily"))


FAMILY = schema()
COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM = range(5)


def parse_protobuf(page):
    families = []
    index = 0
    while index < len(page):
        length = shift = 0
        while True:
            byte = page[index]
            index += 1
            length |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                break
        family = FAMILY()
        check(family.ParseFromString(page[index:index + length]) == length, "a message is cut")
        check(len(unknown_fields.UnknownFieldSet(family)) == 0, "unknown fields")
        families.append(family)
        index += length
    return families


def samples_of_text(families):
    return {(s.name, tuple(sorted(s.labels.items()))): s.value
            for family in families for s in family.samples}


def samples_of_protobuf(families):
    samples = {}
    for family in families:
        for metric in family.metric:
            labels = {pair.name: pair.value for pair in metric.label}

            def add(suffix, value, **more):
                key = (family.name + suffix, tuple(sorted({**labels, **more}.items())))
                check(key not in samples, "twice:", key)
                samples[key] = value

            if family.type == HISTOGRAM:
                for bucket in metric.histogram.bucket:
                    bound = bucket.upper_bound
                    add("_bucket", bucket.cumulative_count,
                        le="+Inf" if math.isinf(bound) else repr(bound))
                if not any(math.isinf(b.upper_bound) for b in metric.histogram.bucket):
                    add("_bucket", metric.histogram.sample_count, le="+Inf")
                add("_count", metric.histogram.sample_count)
                add("_sum", metric.histogram.sample_sum)
            elif family.type == SUMMARY:
                for quantile in metric.summary.quantile:
                    add("", quantile.value, quantile=repr(quantile.quantile))
                add("_count", metric.summary.sample_count)
                add("_sum", metric.summary.sample_sum)
            elif family.type == COUNTER:
                add("", metric.counter.value)
            elif family.type == GAUGE:
                add("", metric.gauge.value)
            else:
                add("", metric.untyped.value)
    return samples


def without_time(samples):
    """Without what differs between two scrapes by nature."""
    skipped = ("process_", "metrics_sidecar_scrape", "metrics_sidecar_pause")
    return {key: value for key, value in samples.items()
            if not key[0].startswith(skipped) and not key[0].endswith("_created")}
