import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct NumberFormatTests {
  private func text(_ value: Double) -> String {
    var buffer = ByteBuffer()
    NumberFormat.append(value, to: &buffer)
    return String(decoding: buffer.array, as: UTF8.self)
  }

  /// As Python's `repr` writes them, but for infinities. Large numbers stay as they are below 1e15.
  @Test(arguments: [
    (0, "0.0"), (-0.0, "-0.0"), (4, "4.0"), (-30, "-30.0"), (0.005, "0.005"), (0.1, "0.1"),
    (1e-5, "1e-05"), (1.5e-7, "1.5e-07"), (0.0001, "0.0001"), (123456.789, "123456.789"),
    (0.1 + 0.2, "0.30000000000000004"), (1e300, "1e+300"),
    (-1.7976931348623157e308, "-1.7976931348623157e+308"), (.leastNonzeroMagnitude, "5e-324"),
    (-2.2250738585072014e-308, "-2.2250738585072014e-308"), (.infinity, "+Inf"),
    (-.infinity, "-Inf"), (.nan, "NaN"),
  ])
  func `numbers are written as short as they can be read back`(
    _ value: Double, _ expected: String
  ) {
    #expect(text(value) == expected)
  }

  @Test func `any number is read back as itself`() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      let value = Double(bitPattern: generator.next())
      guard value.isFinite else { continue }
      #expect(Double(text(value)) == value)
    }
  }
}
