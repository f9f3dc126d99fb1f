import Testing

@testable import SidecarPlatform

private func content(_ buffer: borrowing ByteBuffer) -> [UInt8] {
  let bytes = buffer.bytes
  return (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
}

@Suite struct ByteBufferTests {
  @Test func `bytes come out in the order they went in, whatever the sizes`() {
    var generator = SystemRandomNumberGenerator()
    var buffer = ByteBuffer(capacity: 16)
    var expected: [UInt8] = []
    for _ in 0..<5000 {
      let chunk = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      buffer.append(chunk)
      expected += chunk
      let taken = Int.random(in: 0...expected.count, using: &generator)
      buffer.removeFirst(taken)
      expected.removeFirst(taken)
      #expect(content(buffer) == expected)
    }
  }

  @Test func `a buffer that is emptied stops growing`() {
    var buffer = ByteBuffer(capacity: 64)
    for _ in 0..<1000 {
      buffer.append([UInt8](repeating: 7, count: 60))
      buffer.removeFirst(60)
    }
    #expect(buffer.capacity == 64)
  }

  @Test func `memory beyond a bound is given back once the content is small`() {
    var buffer = ByteBuffer(capacity: 64)
    buffer.append([UInt8](repeating: 7, count: 6000))
    buffer.removeFirst(5990)
    buffer.shrink(to: 64)
    #expect(buffer.capacity == 64)
    #expect(content(buffer) == [UInt8](repeating: 7, count: 10))
  }
}

@Test func `a digest is the same however its last bytes are loaded, and depends on each`() {
  // As it was written first: byte by byte. Series keys and checksums of old files depend on it.
  func slow(_ bytes: [UInt8], _ seed: UInt64) -> UInt64 {
    var h = seed ^ (UInt64(bytes.count) &* 0x9e37_79b9_7f4a_7c15)
    for start in stride(from: 0, to: bytes.count, by: 8) {
      var word: UInt64 = 0
      for (index, byte) in bytes[start...].prefix(8).enumerated() {
        word |= UInt64(byte) << UInt64(8 * index)
      }
      h = Digest.mix(h, word)
    }
    return h ^ (h >> 29)
  }
  for count in 0...40 {
    var bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
    let hash = Digest.hash(bytes.span.bytes, seed: 5)
    #expect(hash == slow(bytes, 5))
    let copy = bytes
    let isEqual = ByteCompare.equal(bytes.span.bytes, copy.span.bytes)
    #expect(isEqual)
    for index in bytes.indices {
      bytes[index] ^= 1
      let isEqual = ByteCompare.equal(bytes.span.bytes, copy.span.bytes)
      #expect(!isEqual)
      bytes[index] ^= 1
    }
  }
}
