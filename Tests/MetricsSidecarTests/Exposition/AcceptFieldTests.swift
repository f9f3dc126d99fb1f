import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct AcceptFieldTests {
  static let fields: [(String, ExpositionFormat, Escaping?)] = [
    ("", ExpositionFormat.text004, nil),
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
      "application/openmetrics-text;version=1.0.0,"
        + "application/openmetrics-text;version=0.0.1;q=0.75,"
        + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", .openMetrics100, nil
    ),
    (
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
        + "q=0.6,application/openmetrics-text;version=1.0.0;q=0.5", .protobuf, nil
    ),
  ]

  @Test(arguments: fields)
  func `the best of what the scraper takes`(
    _ field: String, _ format: ExpositionFormat, _ escaping: Escaping?
  ) {
    let bytes = Array(field.utf8)
    #expect(
      AcceptField.shape(bytes.span.bytes) == ExpositionShape(format: format, escaping: escaping))
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
    let pieces = [
      "text/plain", "application/openmetrics-text", "*/*", ";", ",", "=", "q", "q=0.5", "\"", "\\",
      "version=", "1.0.0", " ", "\t", "escaping=", "allow-utf-8", "%", "é", "application/",
    ]
    Fuzzer("accept", pieces: pieces, rounds: 5000).run { bytes, _, _ in
      _ = AcceptField.shape(bytes.span.bytes)
      _ = AcceptField.takesGzip(bytes.span.bytes)
      _ = NameFilter(query: bytes.span.bytes).includes(bytes)
    }
  }
}
