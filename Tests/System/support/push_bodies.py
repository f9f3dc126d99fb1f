"""Bodies of pushes, protobuf messages among them, made byte by byte."""
import base64
import struct

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
