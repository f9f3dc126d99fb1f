import Platform
import Testing

@testable import MetricsSidecar

@Suite struct AcceptFieldTests {
  static let fields: [(String, PageFormat, Escaping?)] = [
    ("", PageFormat.text004, nil),
    ("*/*", .text004, nil),
    ("text/html,application/xhtml+xml,*/*;q=0.8", .text004, nil),
    ("application/json", .text004, nil),
    ("text/plain;version=0.0.4", .text004, nil),
    ("TEXT/Plain ; VERSION=\"1.0.0\"; escaping=allow-utf-8", .text100, .allowUTF8),
    ("text/plain;version=2.0.0", .text004, nil),
    ("application/openmetrics-text", .openMetrics100, nil),
    ("application/openmetrics-text;version=0.0.1", .openMetrics001, nil),
    ("application/openmetrics-text;version=1.0.0;escaping=values", .openMetrics100, .values),
    ("application/openmetrics-text;version=9", .text004, nil),
    ("application/openmetrics-text;q=0.2,text/plain;q=0.3", .text004, nil),
    ("text/plain;q=0.3,application/openmetrics-text;q=0.31", .openMetrics100, nil),
    ("application/openmetrics-text;q=0,*/*;q=0.1", .text004, nil),
    ("application/openmetrics-text;q=bad", .text004, nil),
    ("application/vnd.google.protobuf", .text004, nil),
    (
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
      .protobuf, nil
    ),
    (
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
      .text004, nil
    ),
    (
      "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
        + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", .openMetrics100, nil
    ),
    (
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
        + "q=0.6,application/openmetrics-text;version=1.0.0;q=0.5", .protobuf, nil
    ),
  ]

  @Test(arguments: fields)
  func `the best of what the scraper takes`(
    _ field: String, _ format: PageFormat, _ escaping: Escaping?
  ) {
    let bytes = Array(field.utf8)
    #expect(
      AcceptField.shape(bytes.span.bytes) == PageShape(format: format, escaping: escaping))
  }

  @Test(arguments: [
    ("", false), ("gzip", true), ("GZIP", true), ("gzip, deflate, br", true), ("br", false),
    ("gzip;q=0", false), ("*", true), ("*;q=0", false), ("identity", false),
    ("gzip;q=0.1, identity;q=0.5", false), ("gzip;q=1.0, identity; q=0.5, *;q=0", true),
  ])
  func `gzip where it is wished`(_ field: String, _ isTaken: Bool) {
    let bytes = Array(field.utf8)
    #expect(AcceptField.takesGzip(bytes.span.bytes) == isTaken)
  }

  @Test(arguments: [
    ("", "a", true), ("x=y", "a", true), ("name[]=a", "a", true), ("name[]=b", "a", false),
    ("name%5B%5D=a", "a", true), ("name[]=b&name[]=a", "a", true), ("name[]=a_count", "a", true),
    ("name[]=a_total", "a_total", true), ("name[]=a", "a_total", true),
    ("name[]=a_created", "a_total", true), ("name[]=a_countx", "a", false),
    ("name[]=", "a", false), ("name[]=%", "a", false), ("name[]=a_total", "a_bytes_total", false),
  ])
  func `families by the names that are asked for`(
    _ query: String, _ family: String, _ isIncluded: Bool
  ) {
    let bytes = Array(query.utf8)
    #expect(NameFilter(query: bytes.span.bytes).includes(Array(family.utf8)) == isIncluded)
  }
}

@Suite struct AcceptFieldFuzzTests {
  @Test func `no field is a trap`() {
    var source = Seeded(20_251)
    let words: [String] = [
      "text/plain", "application/openmetrics-text", "*/*", ";", ",", "=", "q", "q=0.5", "\"", "\\",
      "version=", "1.0.0", " ", "\t", "escaping=", "allow-utf-8", "%", "é", "application/",
    ]
    for _ in 0..<20_000 {
      var bytes: [UInt8] = []
      for _ in 0..<source.next(12) { bytes += words[source.next(words.count)].utf8 }
      if !bytes.isEmpty, source.next(3) == 0 {
        bytes[source.next(bytes.count)] = UInt8(source.next(256))
      }
      _ = AcceptField.shape(bytes.span.bytes)
      _ = AcceptField.takesGzip(bytes.span.bytes)
      _ = NameFilter(query: bytes.span.bytes).includes(bytes)
    }
  }
}

/// Numbers that a seed repeats.
struct Seeded {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed | 1 }
  mutating func next(_ bound: Int) -> Int {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Int(state >> 33) % bound
  }
}
