import Foundation
import SidecarFuzzSupport
@testable import SidecarHTTP
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Large changes are made in steps between the turns of the loop.
@Suite struct PushStepsTests {
  @Test func `a push in steps does what it does at once, and shows nothing before the end`() throws
  {
    var dice = Dice(11)
    let (steps, atOnce) = (try PushFixture(), try PushFixture())
    let modes: [GroupWriter.Mode] = [.replace, .merge, .aggregate(.sum)]
    for round in 0..<40 {
      var body = ""
      for family in 0..<dice.below(12) {
        body += "# TYPE f\(family) \(family % 3 == 0 ? "counter" : "gauge")\n"
        for series in 0..<dice.below(9) { body += "f\(family){s=\"\(series)\"} \(round)\n" }
      }
      let path = "/j/k/\(dice.below(3))"
      let mode = modes[dice.below(3)]
      let before = steps.page
      var isShownEarly = false
      let refusals = (
        steps.refusal {
          try steps.push(path, body, mode: mode, step: 1 + dice.below(6)) {
            if dice.below(20) == 0, steps.page != before { isShownEarly = true }
          }
        }, atOnce.refusal { try atOnce.push(path, body, mode: mode) }
      )
      #expect(refusals.0 == refusals.1 && !isShownEarly, "round \(round)")
      #expect(steps.page == atOnce.page, "round \(round)")
      #expect(steps.store.series.count == atOnce.store.seriesCount)
    }
  }

  @Test func `a step of a push with thousands of families costs no more than it may`() throws {
    let fixture = try PushFixture()
    let body = (0..<1000).map { "name_\($0) 1\n" }.joined()
    // Parsing, writing, and three looks at each series: each of them so many steps.
    #expect(try fixture.push("/j", body, step: 100) > 5 * 1000 / 120)
    // A series more in a group of thousands is added in steps, too.
    let series = "# TYPE c counter\n" + (0..<1500).map { "c{n=\"\($0)\"} 1\n" }.joined()
    try fixture.push("/k", series, mode: .aggregate(.last))
    let count = try fixture.push(
      "/k", "# TYPE c counter\nc{n=\"7\"} 1\n", mode: .aggregate(.last), step: 100)
    #expect(count > 1500 / 110 && fixture.store.seriesCount == 2500)
    #expect(fixture.page.contains("c{instance=\"\",job=\"k\",n=\"7\"} 2.0\n"))
  }

  @Test func `refused in the middle, a push leaves all names, series and groups as they were`()
    throws
  {
    let fixture = try PushFixture()
    try fixture.push("/a", "# TYPE x gauge\nx 1\n")
    try fixture.push("/b/k/1", "y 1\n# TYPE h histogram\nh_sum 1\nh_count 1\n")
    let page = fixture.page
    for body in ["new 1\n# TYPE x counter\nx 1\n", "z 1\nh_count 1\n", "u 1\nw{k=\"1\"} 1\nu 1\n"] {
      #expect(fixture.refusal { try fixture.push("/b", body, step: 1) } != nil)
      #expect(fixture.page == page && fixture.store.series.count == 3)
    }
    try fixture.push("/a", "# TYPE x counter\nx 1\n")
    try fixture.push("/c", "new 1\nz 1\n")
  }

  @Test func `groups are wiped and expire in steps, and a page shows none whose time has come`()
    throws
  {
    let fixture = try PushFixture()
    for number in 0..<300 {
      try fixture.push("/j/k/\(number)", "x 1\ny 2\n", ttl: number < 200 ? 10 : 0)
    }
    fixture.now += 11
    var left = 50
    #expect(!fixture.store.expire(fixture.moment.steady, &left) && left > -20)
    #expect(fixture.store.groupCount > 280)
    // Those still to go are not on the page.
    let text = PushedFamilies(fixture.store, now: fixture.moment)
    #expect(text.groups.filter { $0 != nil }.count == 100)
    var steps = 1
    repeat {
      steps += 1
      left = 50
    } while !fixture.store.expire(fixture.moment.steady, &left)
    #expect(steps > 20 && fixture.store.groupCount == 100 && fixture.store.expiredCount == 200)
    steps = 0
    repeat {
      steps += 1
      left = 50
    } while !fixture.store.deleteAll(&left)
    #expect(steps > 10 && fixture.store.groupCount == 0 && fixture.store.series.count == 0)
  }

  @Test func `room for a push is made in steps where the groups have to move first`() throws {
    let fixture = try PushFixture(fileByteCount: 3 << 20)
    let filler = (0..<100).map { "filler{n=\"\($0)\"} 1\n" }.joined()
    for number in 0..<60 { try fixture.push("/j/k/\(number)", filler) }
    let page = fixture.page
    let large = (0..<4000).map { "large{n=\"\($0)\"} 1\n" }.joined()
    var waits = 0
    for _ in 0..<12 {
      let key = try fixture.parse("/l", large)
      fixture.store.begin(key, mode: .replace, timeToLive: 0, now: fixture.moment, isDryRun: false)
      var left = 64
      while try !fixture.store.goOn(fixture.batch, &left) {
        if fixture.store.change.phase == .room { waits += 1 }
        left = 64
      }
    }
    #expect(waits > 4)
    fixture.delete("/l")
    #expect(fixture.page == page)
    try fixture.reopen()
    #expect(Set(fixture.page.split(separator: "\n")) == Set(page.split(separator: "\n")))
  }

  @Test func `what a large push took is given back`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j", (0..<20_000).map { "a{n=\"\($0)\"} 1\n" }.joined())
    #expect(fixture.batch.heldByteCount > 1 << 20 && fixture.store.writer.heldByteCount > 1 << 20)
    fixture.batch.trim()
    fixture.store.writer.trim()
    let held = fixture.batch.heldByteCount + fixture.store.writer.heldByteCount
    #expect(held < 2 * PushBatch.keptByteCount)
    // Small ones keep what they have.
    try fixture.push("/j", "a 1\n")
    let small = fixture.batch.heldByteCount
    fixture.batch.trim()
    #expect(fixture.batch.heldByteCount == small && small > 0)
  }

  @Test func `a push is refused at the first series or byte that is too many`() throws {
    var limits = PushLimits()
    limits.series = 100
    limits.groupByteCount = 64 << 10
    let fixture = try PushFixture(limits)
    let body = (0..<1000).map { "a{n=\"\($0)\"} 1\n" }.joined() + "and what is no line\n"
    #expect(
      fixture.refusal { try fixture.push("/j", body) }
        == "101 pushed series would be more than the limit of 100")
    #expect(fixture.batch.metrics.count == 101)
    // Each line has all labels of the path.
    let path = "/j/k/" + String(repeating: "v", count: 1000)
    #expect(
      fixture.refusal { try fixture.push(path, body) }?.hasPrefix("the group would have more than")
        == true)
    #expect(fixture.batch.bytes.count < 70 << 10)
    // The group may be too large together with what it has.
    let labels = "k=\"\(String(repeating: "v", count: 900))\""
    for number in 0..<2 {
      let lines = (0..<40).map { "a\(number){\(labels),n=\"\($0)\"} 1\n" }.joined()
      #expect(
        (fixture.refusal { try fixture.push("/k", lines, mode: .merge) } == nil) == (number == 0))
    }
  }
}

/// Changes as requests make them, with their answers.
@Suite struct PushTurnsTests {
  private final class Server {
    let api: PushAPI
    var answers: [(status: Int, text: String)] = []
    var tickets: [Ticket] = []

    init(_ store: PushStore, _ settings: PushSettings) {
      api = PushAPI(store: store, settings: settings)
    }

    /// The status of an answer that comes at once; `nil` for one that is postponed.
    func push(_ path: String, _ text: String, _ kind: PushTask.Kind = .push) throws -> Int? {
      let task = PushTask(kind, kind == .wipe ? GroupingKey() : try PushFixture.key(path))
      var response = ResponseWriter()
      let bytes = Array(text.utf8)
      api.make(task, bytes.span.bytes, &response)
      return response.buffer.isEmpty ? nil : response.status
    }

    /// Turns until nothing is left to do; how many.
    func finish() -> Int {
      var turns = 0
      while api.isBusy {
        turns += 1
        api.goOn { _, status, text, _ in answers.append((status, text)) }
      }
      return turns
    }
  }

  /// Those that wait are part of what all clients hold: the one that has held most for longest is
  /// answered so, and the others are made.
  @Test func `bodies that wait are in the memory of all clients`() throws {
    let fixture = try PushFixture()
    let server = Server(fixture.store, PushSettings())
    let memory = ClientMemory(limit: 70_000)
    memory.join(server.api)
    server.api.memory = memory
    #expect(try server.push("/large", body(20_000)) == nil)
    #expect(memory.byteCount == 0)
    for number in 0..<3 {
      let text = body(number == 1 ? 3000 : 1500)
      #expect(try server.push("/j/k/\(number)", text) == nil)
      memory.makeRoom(now: Clock.monotonicNanoseconds)
    }
    // With the third they are above it, and the second goes.
    #expect(memory.byteCount > 30_000 && memory.byteCount <= 70_000)
    #expect(memory.byteCount == server.api.waitingByteCount)
    _ = server.finish()
    #expect(memory.byteCount == 0)
    #expect(server.answers.map { $0.status } == [503, 200, 200, 200])
    #expect(server.answers[0].text.contains("try again"))
    #expect(server.api.counts.limited == 1 && fixture.store.groupCount == 3)
    memory.leave()
  }

  private func body(_ count: Int) -> String {
    (0..<count).map { "a{n=\"\($0)\"} 1\n" }.joined()
  }

  @Test
  func `a small push is answered at once, a large one in turns, and what comes later waits for it`()
    throws
  {
    let fixture = try PushFixture()
    let server = Server(fixture.store, PushSettings())
    #expect(try server.push("/small", "a 1\n") == 200)
    #expect(try server.push("/large", body(20_000)) == nil)
    #expect(try server.push("/small", "a 2\n") == nil)
    #expect(try server.push("/small", "a 2 3\n") == nil)
    #expect(try server.push("/small", "", .delete) == nil)
    #expect(fixture.store.seriesCount == 1)
    #expect(server.finish() > 4)
    #expect(server.answers.map { $0.status } == [200, 200, 400, 202])
    #expect(fixture.store.seriesCount == 20_000 && fixture.store.groupCount == 1)
    #expect(server.api.batch.heldByteCount <= PushBatch.keptByteCount)
    #expect(fixture.store.writer.heldByteCount <= PushBatch.keptByteCount)
    #expect(server.api.plain.capacity <= 1 << 20)
    for number in 0..<2000 { try fixture.push("/j/k/\(number)", "b 1\n") }
    #expect(try server.push("", "", .wipe) == nil)
    #expect(server.finish() > 0 && server.answers.last?.status == 202)
    #expect(fixture.store.groupCount == 0)
  }

  @Test func `what waits has a bound in bytes, and says when to come again`() throws {
    var settings = PushSettings()
    settings.limits.bodyByteCount = 100_000
    let fixture = try PushFixture()
    let server = Server(fixture.store, settings)
    #expect(try server.push("/large", body(9000)) == nil)
    let large = body(8000)
    var count = 0
    while try server.push("/j/k/\(count)", large) == nil { count += 1 }
    #expect((1...4).contains(count) && server.api.counts.limited == 1)
    _ = server.finish()
    #expect(server.answers.count == count + 1)
    #expect(fixture.store.groupCount == count + 1)
    #expect(try server.push("/j", "a 1\n") == 200)
  }

  @Test func `a large push that is refused sets its group's time of failure`() throws {
    let fixture = try PushFixture()
    let server = Server(fixture.store, PushSettings())
    #expect(try server.push("/j", body(9000) + "a{n=\"1\"} 1\n") == nil)
    _ = server.finish()
    #expect(server.answers.map { $0.status } == [400])
    #expect(fixture.store.groupCount == 1 && fixture.store.seriesCount == 0)
    // What cannot be read changes nothing.
    #expect(try server.push("/k", body(9000) + "a 1 x\n") == nil)
    _ = server.finish()
    #expect(server.answers.count == 2 && fixture.store.groupCount == 1)
  }
}

/// Times to live follow the clock that nobody sets.
@Suite struct PushClockTests {
  @Test(arguments: [-3600.0, 0, 3600])
  func `a wall clock that is set neither ends nor prolongs a group`(_ shift: Double) throws {
    let fixture = try PushFixture()
    try fixture.push("/j", "a 1\n", ttl: 10)
    fixture.wallShift = shift
    fixture.now += 9
    #expect(fixture.page != "")
    fixture.now += 1
    #expect(fixture.page == "" && fixture.store.expiredCount == 1)
  }

  @Test(arguments: [(0.0, 40.0), (-20, 60), (-3600, 60), (30, 10), (3600, 0)])
  func `over a restart the difference of the wall clock counts, within the time to live`(
    _ shift: Double, _ left: Double
  ) throws {
    let fixture = try PushFixture()
    try fixture.push("/j", "a 1\n", ttl: 60)
    fixture.now += 20
    fixture.wallShift = shift
    try fixture.reopen()
    if left > 0 {
      fixture.now += left - 0.5
      #expect(fixture.page != "")
    }
    fixture.now += 0.5
    #expect(fixture.page == "")
  }

  @Test func `the query API tells the end by the wall clock of now`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j", "a 1\n", ttl: 60)
    fixture.wallShift = -3600
    fixture.now += 20
    let text = GroupsJSON(PushedFamilies(fixture.store, now: fixture.moment))
    var page = ByteBuffer()
    #expect(text.write(into: &page, byteCount: 1 << 20))
    // 1,700,000,000 is 22:13:20.
    #expect(String(copying: page.bytes).contains(#""expires":"2023-11-14T21:14:20.000000Z""#))
  }
}
