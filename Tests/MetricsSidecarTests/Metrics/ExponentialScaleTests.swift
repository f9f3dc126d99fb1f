import Foundation
import SidecarFuzzSupport
import Testing

@testable import MetricsSidecar

@Suite struct ExponentialScaleTests {
  @Test(arguments: [
    (1.0, 0, 0), (1.0001, 0, 1), (0.5, 0, -1), (2, 0, 1), (2.5, 0, 2), (1, 3, 0), (2, 3, 8),
    (1.0000001, 3, 1), (4, 8, 512), (0.25, 2, -8), (65_536, -4, 1), (65_537, -4, 2), (1, -4, 0),
    (0.9, -4, 0), (4, -1, 1), (4.1, -1, 2), (0x1p-1074, 8, -1074 * 256),
  ])
  func `a bound belongs to the bucket below it`(_ value: Double, _ schema: Int, _ index: Int) {
    #expect(ExponentialScale.index(of: value, schema: schema) == index)
  }

  @Test(arguments: Array(-4...8))
  func `each number lies in its bucket, near its middle, and in the coarser one that holds it`(
    _ schema: Int
  ) {
    var dice = Dice(7)
    for _ in 0..<2000 {
      let value = exp(Double.random(in: -300...300, using: &dice))
      let index = ExponentialScale.index(of: value, schema: schema)
      let upper = ExponentialScale.upperBound(of: index, schema: schema)
      let lower = ExponentialScale.upperBound(of: index - 1, schema: schema)
      // Squaring eight times costs a few of the last bits.
      #expect(lower * (1 - 1e-12) < value && value <= upper * (1 + 1e-12))
      let middle = ExponentialScale.middle(of: index, schema: schema)
      let factor = pow(2, pow(2, Double(-schema)) / 2) * (1 + 1e-9)
      #expect(middle.isInfinite || value / middle <= factor && middle / value <= factor)
      guard schema > -4 else { continue }
      #expect(
        ExponentialScale.index(index, reducedBy: 1)
          == ExponentialScale.index(of: value, schema: schema - 1))
    }
  }
}
