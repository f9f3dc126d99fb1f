import Testing

@testable import SidecarPlatform

private func parse(_ text: String) -> Double {
  let bytes = Array(text.utf8)
  return Decimal.parse(bytes.span.bytes)
}

private func format(_ value: Double) -> String {
  var buffer = ByteBuffer()
  Decimal.append(value, to: &buffer)
  return String(decoding: buffer.array, as: UTF8.self)
}

@Test(arguments: [
  ("0", 0), ("1", 1), ("-2.5", -2.5), ("+3", 3), ("1e3", 1000), ("1E-3", 0.001), (".5", 0.5),
  ("9007199254740993", 9_007_199_254_740_992), ("1e400", .infinity),
  ("4.9e-324", .leastNonzeroMagnitude),
  ("inf", .infinity), ("-Infinity", -.infinity), ("+INF", .infinity),
])
func `a number's text is read`(text: String, value: Double) {
  #expect(parse(text) == value)
}

@Test(arguments: [
  "", "x", "1x", "--1", "1e", "e5", ".", "+", "1 ", " 1", "0x10", "1,5", "1-2", "nan",
])
func `what is no number is NaN`(text: String) {
  #expect(parse(text).isNaN)
}

@Test(arguments: [
  (0.0, "0.0"), (4, "4.0"), (0.005, "0.005"), (1e-5, "1e-05"), (1e16, "1e+16"), (.infinity, "+Inf"),
  (-.infinity, "-Inf"), (.nan, "NaN"), (123_456.75, "123456.75"), (-0.1, "-0.1"),
])
func `a number is written as the Python client writes it`(value: Double, text: String) {
  #expect(format(value) == text)
}

@Test func `any number reads back as itself, and as Swift reads it`() {
  for _ in 0..<100_000 {
    let value = Double(bitPattern: .random(in: 0 ... .max))
    guard value.isFinite else { continue }
    #expect(parse(format(value)) == value)
    let short = "\(Int.random(in: 0..<100_000)).\(Int.random(in: 0..<100_000))"
    #expect(parse(short) == Double(short))
  }
}

@Test(arguments: [0, 9, 10, 99, 100, 12_345_678_901, UInt64.max])
func `a whole number is written in digits`(value: UInt64) {
  var buffer = ByteBuffer()
  Decimal.append(value, to: &buffer)
  #expect(String(decoding: buffer.array, as: UTF8.self) == "\(value)")
}
