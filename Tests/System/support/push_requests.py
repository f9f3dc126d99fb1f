"""The requests that go to the sidecar and to Pushgateway, and what may differ."""
import base64
import gzip
import struct
import zlib

from support.checks import check

TEXT = "text/plain; version=0.0.4"
PROTOBUF = ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
            "encoding=delimited")


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def double(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


def family(name, kind, *metrics, help_text=None):
    message = field(1, name) + (field(2, help_text) if help_text is not None else b"")
    message += varint(3 << 3) + varint(kind) + b"".join(field(4, m) for m in metrics)
    return varint(len(message)) + message


def label(name, value):
    return field(1, field(1, name) + field(2, value))


COUNTER = family(b"pb_total", 0, label(b"k", b'a"\n') + field(3, double(1, 3)), help_text=b"a\\b")
HISTOGRAM = family(
    b"pb_h", 4,
    field(7, varint(8) + varint(5) + double(2, 7.5)
          + field(3, varint(8) + varint(2) + double(2, 0.5))
          + field(3, varint(8) + varint(4) + double(2, 2))))
SUMMARY = family(
    b"pb_s", 2,
    field(4, varint(8) + varint(2) + double(2, 1) + field(3, double(1, .9) + double(2, 4))))


def signed(number, value):
    return varint(number << 3) + varint(value << 1 ^ value >> 63)


def native(*more, count=12):
    """A histogram of `count` samples with native buckets for 12, and `more` fields."""
    return family(
        b"pb_native", 4,
        field(7, varint(8) + varint(count) + double(2, 7.5) + signed(5, 3) + double(6, 1e-3)
              + varint(7 << 3)
              + varint(1) + field(9, signed(1, -3) + varint(16) + varint(2)) + signed(10, 1)
              + signed(10, 1)
              + field(12, signed(1, 3) + varint(16) + varint(2))
              + field(12, signed(1, 2) + varint(16) + varint(1))
              + signed(13, 5) + signed(13, -3) + signed(13, -1) + b"".join(more)))


NATIVE_FLOAT = family(
    b"pb_native_float", 4,
    field(7, double(4, 2.25) + double(2, 1) + signed(5, 1) + double(6, 1e-3) + double(8, 0.5)
          + field(12, signed(1, 0) + varint(16) + varint(2))
          + field(14, b"".join(double(1, v)[1:] for v in (0.5, 1.25)))))
NATIVE_EMPTY = family(b"pb_native_empty", 4,
                      field(7, signed(5, 3) + field(12, signed(1, 0) + varint(16) + varint(0))))
FLOAT = family(
    b"pb_float", 4,
    field(7, double(4, 2.5) + double(2, 1) + field(3, double(4, 1.5) + double(2, 1))))
# As client_golang has it after a time without observations.
IDLE_SUMMARY = family(
    b"pb_idle", 2, field(4, varint(8) + varint(7) + double(2, -1)
                         + field(3, double(1, .5) + double(2, float("nan")))
                         + field(3, double(1, .9) + double(2, -3))))
GROUP = varint(99 << 3 | 3) + varint(1 << 3) + varint(5) + varint(99 << 3 | 4)
STAMPED = family(b"pb_t", 1, field(2, double(1, 1)) + varint(6 << 3) + varint(1000))
NO_VALUE = family(b"pb_n", 1, label(b"k", b"1"))


def snappy_frame(data):
    """The framing format with plain chunks, and one compressed chunk that is a single literal."""
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ 0x82F63B78 if n & 1 else n >> 1
        table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    check(len(data) <= 60, "a short literal")
    block = varint(len(data)) + bytes([len(data) - 1 << 2]) + data
    chunk = masked.to_bytes(4, "little") + block
    return b"\xff\x06\x00\x00sNaPpY" + b"\x00" + len(chunk).to_bytes(3, "little") + chunk


def b64(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


HISTOGRAM_TEXT = b"""# HELP h A histogram
# TYPE h histogram
h_bucket{x="1",le="0.1"} 1
h_bucket{x="1",le="1"} 2
h_bucket{x="1",le="+Inf"} 3
h_sum{x="1"} 4.5
h_count{x="1"} 3
"""
# name, method, path, body, headers
REQUESTS = [
    ("put", "PUT", "/metrics/job/a",
     b"# TYPE c counter\nc 3\n# HELP g hi\n# TYPE g gauge\ng{x=\"1\"} 2.5\n", {}),
    ("put again", "PUT", "/metrics/job/a", b"# TYPE c counter\nc 4\n", {}),
    ("post adds", "POST", "/metrics/job/a", b"# TYPE g gauge\ng{x=\"2\"} 1\n", {}),
    ("post replaces the family", "POST", "/metrics/job/a", b"# TYPE g gauge\ng{x=\"3\"} 1\n", {}),
    ("labels in the path", "PUT", "/metrics/job/b/instance/i/z/1",
     b"u 1\nu{instance=\"w\",job=\"w\",y=\"2\"} 2\n", {}),
    ("instance of the body", "PUT", "/metrics/job/c", b"u{instance=\"body\"} 1\n", {}),
    ("histogram", "PUT", "/metrics/job/h", HISTOGRAM_TEXT, {}),
    ("summary", "PUT", "/metrics/job/s",
     b"# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 3\ns_count 2\n", {}),
    ("numbers", "PUT", "/metrics/job/n", b"n{v=\"1\"} NaN\nn{v=\"2\"} +Inf\nn{v=\"3\"} "
                                         b"-Inf\nn{v=\"4\"} 1e300\nn{v=\"5\"} -0\nn{v=\"6\"} .5\n",
     {}),
    ("spaces and commas", "PUT", "/metrics/job/sp",
     b" \tsp\t{ a = \"1\" , } \t 2 \n\n# comment\n#\n", {}),
    ("escapes", "PUT", "/metrics/job/esc", b"# HELP e a\\\\b\\nc\ne{a=\"\\\\\\\"\\n\"} 1\n", {}),
    ("UTF-8", "PUT", "/metrics/job/utf", "# HELP uu \u00e4\nuu{a=\"\u2713\"} 1\n".encode(), {}),
    ("empty put", "PUT", "/metrics/job/a", b"", {}),
    ("empty post", "POST", "/metrics/job/e", b"", {}),
    ("type only", "PUT", "/metrics/job/to", b"# TYPE to gauge\n", {}),
    ("untyped word", "PUT", "/metrics/job/uw", b"# TYPE uw untyped\nuw 1\n", {}),
    ("type in capitals", "PUT", "/metrics/job/tc", b"# TYPE tc COUNTER\ntc 1\n", {}),
    ("scattered family", "PUT", "/metrics/job/sc", b"sa 1\nsb 2\nsa{x=\"1\"} 3\n", {}),
    ("own times are dropped", "PUT", "/metrics/job/ot", b"push_time_seconds 5\nother 1\n", {}),
    ("base64 job", "PUT", f"/metrics/job@base64/{b64('a/b')}", b"x 1\n", {}),
    ("base64 label", "PUT", f"/metrics/job/x/p@base64/{b64('/v/ä')}", b"x 1\n", {}),
    ("base64 padded", "PUT", "/metrics/job/x/p@base64/YQ==", b"x 1\n", {}),
    ("base64 empty", "PUT", "/metrics/job/x/p@base64/=", b"x 1\n", {}),
    ("escaped slash", "PUT", "/metrics/job/x/q/a%2Fr/b", b"x 1\n", {}),
    ("escaped space", "PUT", "/metrics/job/x%20y", b"x 1\n", {}),
    ("trailing slash", "PUT", "/metrics/job/ts/", b"x 1\n", {}),
    ("label twice in the path", "PUT", "/metrics/job/tw/p/1/p/2", b"x 1\n", {}),
    ("job as a label", "PUT", "/metrics/job/tj/job/2", b"x 1\n", {}),
    ("gzip", "PUT", "/metrics/job/gz", gzip.compress(b"gz 1\n"), {"Content-Encoding": "gzip"}),
    ("snappy", "PUT", "/metrics/job/sn", snappy_frame(b"sn 1\n"), {"Content-Encoding": "snappy"}),
    ("broken gzip", "PUT", "/metrics/job/bg", b"nothing", {"Content-Encoding": "gzip"}),
    ("broken snappy", "PUT", "/metrics/job/bs", b"nothing", {"Content-Encoding": "snappy"}),
    ("zstd", "PUT", "/metrics/job/zs", b"\x28\xb5\x2f\xfdnothing", {"Content-Encoding": "zstd"}),
    ("protobuf", "PUT", "/metrics/job/pb", COUNTER + HISTOGRAM + SUMMARY,
     {"Content-Type": PROTOBUF}),
    ("protobuf gzip", "POST", "/metrics/job/pb", gzip.compress(COUNTER),
     {"Content-Type": PROTOBUF, "Content-Encoding": "gzip"}),
    ("native histogram", "PUT", "/metrics/job/nh", native(), {"Content-Type": PROTOBUF}),
    ("native and classic", "PUT", "/metrics/job/nc",
     native(field(3, varint(8) + varint(6) + double(2, 2))), {"Content-Type": PROTOBUF}),
    ("native without samples", "PUT", "/metrics/job/ne", NATIVE_EMPTY, {"Content-Type": PROTOBUF}),
    ("native of floats", "PUT", "/metrics/job/nf", NATIVE_FLOAT, {"Content-Type": PROTOBUF}),
    ("classic of floats", "PUT", "/metrics/job/cf", FLOAT, {"Content-Type": PROTOBUF}),
    ("native that does not add up", "PUT", "/metrics/job/nw1", native(count=13),
     {"Content-Type": PROTOBUF}),
    ("native of an unknown schema", "PUT", "/metrics/job/nw2", native(signed(5, 77)),
     {"Content-Type": PROTOBUF}),
    ("native with too few buckets", "PUT", "/metrics/job/nw3",
     native(field(12, signed(1, 0) + varint(16) + varint(1))), {"Content-Type": PROTOBUF}),
    ("native below zero", "PUT", "/metrics/job/nw4", native(
        field(12, signed(1, 0) + varint(16) + varint(1)) + signed(13, -9)),
     {"Content-Type": PROTOBUF}),
    ("gauge histogram", "PUT", "/metrics/job/gh", family(
        b"pb_gh", 5, field(7, varint(8) + varint(1) + double(2, 1))), {"Content-Type": PROTOBUF}),
    # Pushgateway 1.5 cannot write one and ends its page there.
    ("gauge histogram deleted", "DELETE", "/metrics/job/gh", b"", {}),
    ("protobuf cut", "PUT", "/metrics/job/pc", COUNTER[:-3], {"Content-Type": PROTOBUF}),
    ("protobuf timestamp", "PUT", "/metrics/job/pt", STAMPED, {"Content-Type": PROTOBUF}),
    ("protobuf without value", "PUT", "/metrics/job/pn", NO_VALUE, {"Content-Type": PROTOBUF}),
    ("protobuf as text", "PUT", "/metrics/job/px", COUNTER, {}),
    ("delete", "DELETE", "/metrics/job/n", b"", {}),
    ("delete unknown", "DELETE", "/metrics/job/never", b"", {}),
    ("no newline", "PUT", "/metrics/job/w1", b"a 1", {}),
    ("CRLF", "PUT", "/metrics/job/w2", b"a 1\r\n", {}),
    ("no value", "PUT", "/metrics/job/w3", b"a\n", {}),
    ("not a number", "PUT", "/metrics/job/w4", b"a b\n", {}),
    ("hexadecimal", "PUT", "/metrics/job/w5", b"a 0x1p3\n", {}),
    ("bad name", "PUT", "/metrics/job/w6", b"9a 1\n", {}),
    ("bad label", "PUT", "/metrics/job/w7", b"a{9=\"1\"} 1\n", {}),
    ("label twice", "PUT", "/metrics/job/w8", b"a{b=\"1\",b=\"2\"} 1\n", {}),
    ("label __name__", "PUT", "/metrics/job/w9", b"a{__name__=\"1\"} 1\n", {}),
    ("open label", "PUT", "/metrics/job/w10", b"a{b=\"1\n", {}),
    ("unknown escape", "PUT", "/metrics/job/w11", b"a{b=\"\\t\"} 1\n", {}),
    ("unknown escape in help", "PUT", "/metrics/job/w11", b"# HELP a \\t\na 1\n", {}),
    ("label not UTF-8", "PUT", "/metrics/job/w12", b"a{b=\"\xff\"} 1\n", {}),
    ("unknown type", "PUT", "/metrics/job/w13", b"# TYPE a foo\na 1\n", {}),
    ("TYPE twice", "PUT", "/metrics/job/w14", b"# TYPE a gauge\n# TYPE a gauge\na 1\n", {}),
    ("HELP twice", "PUT", "/metrics/job/w15", b"# HELP a 1\n# HELP a 2\na 1\n", {}),
    ("TYPE after sample", "PUT", "/metrics/job/w16", b"a 1\n# TYPE a gauge\n", {}),
    ("bound not a number", "PUT", "/metrics/job/w17",
     b"# TYPE hw histogram\nhw_bucket{le=\"x\"} 1\n", {}),
    ("junk after value", "PUT", "/metrics/job/w18", b"a 1 x\n", {}),
    ("timestamp", "PUT", "/metrics/job/w19", b"a 1 1000\n", {}),
    ("timestamp into a group", "POST", "/metrics/job/c", b"u 1 1000\n", {}),
    ("series twice", "PUT", "/metrics/job/w20", b"# TYPE tw gauge\ntw 1\ntw 2\n", {}),
    ("series twice by the path", "PUT", "/metrics/job/w21", b"twp{job=\"1\"} 1\ntwp{job=\"2\"} 1\n",
     {}),
    ("another type", "PUT", "/metrics/job/w22", b"# TYPE x gauge\nx 1\n", {}),
    ("another help", "PUT", "/metrics/job/w23",
     b"# HELP h Another\n# TYPE h histogram\nh_sum 1\nh_count 1\n", {}),
    ("name of a histogram's line", "PUT", "/metrics/job/w24", b"h_count 1\n", {}),
    ("name of a summary's line", "PUT", "/metrics/job/w24", b"s_sum 1\n", {}),
    ("same series in another group", "PUT", "/metrics/job/c/instance/body", b"u 1\n", {}),
    ("no job", "PUT", "/metrics/job@base64/=", b"a 1\n", {}),
    ("odd path", "PUT", "/metrics/job/x/y", b"a 1\n", {}),
    ("reserved label", "PUT", "/metrics/job/x/__y/1", b"a 1\n", {}),
    ("bad label in the path", "PUT", "/metrics/job/x/9y/1", b"a 1\n", {}),
    ("bad base64", "PUT", "/metrics/job/x/y@base64/!!", b"a 1\n", {}),
    ("nothing after job", "PUT", "/metrics/job", b"a 1\n", {}),
    ("nothing after job/", "PUT", "/metrics/job/", b"a 1\n", {}),
    ("empty value", "PUT", "/metrics/job/x/y//z/1", b"ev 1\n", {}),
    ("GET of a group", "GET", "/metrics/job/x", b"", {}),
    ("PATCH of a group", "PATCH", "/metrics/job/x", b"", {}),
    ("PUT of metrics", "PUT", "/metrics", b"", {}),
    ("healthy", "GET", "/-/healthy", b"", {}),
    ("ready", "GET", "/-/ready", b"", {}),
    ("status", "GET", "/api/v1/status", b"", {}),
    ("metrics of the API", "GET", "/api/v1/metrics", b"", {}),
    ("histogram without buckets", "PUT", "/metrics/job/hn",
     b"# TYPE hn histogram\nhn_sum 1\nhn_count 2\n", {}),
    ("bucket without +Inf", "PUT", "/metrics/job/hb",
     b"# TYPE hb histogram\nhb_bucket{le=\"1\"} 2\nhb_sum 1\nhb_count 3\n", {}),
    ("histogram without count", "PUT", "/metrics/job/hc",
     b"# TYPE hc histogram\nhc_bucket{le=\"1\"} 2\nhc_sum 1\n", {}),
    ("bare line of a histogram", "PUT", "/metrics/job/hl", b"# TYPE hl histogram\nhl 2\n", {}),
    ("delete of an odd path", "DELETE", "/metrics/job/x/y", b"", {}),
    ("delete of bad base64", "DELETE", "/metrics/job/x/y@base64/!!", b"", {}),
    ("delete of no job", "DELETE", "/metrics/job@base64/=", b"", {}),
    ("delete by labels", "DELETE", "/metrics/job/b/z/1/instance/i", b"", {}),
    ("delete with a body", "DELETE", "/metrics/job/uw", b"nonsense", {}),
    ("HEAD of metrics", "HEAD", "/metrics", b"", {}),
    ("POST of metrics", "POST", "/metrics", b"x 1\n", {}),
    ("DELETE of metrics", "DELETE", "/metrics", b"", {}),
    ("HEAD of a group", "HEAD", "/metrics/job/x", b"", {}),
    ("OPTIONS of a group", "OPTIONS", "/metrics/job/x", b"", {}),
    ("job alone at the start of a word", "PUT", "/metrics/jobs/x", b"a 1\n", {}),
    ("another word", "PUT", "/metrics/instance/x", b"a 1\n", {}),
    ("POST of status", "POST", "/api/v1/status", b"", {}),
    ("HEAD of status", "HEAD", "/api/v1/status", b"", {}),
    ("OPTIONS of status", "OPTIONS", "/api/v1/status", b"", {}),
    ("PUT of the API's metrics", "PUT", "/api/v1/metrics", b"", {}),
    ("unknown path of the API", "GET", "/api/v1/nothing", b"", {}),
    ("another version of the API", "GET", "/api/v2/metrics", b"", {}),
    ("GET of wipe", "GET", "/api/v1/admin/wipe", b"", {}),
    ("POST of wipe", "POST", "/api/v1/admin/wipe", b"", {}),
    ("DELETE of wipe", "DELETE", "/api/v1/admin/wipe", b"", {}),
    ("POST of ready", "POST", "/-/ready", b"", {}),
    ("quit", "PUT", "/-/quit", b"", {}),
    ("unknown path", "GET", "/nothing", b"", {}),
    ("a query", "PUT", "/metrics/job/qu?x=1&y", b"qu 1\n", {}),
    ("identity", "PUT", "/metrics/job/id", b"idt 1\n", {"Content-Encoding": "identity"}),
    ("deflate", "PUT", "/metrics/job/df", zlib.compress(b"df 1\n"),
     {"Content-Encoding": "deflate"}),
    ("gzip of nothing", "PUT", "/metrics/job/gn", gzip.compress(b""), {"Content-Encoding": "gzip"}),
    ("gzip in two members", "PUT", "/metrics/job/g2",
     gzip.compress(b"gtwo") + gzip.compress(b" 1\n"), {"Content-Encoding": "gzip"}),
    ("gzip cut", "PUT", "/metrics/job/gc", gzip.compress(b"gcut 1\n" * 9)[:-5],
     {"Content-Encoding": "gzip"}),
    ("type of a form", "PUT", "/metrics/job/ct", b"ct 1\n",
     {"Content-Type": "application/x-www-form-urlencoded"}),
    ("type with a charset", "PUT", "/metrics/job/ct", b"ct 2\n",
     {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}),
    ("type of OpenMetrics", "PUT", "/metrics/job/om", b"# TYPE om gauge\nom 1\n# EOF\n",
     {"Content-Type": "application/openmetrics-text; version=1.0.0"}),
    ("protobuf of another encoding", "PUT", "/metrics/job/pe", COUNTER,
     {"Content-Type": PROTOBUF.replace("delimited", "text")}),
    ("protobuf of another message", "PUT", "/metrics/job/pm", COUNTER,
     {"Content-Type": PROTOBUF.replace("MetricFamily", "Other")}),
    ("protobuf without parameters", "PUT", "/metrics/job/pw", COUNTER,
     {"Content-Type": "application/vnd.google.protobuf"}),
    ("protobuf of nothing", "PUT", "/metrics/job/p0", b"", {"Content-Type": PROTOBUF}),
    ("protobuf with a bad name", "PUT", "/metrics/job/pbn",
     family(b"9x", 1, field(2, double(1, 1))), {"Content-Type": PROTOBUF}),
    ("protobuf with a bad label", "PUT", "/metrics/job/pbl",
     family(b"pbl", 1, label(b"9", b"1") + field(2, double(1, 1))), {"Content-Type": PROTOBUF}),
    ("protobuf with a label not UTF-8", "PUT", "/metrics/job/pbu",
     family(b"pbu", 1, label(b"k", b"\xff") + field(2, double(1, 1))), {"Content-Type": PROTOBUF}),
    ("protobuf with its own job", "PUT", "/metrics/job/pbj",
     family(b"pbj", 1, label(b"job", b"w") + field(2, double(1, 1))), {"Content-Type": PROTOBUF}),
    ("an exemplar", "PUT", "/metrics/job/ex", b"ex_total 1 # {trace=\"1\"} 1\n", {}),
    ("a NUL", "PUT", "/metrics/job/nul", b"nul{a=\"\0\"} 1\n", {}),
    ("a negative counter", "PUT", "/metrics/job/neg", b"# TYPE neg counter\nneg -1\n", {}),
    ("buckets that fall", "PUT", "/metrics/job/bf", b"# TYPE bf histogram\nbf_bucket{le=\"1\"} "
                                                    b"5\nbf_bucket{le=\"+Inf\"} 3\nbf_sum "
                                                    b"1\nbf_count 3\n", {}),
    ("a bound twice", "PUT", "/metrics/job/b2", b"# TYPE b2 histogram\nb2_bucket{le=\"1\"} "
                                                b"1\nb2_bucket{le=\"1.0\"} "
                                                b"2\nb2_bucket{le=\"+Inf\"} 3\nb2_sum 1\nb2_count "
                                                b"3\n", {}),
    ("a bucket without its bound", "PUT", "/metrics/job/b3",
     b"# TYPE b3 histogram\nb3_bucket 1\nb3_sum 1\nb3_count 3\n", {}),
    ("le as a label", "PUT", "/metrics/job/le", b"# TYPE lel gauge\nlel{le=\"x\"} 1\n", {}),
    ("le in the path", "PUT", "/metrics/job/lp/le/1",
     b"# TYPE lp histogram\nlp_bucket{le=\"1\"} 1\nlp_sum 1\nlp_count 1\n", {}),
    ("quantile in the path", "PUT", "/metrics/job/qp/quantile/1",
     b"# TYPE qp summary\nqp{quantile=\"1\"} 1\nqp_sum 1\nqp_count 1\n", {}),
    ("le of a histogram in protobuf", "PUT", "/metrics/job/lpb", family(
        b"lpb", 4, label(b"le", b"x") + field(7, varint(8) + varint(1))),
     {"Content-Type": PROTOBUF}),
    ("colons in a name", "PUT", "/metrics/job/co", b"a:b:c 1\n", {}),
    ("a colon in a label", "PUT", "/metrics/job/co2", b"x2{a:b=\"1\"} 1\n", {}),
    ("an empty name", "PUT", "/metrics/job/en", b"{a=\"1\"} 1\n", {}),
    ("an empty label value", "PUT", "/metrics/job/ev2", b"ev2{a=\"\"} 1\n", {}),
    ("a number with underscores", "PUT", "/metrics/job/un", b"un 1_000\n", {}),
    ("a number too large", "PUT", "/metrics/job/nl", b"nl 1e999\n", {}),
    ("inf in small letters", "PUT", "/metrics/job/in", b"inl inf\n", {}),
    ("infinity", "PUT", "/metrics/job/in2", b"infw +Infinity\n", {}),
    ("nan in small letters", "PUT", "/metrics/job/nn", b"nanl nan\n", {}),
    ("a plus", "PUT", "/metrics/job/pl", b"plus +1\n", {}),
    ("HELP after a sample", "PUT", "/metrics/job/ha", b"ha 1\n# HELP ha later\n", {}),
    ("HELP alone", "PUT", "/metrics/job/hal", b"# HELP hal alone\n", {}),
    ("a type without a name", "PUT", "/metrics/job/tw1", b"# TYPE\ntw1 1\n", {}),
    ("a type without a type", "PUT", "/metrics/job/tw2", b"# TYPE tw2\ntw2 1\n", {}),
    ("words after a type", "PUT", "/metrics/job/tw3", b"# TYPE tw3 gauge x\ntw3 1\n", {}),
    ("a label of Prometheus", "PUT", "/metrics/job/rl", b"rl{__x=\"1\"} 1\n", {}),
    ("summaries that the path makes one", "PUT", "/metrics/job/s1", b"# TYPE s1 "
                                                                    b"summary\ns1_sum{job=\"a\"} "
                                                                    b"1\ns1_count{job=\"a\"} "
                                                                    b"1\ns1_sum{job=\"b\"} "
                                                                    b"20\ns1_count{job=\"b\"} 2\n",
     {}),
    ("histograms that the path makes one", "PUT", "/metrics/job/s2",
     b"# TYPE s2 histogram\ns2_bucket{job=\"a\",le=\"1\"} 1\ns2_sum{job=\"b\"} 1\n", {}),
    ("one instance named, one not", "PUT", "/metrics/job/s3",
     b"# TYPE s3 summary\ns3_sum{instance=\"\"} 1\ns3_count 1\n", {}),
    ("a sum twice", "PUT", "/metrics/job/s4",
     b"# TYPE s4 summary\ns4_sum{job=\"a\"} 1\ns4_sum{job=\"a\"} 3\ns4_count{job=\"a\"} 1\n", {}),
    ("quantiles that are no durations", "PUT", "/metrics/job/s5", IDLE_SUMMARY,
     {"Content-Type": PROTOBUF}),
    ("empty families", "PUT", "/metrics/job/p1",
     b"\0\0" + family(b"pe1", 1, field(2, double(1, 1))) + b"\0", {"Content-Type": PROTOBUF}),
    ("a group of fields", "PUT", "/metrics/job/p2",
     family(b"pe2", 1, field(2, double(1, 1)) + GROUP), {"Content-Type": PROTOBUF}),
    ("a group without its end", "PUT", "/metrics/job/p3",
     family(b"pe3", 1, field(2, double(1, 1)) + GROUP[:-2]), {"Content-Type": PROTOBUF}),
    ("a label of Prometheus in protobuf", "PUT", "/metrics/job/p4",
     family(b"pe4", 1, label(b"__x", b"1") + field(2, double(1, 1))), {"Content-Type": PROTOBUF}),
    ("a quantile that is no number", "PUT", "/metrics/job/qn", family(
        b"qn", 2, field(4, field(3, double(1, float("nan")) + double(2, 1)))),
     {"Content-Type": PROTOBUF}),
    ("family of its own", "PUT", "/metrics/job/own",
     b"# TYPE process_open_fds gauge\nprocess_open_fds 7\n", {}),
    ("family of its own, another type", "PUT", "/metrics/job/own2",
     b"# TYPE process_open_fds counter\nprocess_open_fds 7\n", {}),
]

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
