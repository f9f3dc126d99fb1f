import SidecarFuzzSupport
import SidecarPlatform
import Testing

@Suite struct HashIndexTests {
  @Test(arguments: [0x7, 0xff, 0xffff_ffff] as [UInt32])
  func `it finds what was put in and not taken out, however hashes meet`(_ mask: UInt32) {
    var dice = Dice(UInt64(mask))
    var index = HashIndex(slotCount: 16)
    // Keys by value: several values may have one hash.
    var keys: [UInt32: UInt64] = [:]
    func hash(_ key: UInt64) -> UInt32 {
      UInt32(truncatingIfNeeded: key &* 0x9e37_79b9_7f4a_7c15 >> 32) & mask
    }
    var nextKey: UInt64 = 0
    for step in 0..<6000 {
      if dice.below(5) < 3 || keys.isEmpty {
        nextKey += 1
        let value = UInt32(nextKey)
        keys[value] = nextKey
        index.insert(hash(nextKey), value)
      } else {
        let value = keys.keys.min() ?? 0
        let key = keys.removeValue(forKey: value) ?? 0
        index.remove(hash(key), value)
        // A second time changes nothing.
        index.remove(hash(key), value)
        #expect(index.find(hash(key)) { $0 == value } == nil)
      }
      #expect(index.count == keys.count)
      if keys.count > 200 {
        for value in keys.keys.sorted().prefix(180) {
          index.remove(hash(keys.removeValue(forKey: value) ?? 0), value)
        }
      }
      guard step % 97 == 0 else { continue }
      for (value, key) in keys { #expect(index.find(hash(key)) { $0 == value } == value) }
    }
  }

  @Test func `keys that differ in chosen bits spread under any secret`() {
    var dice = Dice(11)
    for _ in 0..<4 {
      let key = HashKey(start: dice.next(), factor: dice.next())
      var index = HashIndex()
      for number in 0..<4096 as Range<UInt64> {
        // Top bits alone, which a product that is cut to 64 bits would leave where they are.
        let hash = UInt32(truncatingIfNeeded: key.hash(number << 52))
        index.insert(hash, UInt32(number + 1))
      }
      var steps = 0
      for number in 0..<4096 as Range<UInt64> {
        let hash = UInt32(truncatingIfNeeded: key.hash(number << 52))
        let found = index.find(hash) { value in
          steps += 1
          return value == UInt32(number + 1)
        }
        #expect(found == UInt32(number + 1))
      }
      #expect(steps < 4096 * 2)
    }
  }
}
