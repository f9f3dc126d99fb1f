import Testing

@testable import SidecarPlatform

@Suite struct DeflateTests {
  static let inputs: [(String, [UInt8])] = [
    ("nothing", []), ("one byte", [7]), ("one byte often", [UInt8](repeating: 7, count: 100_000)),
    ("every byte", (0..<1000).map { UInt8(truncatingIfNeeded: $0) }),
    ("lines", Array(lines(5000).utf8)),
    ("far matches", noise(32_000, 1) + noise(700, 2) + noise(32_000, 1) + noise(32_768, 1)),
    ("noise", noise(200_000, 3)),
  ]

  @Test(arguments: inputs.indices)
  func `what is compressed comes back`(_ index: Int) throws {
    let input = Self.inputs[index].1
    #expect(try Self.decompress(Self.compress(input, cut: 1 << 20)) == input)
    #expect(try Self.decompress(Self.compress(input, cut: 1009)) == input)
  }

  @Test func `lines of a page shrink to a fifth`() {
    let input = Array(Self.lines(20_000).utf8)
    #expect(Self.compress(input, cut: 65_536).count * 5 < input.count)
  }

  @Test func `codes that would be too long are made to fit`() {
    // Fibonacci weights have the deepest tree.
    var weights: [UInt32] = [1, 1]
    while weights.count < 40 {
      weights.append(weights[weights.count - 1] &+ weights[weights.count - 2])
    }
    for limit in [7, 15] {
      let lengths = HuffmanCode(weights, limit: limit).lengths
      #expect(lengths.allSatisfy { $0 > 0 && $0 <= limit })
      #expect(lengths.reduce(0) { $0 + 1 << (limit - Int($1)) } == 1 << limit)
    }
  }

  static func compress(_ input: [UInt8], cut: Int) -> [UInt8] {
    var gzip = Gzip()
    var output = ByteBuffer()
    var start = 0
    while start < input.count {
      let end = min(input.count, start + cut)
      gzip.append(input.span.bytes.extracting(start..<end), to: &output)
      start = end
    }
    gzip.finish(&output)
    return output.array
  }

  /// By our own reader, which also checks the checksum; `make verify-exposition` has zlib read
  /// pages. No process is started for it: between fork and exec a child holds every lock of this
  /// one, and tests that open a file again beside it would find it locked.
  static func decompress(_ bytes: [UInt8]) throws -> [UInt8] {
    var output = ByteBuffer()
    try Inflate.gunzip(bytes.span.bytes, limit: 1 << 24, into: &output)
    return output.array
  }

  static func lines(_ count: Int) -> String {
    (0..<count).map {
      "requests_total{path=\"/api/\($0)\",status=\"200\"} \($0 * 7919 % 100_000).0\n"
    }
    .joined()
  }

  static func noise(_ count: Int, _ seed: UInt64) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 40)
    }
  }
}

@Suite struct DeflateFuzzTests {
  @Test func `bytes of any kind and cut come back`() throws {
    for seed in 0..<20 as Range<UInt64> {
      let source = DeflateTests.noise(200, seed &+ 77).map { Int($0) }
      var input: [UInt8] = []
      for index in 0..<60 {
        let length = source[index] * source[index + 100] / 40
        switch source[index] % 3 {
        case 0: input += DeflateTests.noise(length % 700, seed)
        case 1: input += [UInt8](repeating: UInt8(source[index]), count: length)
        default: input += input.suffix(length * 7)
        }
      }
      let cut = 1 + source[0] * source[1]
      #expect(try DeflateTests.decompress(DeflateTests.compress(input, cut: cut)) == input)
    }
  }
}
