import Testing

@testable import MetricsSidecar

@Suite struct OTLPNamesTests {
  @Test(arguments: [
    ("http.server.request.duration", "s", "h", "http_server_request_duration_seconds"),
    ("requests", "{request}", "c", "requests_total"), ("requests", "", "c", "requests_total"),
    ("requests_total", "", "c", "requests_total"), ("total.requests", "1", "c", "requests_total"),
    ("items", "1", "c", "items_total"), ("cpu.usage", "1", "g", "cpu_usage_ratio"),
    ("cpu_usage_ratio", "1", "g", "cpu_usage_ratio"), ("cpu.usage", "1", "h", "cpu_usage"),
    ("response_time", "ms", "g", "response_time_milliseconds"),
    ("response_time_seconds", "s", "g", "response_time_seconds"),
    ("memory.usage", "By", "g", "memory_usage_bytes"), ("size", "kBy", "g", "size_kilobytes"),
    ("requests", "1/s", "g", "requests_per_second"), ("io", "By/s", "g", "io_bytes_per_second"),
    ("io", "By/{op}", "g", "io_bytes"), ("a", "m/mo", "g", "a_meters_per_month"),
    ("custom_metric", "custom_unit", "g", "custom_metric_custom_unit"),
    ("custom", "unit@with#special/chars", "g", "custom_unit_with_special_per_chars"),
    ("metric__with__two", "unit__of__two", "g", "metric_with_two_unit_of_two"),
    ("metric@@##$$name", "", "g", "metric_name"), ("123metric", "", "g", "_123metric"),
    ("(lambda).function.executions(#)", "", "g", "lambda_function_executions"),
    ("a:b", "", "g", "a:b"), ("temp", "Cel", "g", "temp_celsius"), ("@#$%", "", "g", ""),
    ("time", "min", "g", "time_minutes"), ("active", "{connection}", "g", "active"),
    ("a", " s ", "h", "a_seconds"), ("disk", "%", "g", "disk_percent"),
    ("métrique", "", "g", "m_trique"),
    ("process.cpu.time", "s", "c", "process_cpu_time_seconds_total"),
  ])
  func `a metric is called as Prometheus' endpoint calls it`(
    _ name: String, _ unit: String, _ type: String, _ wanted: String
  ) {
    let found = OTLPNames.family(
      Array(name.utf8), unit: Array(unit.utf8), isCounter: type == "c", isGauge: type == "g")
    #expect(String(decoding: found, as: UTF8.self) == wanted)
  }

  @Test(arguments: [
    ("http.route", "http_route"), ("LabelWithCapitalLetters", "LabelWithCapitalLetters"),
    ("label:with:colons", "label_with_colons"), ("123label", "key_123label"),
    ("label!with&special$chars)", "label_with_special_chars_"), ("a__b", "a_b"),
    ("_private", "key_private"), ("__name__", "key_name_"), ("ようこそ", ""), ("", ""), ("_", ""),
  ])
  func `an attribute is called as Prometheus' endpoint calls it`(_ key: String, _ wanted: String) {
    #expect(String(decoding: OTLPNames.label(Array(key.utf8)), as: UTF8.self) == wanted)
  }
}
