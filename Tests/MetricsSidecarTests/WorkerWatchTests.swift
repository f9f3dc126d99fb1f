import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct WorkerWatchTests {
  private let look = WorkerWatch.lookNanoseconds

  @Test func `a worker at rest is not looked at`() {
    var watch = WorkerWatch()
    #expect(watch.look(0, now: 1) == .rests)
    #expect(watch.look(7, now: 2) == .look(at: 2 + look))
    #expect(watch.look(8, now: 3) == .rests)
  }

  @Test func `one that takes turn after turn never hangs`() {
    var watch = WorkerWatch()
    var now: UInt64 = 5
    for turn in stride(from: UInt32(1), to: 99, by: 2) {
      guard case .look(let next) = watch.look(turn, now: now) else {
        Issue.record("turn \(turn)")
        return
      }
      now = next
    }
  }

  @Test func `one in the same turn at three looks in a row hangs`() {
    var watch = WorkerWatch()
    #expect(watch.look(7, now: 0) == .look(at: look))
    // News in between are no look.
    #expect(watch.look(7, now: look / 2) == .look(at: look))
    #expect(watch.look(7, now: look) == .look(at: 2 * look))
    #expect(watch.look(7, now: 2 * look - 1) == .look(at: 2 * look))
    #expect(watch.look(7, now: 2 * look) == .hangs)
  }

  @Test func `the start has a minute, unless it is stopped`() {
    var watch = WorkerWatch()
    for n in UInt64(0)..<12 { #expect(watch.look(1, now: n * look) == .look(at: (n + 1) * look)) }
    #expect(watch.look(1, now: 12 * look) == .hangs)
    watch = WorkerWatch()
    watch.isStopped = true
    _ = watch.look(1, now: 0)
    _ = watch.look(1, now: look)
    #expect(watch.look(1, now: 2 * look) == .hangs)
  }

  @Test func `a pause of everything, however long, is one look`() {
    var watch = WorkerWatch()
    _ = watch.look(7, now: 0)
    #expect(watch.look(7, now: 1000 * look) == .look(at: 1001 * look))
    #expect(watch.look(9, now: 1001 * look) == .look(at: 1002 * look))
  }

  @Test func `a stopped one hangs although its loop was at rest, unless it goes on`() {
    var watch = WorkerWatch()
    watch.isStopped = true
    #expect(watch.look(8, now: 0) == .look(at: look))
    #expect(watch.look(8, now: look) == .look(at: 2 * look))
    watch.isStopped = false
    #expect(watch.look(8, now: 2 * look) == .rests)
    watch.isStopped = true
    for n in UInt64(3)...4 { #expect(watch.look(8, now: n * look) == .look(at: (n + 1) * look)) }
    #expect(watch.look(8, now: 5 * look) == .hangs)
  }

  @Test func `names of copies of one second are numbered`() {
    let first = "/s/state.damaged-1700000000"
    #expect(StateFileOpening.number("", behind: first) == 1)
    #expect(StateFileOpening.number("/s/state.damaged-1699999999-7", behind: first) == 1)
    #expect(StateFileOpening.number(first, behind: first) == 2)
    #expect(StateFileOpening.number(first + "-2", behind: first) == 3)
    #expect(StateFileOpening.number(first + "-41", behind: first) == 42)
  }

  @Test func `bytes of others are one line of a log, whatever they are`() {
    let bytes: [UInt8] = [0x61, 0x0a, 0x5c, 0x1b, 0xff, 0x7e, 0x7f]
    #expect(Poison.text(bytes.span.bytes, limit: 256) == #"a\x0a\x5c\x1b\xff~\x7f"#)
    #expect(Poison.text(bytes.span.bytes, limit: 2) == #"a\x0a"#)
  }
}
