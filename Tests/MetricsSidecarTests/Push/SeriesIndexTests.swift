import SidecarFuzzSupport
import Testing

@testable import MetricsSidecar

@Suite struct SeriesIndexTests {
  @Test func `the index finds what a plain list finds, whatever was put in and taken out`() {
    var dice = Dice(7)
    var index = SeriesIndex()
    var list: [(hash: UInt64, group: Int)] = []
    for round in 0..<3000 {
      // Few first slots, so that runs of taken slots are long and wrap around.
      let hash = UInt64(dice.below(40)) << 20 | UInt64(dice.below(8)) << 60
      let group = dice.below(4)
      let known = list.firstIndex { $0.hash == hash && $0.group == group }
      if let known, dice.below(2) == 0 {
        index.remove(hash, group)
        list.remove(at: known)
      } else if known == nil {
        index.insert(hash, group)
        list.append((hash, group))
      }
      #expect(index.count == list.count, "round \(round)")
      let wanted = UInt64(dice.below(40)) << 20 | UInt64(dice.below(8)) << 60
      let found = index.find(wanted, own: 0)
      #expect(found.isOwn == list.contains { $0.hash == wanted && $0.group == 0 })
      #expect((found.other >= 0) == list.contains { $0.hash == wanted && $0.group != 0 })
    }
  }

  @Test func `what groups have gone had makes room`() {
    var index = SeriesIndex()
    for number in 0..<20_000 { index.insert(SessionHash.of(number), number % 10) }
    for number in 0..<19_990 { index.remove(SessionHash.of(number), number % 10) }
    #expect(index.count == 10 && index.slotCount < 1024)
    for number in 19_990..<20_000 {
      #expect(index.find(SessionHash.of(number), own: number % 10).isOwn)
    }
  }

  @Test func `a check across groups costs what the push brings, whatever labels the groups have`()
    throws
  {
    let fixture = try PushFixture()
    // Groups whose label names are the subsets of ten.
    for subset in 1..<1024 {
      let labels = (0..<10).filter { subset >> $0 & 1 == 1 }.map { "/l\($0)/v" }.joined()
      try fixture.push("/j\(labels)", "x 1\n")
    }
    let all = (0..<10).map { "l\($0)=\"w\"" }.joined(separator: ",")
    let body = (0..<500).map { "x{\(all),n=\"\($0)\"} 1\n" }.joined()
    let before = fixture.store.series.probeCount
    try fixture.push("/j", body)
    #expect(fixture.store.series.probeCount - before < 500 * 40)
    let twin = "x{" + (0..<10).map { "l\($0)=\"v\"" }.joined(separator: ",") + "} 1\n"
    let refusal = fixture.refusal { try fixture.push("/j", body + twin) }
    #expect(refusal?.contains("is there already, in the group") == true, "\(refusal ?? "taken")")
  }
}

private enum SessionHash {
  /// Numbers all over the place.
  static func of(_ number: Int) -> UInt64 {
    var x = UInt64(number) &+ 0x9e37_79b9_7f4a_7c15
    x = (x ^ (x >> 30)) &* 0xbf58_476d_1ce4_e5b9
    x = (x ^ (x >> 27)) &* 0x94d0_49bb_1331_11eb
    return x ^ (x >> 31)
  }
}
