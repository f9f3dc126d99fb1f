import Testing

@testable import SidecarPlatform

@Suite struct ProcessorsTests {
  @Test(
    arguments: [
      ("max 100000\n", nil), ("200000 100000\n", 2), ("150000 100000\n", 2), ("50000 100000\n", 1),
      ("", nil), ("x", nil), ("99999999999 1", nil),
    ] as [(String, Int?)])
  func `a container's CPU limit is read from cpu.max`(_ text: String, _ expected: Int?) {
    let bytes = Array(text.utf8)
    #expect(Processors.limit(of: bytes.span.bytes) == expected)
  }
}
