import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct LineTableTests {
  private let target = LineTable.Target(
    cell: 128, family: 0, isMilliseconds: false, kind: .counter)

  /// Slots that are looked at to find all of `tags`, once they are known.
  private func steps(_ tags: [[UInt8]], _ key: HashKey) -> Int {
    var table = LineTable(limit: tags.count, byteLimit: 64 << 20, key: key)
    let name = Array("jobs".utf8)
    var steps = 0
    for tags in tags {
      LineKey.withKey(key, name: name.span.bytes, type: 0x63, tags: tags.span.bytes) { line in
        #expect(table.find(line) == nil)
        table.insert(line, targets: [target])
      }
    }
    for tags in tags {
      LineKey.withKey(key, name: name.span.bytes, type: 0x63, tags: tags.span.bytes) { line in
        #expect(table.find(line) != nil)
        steps += table.steps(to: line)
      }
    }
    return steps
  }

  @Test func `tag values that differ in chosen bits spread under any secret`() {
    // Eleven blocks of two words, each in one of two forms: the top bit of the first, and the bit
    // of the second in which a product that is cut to 64 bits and turned by five would undo it.
    var lines: [[UInt8]] = []
    for choice in 0..<2048 {
      var tags = Array("queue:aa".utf8)
      for block in 0..<11 {
        var words = Array("aaaaaaaabbbbbbbb".utf8)
        if choice >> block & 1 == 1 {
          words[7] ^= 0x80
          words[8] ^= 0x10
        }
        tags += words
      }
      lines.append(tags)
    }
    var dice = Dice(7)
    for _ in 0..<6 {
      let key = HashKey(start: dice.next(), factor: dice.next())
      #expect(steps(lines, key) < lines.count * 3)
    }
  }

  @Test func `zeros that move from one part to the other are other lines`() {
    let key = HashKey.process
    var seen: Set<UInt32> = []
    for count in 0...7 {
      let name = Array("a".utf8) + [UInt8](repeating: 0, count: count)
      let tags = Array("b".utf8) + [UInt8](repeating: 0, count: 7 - count)
      LineKey.withKey(key, name: name.span.bytes, type: 0x63, tags: tags.span.bytes) { line in
        _ = seen.insert(line.hash)
      }
    }
    #expect(seen.count == 8)
  }

  @Test func `long lines take no more than the table's memory, and all count`() throws {
    let fixture = try Fixture()
    fixture.registry.testMonotonicTime = 1
    let filler = String(repeating: "x", count: 1000)
    func line(_ number: Int) -> String {
      "n:\(number)," + (0..<7).map { "t\($0):\(filler)" }.joined(separator: ",")
    }
    for number in 0..<700 { #expect(fixture.apply("long", tags: line(number % 8)) == nil) }
    for number in 8..<700 { #expect(fixture.apply("long", tags: line(number)) == nil) }
    let limit = fixture.limits.knownLineByteCount
    let (byteCount, isFull) = (fixture.registry.lines.byteCount, fixture.registry.lines.isFull)
    #expect(byteCount <= limit)
    #expect(limit == 4 << 20)
    #expect(isFull)
    #expect(fixture.registry.seriesCount == 700)
    // Current lines are known again once the full table has started again.
    fixture.registry.turnEnded(now: Registry.forgetNanoseconds, isRead: false)
    let kept = fixture.registry.lines.count
    fixture.apply("long", tags: line(699))
    let known = fixture.registry.lines.count
    #expect(kept == 0 && known == 1)
  }
}
