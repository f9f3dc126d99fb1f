import SidecarPlatform
import Testing

@testable import MetricsSidecar

private let second: UInt64 = 1_000_000_000

/// What happens to a sidecar with `--linger 45s`; times in seconds.
private enum Step {
  case taken(by: UInt64, mark: UInt64, at: UInt64)
  case stop(at: UInt64, underway: [UInt64] = [])
  case hurry
  case dies
}

private struct Row: CustomTestStringConvertible {
  let shows: String
  var hasValues = false
  let steps: [Step]
  var applied: UInt64 = 0
  var clients = 0
  var now: UInt64 = 101
  let verdict: Linger.Verdict
  var unseen: UInt64 = 0
  var testDescription: String { shows }
}

private let waits = Linger.Verdict.goesOn(until: 145 * second)

/// Two Prometheus, 1 and 2, that come each 30 seconds, up to event 7.
private let pair: [Step] = [
  .taken(by: 1, mark: 3, at: 40), .taken(by: 2, mark: 4, at: 55), .taken(by: 1, mark: 5, at: 70),
  .taken(by: 2, mark: 7, at: 85),
]

private let rows: [Row] = [
  Row(shows: "nothing was counted", steps: [.stop(at: 100)], verdict: .ends(.seen)),
  Row(
    shows: "an open client is waited for", steps: [.stop(at: 100)], clients: 1, verdict: waits),
  Row(
    shows: "an open client is waited for until the time is over", steps: [.stop(at: 100)],
    clients: 1, now: 145, verdict: .ends(.timeIsOver)),
  Row(
    shows: "a job that nobody has scraped waits", steps: [.stop(at: 100)], applied: 5,
    verdict: waits, unseen: 5),
  Row(
    shows: "of a job anybody's scrape will do",
    steps: [.stop(at: 100), .taken(by: 9, mark: 5, at: 101)], applied: 5, verdict: .ends(.seen)),
  Row(
    shows: "a scrape from before the last event is none",
    steps: [.stop(at: 100), .taken(by: 9, mark: 4, at: 101)], applied: 5, verdict: waits, unseen: 1
  ),
  Row(
    shows: "one scrape before the stop makes no reader",
    steps: [.taken(by: 1, mark: 1, at: 90), .stop(at: 100), .taken(by: 9, mark: 5, at: 101)],
    applied: 5, verdict: .ends(.seen)),
  Row(
    shows: "a reader whose second scrape is on its way at the stop is one",
    steps: [
      .taken(by: 1, mark: 1, at: 90), .stop(at: 100, underway: [1, 2]),
      .taken(by: 9, mark: 5, at: 101),
    ], applied: 5, verdict: waits),
  Row(
    shows: "a receipt that is collected in the turn of the stop is one of before",
    steps: [
      .taken(by: 1, mark: 1, at: 90), .taken(by: 1, mark: 2, at: 101), .stop(at: 100),
      .taken(by: 9, mark: 5, at: 101),
    ], applied: 5, verdict: waits),
  Row(
    shows: "all is seen already: it goes at once",
    steps: pair + [.taken(by: 1, mark: 7, at: 99), .stop(at: 100)], applied: 7,
    verdict: .ends(.seen)),
  Row(
    shows: "one half of a pair is not enough",
    steps: pair + [.stop(at: 100), .taken(by: 1, mark: 9, at: 101)], applied: 9, verdict: waits),
  Row(
    shows: "nor is somebody else, however often",
    steps: pair + [.stop(at: 100)]
      + [UInt64](repeating: 9, count: 3).map { .taken(by: $0, mark: 9, at: 101) },
    applied: 9, verdict: waits),
  Row(
    shows: "both halves are enough",
    steps: pair + [
      .stop(at: 100), .taken(by: 1, mark: 9, at: 101), .taken(by: 2, mark: 9, at: 115),
    ],
    applied: 9, now: 115, verdict: .ends(.seen)),
  Row(
    shows: "an event after one half's scrape makes that come again",
    steps: pair + [
      .stop(at: 100), .taken(by: 1, mark: 9, at: 101), .taken(by: 2, mark: 10, at: 115),
    ],
    applied: 10, now: 115, verdict: waits),
  Row(
    shows: "a reader that may come again is waited for",
    steps: [.taken(by: 3, mark: 1, at: 10), .taken(by: 3, mark: 2, at: 15)] + [
      .taken(by: 1, mark: 3, at: 40), .taken(by: 1, mark: 5, at: 70),
      .stop(at: 100), .taken(by: 1, mark: 5, at: 101),
    ],
    applied: 5, verdict: waits),
  Row(
    shows: "a reader that is long overdue is not waited for",
    steps: [
      .taken(by: 3, mark: 1, at: 1), .taken(by: 3, mark: 2, at: 6),
      .taken(by: 1, mark: 3, at: 140), .taken(by: 1, mark: 5, at: 170),
      .stop(at: 200), .taken(by: 1, mark: 6, at: 201),
    ],
    applied: 6, now: 201, verdict: .ends(.seen)),
  Row(
    shows: "a second signal ends it", steps: pair + [.stop(at: 100), .hurry], applied: 9,
    clients: 3, verdict: .ends(.signal), unseen: 2),
  Row(
    shows: "values of before wait for a scrape", hasValues: true, steps: [.stop(at: 100)],
    applied: 1, verdict: waits),
  Row(
    shows: "values of before that were scraped do not", hasValues: true,
    steps: [.taken(by: 1, mark: 1, at: 50), .stop(at: 100)], applied: 1, verdict: .ends(.seen)),
  Row(
    shows: "a worker that takes over waits for both halves again",
    steps: pair + [.stop(at: 100), .taken(by: 1, mark: 9, at: 101), .dies]
      + [.stop(at: 102), .taken(by: 1, mark: 10, at: 103)],
    applied: 10, now: 103, verdict: waits),
  Row(
    shows: "a worker that takes over ends after both halves",
    steps: pair + [.stop(at: 100), .dies, .stop(at: 102)]
      + [.taken(by: 1, mark: 8, at: 103), .taken(by: 2, mark: 8, at: 104)],
    applied: 8, now: 104, verdict: .ends(.seen)),
  Row(
    shows: "a worker that takes over has the time of the one before",
    steps: [.stop(at: 100), .dies, .stop(at: 140)], applied: 3, now: 145,
    verdict: .ends(.timeIsOver), unseen: 2),
]

@Suite struct LingerTests {
  @Test(arguments: rows) private func `the end waits for what it has to`(_ row: Row) {
    var linger = Linger(time: 45 * second, readerLimit: 4, hasValues: row.hasValues)
    for step in row.steps {
      switch step {
      case .taken(let reader, let mark, let at): linger.taken(mark, by: reader, now: at * second)
      case .stop(let at, let underway): linger.stop(now: at * second, underway: underway)
      case .hurry: linger.hurry()
      case .dies:
        let kept = linger.bytes.array
        linger = Linger(time: 45 * second, readerLimit: 4, hasValues: true)
        linger.takeOver(kept)
      }
    }
    #expect(
      linger.verdict(applied: row.applied, clientCount: row.clients, now: row.now * second)
        == row.verdict)
    #expect(linger.unseenCount(applied: row.applied) == row.unseen)
  }

  @Test func `strangers do not take the places of readers`() {
    var linger = Linger(time: 45 * second, readerLimit: 4, hasValues: false)
    for at: UInt64 in [1, 2] { linger.taken(1, by: 1, now: at * second) }
    for stranger in UInt64(10)..<100 { linger.taken(2, by: stranger, now: 3 * second + stranger) }
    #expect(linger.readers.count == 4)
    #expect(linger.readers[0].key == 1)
    // Those that came twice keep theirs, until they come no more.
    for stranger in UInt64(97)..<100 { linger.taken(2, by: stranger, now: 4 * second) }
    linger.taken(3, by: 7, now: 5 * second)
    #expect(!linger.readers.contains { $0.key == 7 })
    linger.taken(3, by: 7, now: 200 * second)
    #expect(linger.readers.contains { $0.key == 7 })
  }

  @Test func `what a worker leaves behind is what the next one has`() {
    var linger = Linger(time: second, readerLimit: 4, hasValues: false)
    for (mark, at) in [(1, 5), (3, 9)] as [(UInt64, UInt64)] { linger.taken(mark, by: 1, now: at) }
    linger.stop(now: 10)
    var next = Linger(time: second, readerLimit: 4, hasValues: true)
    next.takeOver(linger.bytes.array)
    #expect(next.readers == linger.readers)
    #expect(next.stoppedAt == 10)
    #expect(next.hashKey.start == linger.hashKey.start)
    // Cut short, as no worker leaves it.
    var other = Linger(time: second, readerLimit: 4, hasValues: true)
    other.takeOver(Array(linger.bytes.array.dropLast(9)))
    #expect(other.readers.isEmpty)
  }
}
