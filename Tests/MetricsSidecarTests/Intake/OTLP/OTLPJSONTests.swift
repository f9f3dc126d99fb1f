import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct OTLPJSONTests {
  private func request(
    _ point: String, _ data: String = #""aggregationTemporality":2,"isMonotonic":true"#
  )
    -> [UInt8]
  {
    Array(
      """
      { "resourceMetrics" : [{"resource": {"attributes": [{"key": "service.name", "value":
      {"stringValue": "shop"}}]}, "scopeMetrics": [{"scope": {}, "metrics": [{"name": "jobs",
      "futureMember": [1, {"a": null}, "x\\"y", true], "sum": {"dataPoints": [\(point)],
      \(data)}}]}]}]}
      """.utf8)
  }

  @Test(arguments: [
    (#"{"startTimeUnixNano":"1","timeUnixNano":"2","asInt":"7"}"#, "jobs_total", 7.0),
    (#"{"startTimeUnixNano":1,"timeUnixNano":2e0,"asInt":7,"flags":0}"#, "jobs_total", 7),
    (#"{"timeUnixNano":"2","startTimeUnixNano":"1","asDouble":1.5}"#, "jobs_total", 1.5),
    (
      #"""
      {"startTimeUnixNano":"1","timeUnixNano":"2","asDouble":"2.5","attributes":[
      {"key":"a","value":{"stringValue":"x\u00e9\ud83d\ude00\n\"\\\/"}},
      {"key":"b","value":{"boolValue":true}},{"key":"c","value":{"intValue":"-3"}},
      {"key":"d","value":{"doubleValue":0.5}},{"key":"e","value":{"bytesValue":"AQI="}},
      {"key":"f","value":{"arrayValue":{"values":[{"intValue":1},{"stringValue":"q"}]}}},
      {"key":"g","value":{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":false}}]}}},
      {"key":"h","value":null}],
      "exemplars":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174"}]}
      """#,
      #"""
      jobs_total{a="xé😀\n\"\\/",b="true",c="-3",d="0.5",e="AQI=",f="[1,\"q\"]",g="{\"k\":false}"}
      """#,
      2.5
    ),
  ])
  func `JSON is read as protobuf is`(_ point: String, _ series: String, _ value: Double) throws {
    let otlp = try OTLPFixture()
    #expect(otlp.take(request(point), isJSON: true) == "")
    #expect(otlp.value(series) == value, "\(otlp.page)")
  }

  @Test func `names of the temporality are taken too`() throws {
    let otlp = try OTLPFixture()
    let point = #"{"timeUnixNano":"2","asInt":"7"}"#
    let data = #""aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA","isMonotonic":true"#
    #expect(otlp.take(request(point, data), isJSON: true) == "")
    #expect(otlp.value("jobs_total") == 7)
  }

  @Test func `a text cut anywhere is no request`() throws {
    let otlp = try OTLPFixture()
    let bytes = request(#"{"startTimeUnixNano":"1","timeUnixNano":"2","asInt":"7"}"#)
    for end in 0..<bytes.count {
      #expect(otlp.take(Array(bytes[..<end]), isJSON: true).hasPrefix("400"), "\(end)")
    }
    #expect(otlp.page == "")
  }

  @Test(arguments: [
    #"{"asInt":"x"}"#, #"{"asInt":1.5}"#, #"{"asInt":true}"#, #"{"timeUnixNano":"-"}"#,
    #"{"asDouble":"abc"}"#, #"{"attributes":{"key":1}}"#, #"{"attributes":["a"]}"#,
    #"{"exemplars":[{"traceId":"xyz"}]}"#, #"{"exemplars":[{"traceId":"abc"}]}"#,
    #"{"timeUnixNano":"18446744073709551616"}"#, #"{"attributes":[{"key":"\ud800"}]}"#,
    #"{"attributes":[{"key":"\x"}]}"#, "{\"attributes\":[{\"key\":\"a\nb\"}]}", "[]", "{,}",
    "{\"a\"}",
    #"{"a":1,}"#, #"{"a":nul}"#,
  ])
  func `what is not as the mapping has it is refused`(_ point: String) throws {
    let otlp = try OTLPFixture()
    #expect(otlp.take(request(point), isJSON: true).hasPrefix("400"))
  }

  @Test func `depth and size are bounded`() throws {
    let otlp = try OTLPFixture()
    for deep in [
      String(repeating: #"{"a":"#, count: 10_000), String(repeating: "[", count: 10_000),
      #"{"resourceMetrics":"# + String(repeating: "[", count: 100_000),
    ] { #expect(otlp.take(Array(deep.utf8), isJSON: true).hasPrefix("400")) }
    var settings = OTLPSettings()
    settings.byteCount = 4096
    let small = try OTLPFixture(settings: settings)
    let numbers = String(repeating: "1,", count: 1000) + "1"
    let text =
      #"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","histogram":{"dataPoints":"#
      + #"[{"bucketCounts":[\#(numbers)]}]}}]}]}]}"#
    #expect(small.take(Array(text.utf8), isJSON: true).hasPrefix("413"))
  }
}
