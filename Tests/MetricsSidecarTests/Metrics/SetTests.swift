import Foundation
import SidecarFuzzSupport
import Testing

@testable import MetricsSidecar

@Suite struct SetTests {
  private let rules = #"""
    {"families": [
      {"name": "users", "type": "set", "exact": 200, "window": "64s",
       "events": [{"event": "user"}]}]}
    """#

  @Test func `distinct values of any text are counted, by rule and without one`() throws {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    for member in ["alice", "bob", "alice", "a:b", "ä", "alice", "1"] {
      fixture.see("user", member)
      fixture.see("other.users", member, tags: "app:x")
    }
    #expect(fixture.value("users") == 5)
    #expect(fixture.value(#"other_users{app="x"}"#) == 5)
    #expect(fixture.page.contains("# TYPE other_users gauge\n"))
  }

  @Test func `a value counts until a window after it was seen last`() throws {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    fixture.see("user", "alice")
    fixture.see("user", "bob")
    fixture.time(60_000)
    fixture.see("user", "bob")
    #expect(fixture.value("users") == 2)
    fixture.time(66_000)
    #expect(fixture.value("users") == 1)
    fixture.time(126_000)
    #expect(fixture.value("users") == 0)
  }

  @Test func `it survives a restart, and an uncommitted value does not`() throws {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    for n in 0..<1000 { fixture.see("user", "u\(n)") }
    fixture.registry.commit()
    let before = fixture.value("users")
    for n in 1000..<9000 { fixture.see("user", "u\(n)") }
    try fixture.reopen()
    fixture.time(0)
    #expect(fixture.value("users") == before)
  }

  @Test func `exact up to its bound`() throws {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    for n in 0..<200 {
      fixture.see("user", "u\(n)")
      fixture.see("user", "u\(n / 2)")
      #expect(fixture.value("users") == Double(n + 1))
    }
  }

  @Test func `values are spread over the table, and one filled from its start is put in order`()
    throws
  {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    for n in 0..<100 { fixture.see("user", "u\(n)") }
    let state = fixture.registry.state
    let first = fixture.registry.families[0].series[0].headCell
    let table = first + 3..<first + 3 + 267
    let used = table.filter { state.value($0) != 0 }
    #expect(used.count == 100 && used[50] > table.lowerBound + 90)

    // As earlier versions had it.
    let words = used.map { state.value($0) }
    for cell in table {
      let place = cell - table.lowerBound
      state.store(cell, place < words.count ? words[place] : 0)
    }
    state.store(first + 1, state.value(first + 1) & 0xffff_ffff)
    for n in 0..<100 { fixture.see("user", "u\(n)") }
    #expect(fixture.value("users") == 100)
    #expect(table.filter { state.value($0) != 0 } == used)
  }

  /// The standard error of 1.2 / √200 is 8.5 %; over 30 sets their mean square has to agree.
  @Test(arguments: [1000, 5000])
  func `beyond, its error is the documented one`(_ count: Int) throws {
    let fixture = try Fixture(rules: rules)
    var squares = 0.0
    for run in 0..<30 {
      fixture.time(UInt64(run) * 1_000_000)
      // Each run starts with an empty window: what the last one left is long past.
      for n in 0..<count { fixture.see("user", "\(run)-\(n)") }
      let error = fixture.value("users")! / Double(count) - 1
      #expect(abs(error) < 0.4)
      squares += error * error
    }
    #expect((squares / 30).squareRoot() < 0.085 * 1.4)
  }

  @Test func `when values grow fewer it becomes exact again`() throws {
    let fixture = try Fixture(rules: rules)
    fixture.time(0)
    for n in 0..<20_000 { fixture.see("user", "u\(n)") }
    #expect(fixture.value("users")! > 12_000)
    for second in 0..<150 {
      fixture.time(UInt64(70_000 + second * 1000))
      for n in 0..<30 { fixture.see("user", "v\(n)") }
    }
    #expect(fixture.value("users") == 30)
  }

  @Test func `while it goes up and down the estimate follows`() throws {
    let fixture = try Fixture(rules: rules)
    var dice = Dice(11)
    for (phase, size) in [50, 5000, 300, 20_000, 10, 2000].enumerated() {
      for second in 0..<150 {
        fixture.time(UInt64(phase * 150_000 + second * 1000))
        for _ in 0..<max(10, size / 20) {
          fixture.see("user", "\(phase)-\(Int.random(in: 0..<size, using: &dice))")
        }
      }
      // 64 seconds of a twentieth a second see 96 % of them.
      let found = fixture.value("users")!
      #expect(found > Double(size) * 0.6 && found < Double(size) * 1.4, "\(size): \(found)")
    }
  }
}
