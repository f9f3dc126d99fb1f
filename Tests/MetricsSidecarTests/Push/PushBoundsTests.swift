import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct PushBoundsTests {
  private func text(_ fixture: PushFixture) -> Int { fixture.store.textByteCount }

  private func lines(_ count: Int, name: String = "x") -> String {
    (0..<count).map { "\(name){n=\"\($0)\"} 1\n" }.joined()
  }

  @Test
  func `pushed text is bounded together with that of events, and a push that adds none goes on`()
    throws
  {
    var limits = PushLimits()
    limits.expositionByteCount = 10_000
    let fixture = try PushFixture(limits)
    try fixture.push("/a", lines(100))
    let known = text(fixture)
    #expect(known > 3000 && known < 9000)
    let refusal = fixture.refusal { try fixture.push("/b", lines(100, name: "y")) }
    #expect(refusal?.contains("--max-exposition-size") == true)
    #expect(text(fixture) == known && fixture.store.groupCount == 1)
    try fixture.push("/a", lines(100))
    try fixture.push("/a", lines(50))
    #expect(text(fixture) < known)
  }

  @Test func `pushed text is counted alike however a group came about`() throws {
    let fixture = try PushFixture()
    let histogram = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n"
    try fixture.push("/a", lines(20) + histogram)
    try fixture.push("/b", lines(10, name: "z"))
    try fixture.push("/a", lines(5, name: "y"), mode: .merge)
    try fixture.push("/a", lines(30), mode: .aggregate(.sum))
    fixture.fail("/b")
    let counted = text(fixture)
    try fixture.reopen()
    #expect(text(fixture) == counted && counted > 0)
    fixture.delete("/a")
    fixture.delete("/b")
    #expect(text(fixture) == 0 && fixture.store.keyByteCount == 0)
    #expect(fixture.store.names.liveByteCount == 0)
  }

  @Test func `grouping keys and families' names are bounded together`() throws {
    var limits = PushLimits()
    limits.groups = 300
    limits.series = 300
    let fixture = try PushFixture(limits)
    let long = String(repeating: "k", count: 1000)
    var taken = 0
    for number in 0..<300 {
      if fixture.refusal({ try fixture.push("/\(long)\(number)", "x 1\n") }) == nil { taken += 1 }
    }
    #expect(taken > 60 && taken < 80)
    #expect(fixture.store.keyByteCount <= limits.keyByteCount)
    let refusal = fixture.refusal { try fixture.push("/\(long)", "x 1\n") }
    #expect(refusal?.contains("grouping keys") == true)
    fixture.store.deleteAll()

    let name = String(repeating: "n", count: 250)
    let names = (0..<280).map { "\(name)\($0) 1\n" }.joined()
    let second = fixture.refusal { try fixture.push("/a", names) }
    #expect(second?.contains("families' names") == true)
    #expect(fixture.store.names.liveByteCount == 0)
    try fixture.push("/a", "\(name) 1\n")
  }
}
