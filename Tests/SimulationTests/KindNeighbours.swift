import Foundation
import SidecarEvents
import SidecarFuzzSupport
import SidecarPlatform

@testable import MetricsSidecar

/// Other clients of the sidecar that attack it: bad frames and half ones, clients that
/// come and go, lines that are wrong or of another type, declarations, floods of new series to the
/// limits, and pushes. None of what they send may change a count of those who behave well.
final class KindNeighbours {
  private var links: [KindLink] = []
  private let path: String
  private(set) var store: PushStore!
  private let batch = PushBatch()
  private var number = 0
  /// How often each of the things was done.
  private(set) var done = [Int](repeating: 0, count: 7)
  private static let linkLimit = 20

  init(path: String) { self.path = path + ".push" }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The sidecar was killed.
  func stop() {
    links = []
    store = nil
  }

  /// With a sidecar that has just started.
  func start(_ registry: Registry) throws {
    store = PushStore(
      file: try PushFile(try KindSimulation.open(path)), limits: PushLimits(),
      now: .now)
    store.others = registry
    registry.notesRemoved = true
  }

  /// One thing that one of them does. New series come only while `mayFlood`: who fills the room for
  /// them first has it.
  func act(
    _ registry: Registry, _ processor: LineProcessor, mayFlood: Bool, _ dice: inout Dice
  ) throws {
    let what = dice.below(7)
    done[what] += 1
    switch what {
    case 0: come(registry, &dice)
    case 1: go(registry, &dice)
    case 2: send(junk(&dice), registry, processor, &dice)
    case 3:
      // The next frame completes the last line: it must be none that would count, as `done:1|` and
      // a length of 99, which is a `c`, do.
      let half = frame(lines(&dice) + ["half of a line"])
      send(Array(half.dropLast(1 + dice.below(8))), registry, processor, &dice)
    case 4: send(frame(lines(&dice)), registry, processor, &dice)
    case 5:
      number += 1
      let flood = mayFlood ? (0..<50).map { "flood\(number).\($0):1|c|#k:\($0)" } : lines(&dice)
      datagram(Array(flood.joined(separator: "\n").utf8), processor)
    default: try push(&dice)
    }
  }

  // MARK: Clients

  private func come(_ registry: Registry, _ dice: inout Dice) {
    if links.count >= Self.linkLimit { go(registry, &dice) }
    links.append(KindLink(wire: [], owner: registry.owners.connect()))
  }

  private func go(_ registry: Registry, _ dice: inout Dice) {
    guard !links.isEmpty else { return }
    end(links.remove(at: dice.below(links.count)), registry)
  }

  private func end(_ link: KindLink, _ registry: Registry) {
    registry.connectionEnded(link.owner)
  }

  private func send(
    _ bytes: [UInt8], _ registry: Registry, _ processor: LineProcessor, _ dice: inout Dice
  ) {
    if links.isEmpty { come(registry, &dice) }
    let index = dice.below(links.count)
    let link = links[index]
    link.input.append(bytes)
    registry.owners.current = link.owner
    if !apply(link, processor) { end(links.remove(at: index), registry) }
    registry.owners.current = 0
  }

  /// Whether it may stay.
  private func apply(_ link: KindLink, _ processor: LineProcessor) -> Bool {
    while true {
      switch link.server.next(link.input.bytes, lastApplied: 0) {
      case .needMore:
        link.input.removeFirst(link.server.takeConsumed())
        return true
      case .open: link.server.opened(lastApplied: 0)
      case .apply(let start, let stop, _):
        processor.lines(link.input.bytes.extracting(0..<stop), from: start, .events)
      case .close: return false
      }
    }
  }

  private func datagram(_ bytes: [UInt8], _ processor: LineProcessor) {
    processor.begin(isStatsD: true)
    _ = processor.datagram(bytes.span.bytes, from: 0, .udp, until: .max)
    processor.begin(isStatsD: false)
  }

  // MARK: What they send

  private func junk(_ dice: inout Dice) -> [UInt8] {
    (0..<(1 + dice.below(60))).map { _ in UInt8(truncatingIfNeeded: dice.next()) }
  }

  private func frame(_ lines: [String]) -> [UInt8] {
    var frame = ByteBuffer()
    let start = Frame.begin(&frame)
    frame.append(lines.joined(separator: "\n"))
    Frame.end(start, &frame)
    return frame.array
  }

  /// Of another type, of none, of a name that is part of another's, declared as something else.
  private static let bad = [
    "done:1|g", "done:x|c", "done:1", "done:-1|c", "done:nan|c", "level:x|g", "wait:nan|d",
    "size:1e999|h", "query|d", "users:5|g", "wait_seconds_count:5|c", "size_bytes_sum:5|g",
    "_family|done_total|gauge|x", "_family|wait_seconds|counter|x", "_family|level|histogram|x",
    "_family|wait_seconds_count|counter|x", "_family|flip|counter|x", "_family|flip|gauge|x",
    "_series|flip|#a:b", "_series|level|#who:9", "_remove|busy", "_remove|level|#who:0",
    "_remove|flip|#a:b", "_seq|7", "_session|00", "flip:1|c|#a:b", "flip:1|g|#a:b", "", ":|",
    "GET / HTTP/1.1", "_family|done|counter|x", "_series|done",
  ]

  private func lines(_ dice: inout Dice) -> [String] {
    (0..<(1 + dice.below(8))).map { _ in Self.bad[dice.below(Self.bad.count)] }
  }

  /// Families of those who behave well, with their type or another; half of it may be wrong.
  private func push(_ dice: inout Dice) throws {
    let path = Array("/j\(dice.below(3))".utf8)
    let key = try GroupingKey(path: path.span.bytes, limits: PushLimits())
    if dice.chance(percent: 20) {
      store.delete(key.identity)
      return
    }
    let bodies = [
      "# TYPE done_total counter\ndone_total 7\n", "# TYPE done_total gauge\ndone_total 7\n",
      "# TYPE wait_seconds_count gauge\nwait_seconds_count 7\n", "busy 7\nlevel{who=\"0\"} 7\n",
      "# TYPE users counter\nusers 7\n", "a 1\nb{", "flip 3\n",
      (0..<200).map { "pushed\($0 % 50){k=\"\($0)\"} \($0)\n" }.joined(),
    ]
    let mode: GroupWriter.Mode = dice.chance(percent: 50) ? .merge : .replace
    batch.begin(key, adds: mode.rule)
    let body = Array(bodies[dice.below(bodies.count)].utf8)
    var parsing = PushParsing()
    var left = Int.max
    do throws(PushError) {
      _ = try parsing.goOn(body.span.bytes, isProtobuf: false, into: batch, PushLimits(), &left)
      try store.push(key, batch, mode: mode, timeToLive: 0, now: .now)
    } catch {}
  }
}
