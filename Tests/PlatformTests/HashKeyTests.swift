import SidecarFuzzSupport
import SidecarPlatform
import Testing

@Suite struct HashKeyTests {
  /// Of keys of two words, how many of all pairs that differ in one chosen bit of each meet in 32
  /// bits under one of many random secrets; `hash` has a secret and two words.
  private func meetings(_ hash: (HashKey, UInt64, UInt64) -> UInt64) -> Int {
    var dice = Dice(12)
    var count = 0
    for _ in 0..<24 {
      let key = HashKey(start: dice.next(), factor: dice.next())
      let (first, second) = (dice.next(), dice.next())
      let whole = hash(key, first, second)
      for one in 0..<64 {
        for other in 0..<64 {
          let bent = hash(key, first ^ 1 << UInt64(one), second ^ 1 << UInt64(other))
          if UInt32(truncatingIfNeeded: bent) == UInt32(truncatingIfNeeded: whole) { count += 1 }
        }
      }
    }
    return count
  }

  @Test func `no two keys that differ in chosen bits meet under all secrets`() {
    #expect(meetings { key, first, second in key.fold(key.fold(key.start, first), second) } == 0)
  }

  @Test func `a hash that is not folded would meet under every secret`() {
    let count = meetings { key, first, second in
      var state = key.start
      for word in [first, second] {
        state = (state << 5 | state >> 59) ^ word
        state &*= key.factor
      }
      return state
    }
    #expect(count >= 24)
  }

  @Test func `a zero more at the end is another key`() {
    var seen: Set<UInt64> = []
    for count in 0..<40 {
      let bytes = [UInt8](repeating: 0, count: count)
      seen.insert(HashKey.process.hash(bytes.span.bytes))
    }
    #expect(seen.count == 40)
  }

  @Test func `equal bytes have equal hashes wherever they lie`() {
    var dice = Dice(3)
    for count in 0..<40 {
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: dice.next()) }
      let longer = [1, 2, 3] + bytes + [4]
      #expect(
        HashKey.process.hash(bytes.span.bytes)
          == HashKey.process.hash(longer.span.bytes.extracting(3..<3 + count)))
    }
  }

  @Test func `each secret has hashes of its own`() {
    let one = HashKey(start: 1, factor: 0x1234_5678_9abc_def1)
    let other = HashKey(start: 2, factor: 0x1234_5678_9abc_def1)
    let third = HashKey(start: 1, factor: 0x1234_5678_9abc_def3)
    #expect(Set([one.hash(7), other.hash(7), third.hash(7)]).count == 3)
  }
}
