import Events
import Foundation
import FuzzSupport
import Platform

@testable import MetricsSidecar

/// Two clients that send every kind of metric to the sidecar's own registry and state file, which is
/// killed, cut off and given other rules as the seed has it; then calm, and every kind must have what
/// was sent: sums and counts exactly once, a gauge its last value, a set its members.
final class KindSimulation {
  private var dice: Dice
  private let canary: Canary
  private let path: String
  private var registry: Registry!
  private var applier: Applier!
  private var rules: [Rules]
  private var clients: [KindClient] = []
  private var model = KindModel()
  private(set) var faults = 0
  /// The sidecar has closed a client that keeps to the protocol.
  private var failure: String?

  init(seed: UInt64, canary: Canary = .none) throws {
    var dice = Dice(seed)
    self.canary = canary
    path = NSTemporaryDirectory() + "kinds-\(UUID().uuidString.prefix(8))"
    rules = [try Self.rules(help: "One"), try Self.rules(help: "Two")]
    for _ in 0..<2 {
      clients.append(KindClient(id: SessionID(high: dice.next(), low: dice.next())))
    }
    self.dice = dice
    try start()
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  private static func rules(help: String) throws -> Rules {
    let text = #"""
      {"families": [
        {"name": "done_total", "type": "counter", "help": "\#(help)", "events": [{"event": "done"}]},
        {"name": "level", "type": "gauge", "labels": ["who"], "events": [{"event": "level"}]},
        {"name": "wait_seconds", "type": "histogram", "buckets": [0.1, 1],
         "events": [{"event": "wait"}]},
        {"name": "size_bytes", "type": "histogram", "native": true, "events": [{"event": "size"}]},
        {"name": "query_seconds", "type": "summary", "window": "1h", "events": [{"event": "query"}]},
        {"name": "users", "type": "set", "window": "1h", "events": [{"event": "user"}]},
        {"name": "busy", "type": "gauge", "merge": "sum", "events": [{"event": "busy"}]}]}
      """#
    return try RuleFile.parse(Array(text.utf8))
  }

  /// Runs it; what went wrong, or `nil`.
  func run(steps: Int) throws -> String? {
    for _ in 0..<steps where failure == nil { try step() }
    for _ in 0..<1000
    where failure == nil && clients.contains(where: { !$0.frames.isEmpty }) {
      for index in clients.indices { try serve(index, byteCount: 1 << 20, isCalm: true) }
    }
    if let failure { return failure }
    if clients.contains(where: { !$0.frames.isEmpty }) { return "a client is not drained" }
    return model.difference(from: page)
  }

  private func step() throws {
    let index = dice.below(clients.count)
    switch dice.below(10) {
    case 0...3: clients[index].put(model.lines(client: index, &dice))
    case 4...8: try serve(index, byteCount: 1 + dice.below(400), isCalm: false)
    default:
      if dice.chance(percent: 30) { registry.reload(rules[dice.below(2)]) }
      if dice.chance(percent: 20) { cut(index) }
      if dice.chance(percent: 20) { try kill() }
    }
  }

  // MARK: The sidecar

  private func start() throws {
    var limits = Limits()
    limits.series = 100
    let state = try StateFile(try MappedFile(path: path, limit: 4 << 20))
    registry = Registry(state: state, rules: rules[0], limits: limits)
    applier = Applier(registry: registry, limits: limits)
  }

  /// SIGKILL: what is not committed is gone, and so are all connections.
  private func kill() throws {
    faults += 1
    for index in clients.indices { clients[index].link = nil }
    applier = nil
    registry = nil
    try start()
  }

  /// The connection breaks, with whatever is on its way.
  private func cut(_ index: Int) {
    guard let link = clients[index].link else { return }
    faults += 1
    registry.connectionEnded(link.owner)
    if link.slot != nil { registry.close(clients[index].id) }
    clients[index].link = nil
  }

  /// One turn: reads a piece, applies, commits, acknowledges. As `EventConnection` and `Sidecar` do.
  private func serve(_ index: Int, byteCount: Int, isCalm: Bool) throws {
    if clients[index].link == nil { clients[index].connect(owner: registry.owners.connect()) }
    guard let link = clients[index].link else { return }
    link.input.append(link.wire.prefix(byteCount).map { $0 })
    link.wire.removeFirst(min(byteCount, link.wire.count))
    let number = apply(link, clients[index].id)
    if canary == .acknowledgesBeforeCommit { acknowledge(link, number, index) }
    if !isCalm, dice.chance(percent: 3) { return try kill() }
    registry.commit()
    if !isCalm, dice.chance(percent: 3) { return try kill() }
    if canary == .positionOutsideCommit, let slot = link.slot {
      registry.state.store(slot.positionCell, number)
      registry.commit()
    }
    acknowledge(link, number, index)
  }

  /// Applies what is whole; the number of the last frame.
  private func apply(_ link: KindLink, _ id: SessionID) -> UInt64 {
    let state = registry.state
    var last = link.slot.map { state.value($0.positionCell) } ?? 0
    registry.owners.current = link.owner
    defer { registry.owners.current = 0 }
    while true {
      switch link.server.next(link.input.bytes, lastApplied: last) {
      case .needMore:
        link.input.removeFirst(link.server.takeConsumed())
        return last
      case .open(let named):
        precondition(named == id)
        link.slot = registry.sessions.open(id, now: Clock.unixNanoseconds, in: state)
        state.commit()
        link.owner = ClientOwners.number(session: id.high, id.low)
        registry.owners.insert(link.owner)
        registry.owners.current = link.owner
        last = state.value(link.slot!.positionCell)
        link.server.opened(lastApplied: last)
      case .apply(let start, let end, let number):
        applier.lines(link.input.bytes.extracting(0..<end), from: start, .events)
        last = number
        if canary != .positionOutsideCommit { state.store(link.slot!.positionCell, number) }
      case .close(let reason):
        failure = "closed for \(reason)"
        return last
      }
    }
  }

  private func acknowledge(_ link: KindLink, _ number: UInt64, _ index: Int) {
    link.server.committed(lastApplied: number)
    clients[index].received(link.server.output.bytes)
    link.server.output.removeAll()
  }

  private var page: [String: Double] {
    var buffer = ByteBuffer()
    TextFormat.append(registry, to: &buffer)
    var values: [String: Double] = [:]
    for line in String(decoding: buffer.array, as: UTF8.self).split(separator: "\n")
    where !line.hasPrefix("#") {
      let space = line.lastIndex(of: " ")!
      values[String(line[..<space])] = Double(line[line.index(after: space)...])
    }
    return values
  }
}

/// One connection: bytes on their way, and the sidecar's machine.
final class KindLink {
  var server = SessionServer()
  var wire: [UInt8]
  var input = ByteBuffer()
  var owner: UInt64
  var slot: SessionTable.Slot?

  init(wire: [UInt8], owner: UInt64) {
    self.wire = wire
    self.owner = owner
  }
}

/// A client by the protocol's document: frames with numbers, kept until they are acknowledged.
struct KindClient {
  let id: SessionID
  private(set) var frames: [(number: UInt64, bytes: [UInt8])] = []
  private var number: UInt64 = 0
  var link: KindLink?

  init(id: SessionID) { self.id = id }

  mutating func put(_ lines: [String]) {
    number += 1
    var frame = ByteBuffer()
    let start = Frame.begin(&frame)
    frame.append((["_seq|\(number)"] + lines).joined(separator: "\n"))
    Frame.end(start, &frame)
    frames.append((number, frame.array))
    link?.wire += frame.array
  }

  /// Names the session and sends everything again.
  mutating func connect(owner: UInt64) {
    var hello = ByteBuffer()
    SessionLine.appendSession(id, to: &hello)
    link = KindLink(wire: hello.array + frames.flatMap { $0.bytes }, owner: owner)
  }

  mutating func received(_ bytes: RawSpan) {
    var start = 0
    while case .frame(let range) = Frame.next(in: bytes, from: start, limit: 64) {
      start = range.upperBound
      guard case .acknowledgement(let last) = SessionLine.parse(bytes.extracting(range)) else {
        continue
      }
      frames.removeAll { $0.number <= last }
    }
  }
}

/// What every kind has to come to. Values are such that sums are exact in any order.
struct KindModel {
  private var sums: [String: Double] = [
    "done_total": 0, "wait_seconds_sum": 0, "wait_seconds_count": 0, "size_bytes_sum": 0,
    "size_bytes_count": 0, "query_seconds_sum": 0, "query_seconds_count": 0,
    #"wait_seconds_bucket{le="0.1"}"#: 0, #"wait_seconds_bucket{le="1.0"}"#: 0,
    #"wait_seconds_bucket{le="+Inf"}"#: 0,
  ]
  private var levels: [Int: Double] = [:]
  private var parts: [Int: Double] = [:]
  private var users: Set<Int> = []

  /// The lines of a frame, which count from now on.
  mutating func lines(client: Int, _ dice: inout Dice) -> [String] {
    (0..<(1 + dice.below(6))).map { _ in line(client, &dice) }
  }

  private mutating func line(_ client: Int, _ dice: inout Dice) -> String {
    switch dice.below(7) {
    case 0:
      sums["done_total"]! += 1
      return "done:1|c"
    case 1:
      levels[client] = Double(dice.below(100))
      return "level:\(levels[client]!)|g|#who:\(client)"
    case 2:
      let value = [0.0625, 0.5, 4][dice.below(3)]
      observe("wait_seconds", value)
      for (bound, text) in [(0.1, "0.1"), (1, "1.0"), (.infinity, "+Inf")] where value <= bound {
        sums["wait_seconds_bucket{le=\"\(text)\"}"]! += 1
      }
      return "wait:\(value)|d"
    case 3:
      let value = Double(1 + dice.below(1000))
      observe("size_bytes", value)
      return "size:\(value)|h"
    case 4:
      let value = Double(dice.below(40)) / 4
      observe("query_seconds", value)
      return "query:\(value)|d"
    case 5:
      let user = dice.below(40)
      users.insert(user)
      return "user:u\(user)|s"
    default:
      parts[client] = Double(dice.below(100))
      return "busy:\(parts[client]!)|g"
    }
  }

  private mutating func observe(_ family: String, _ value: Double) {
    sums[family + "_sum"]! += value
    sums[family + "_count"]! += 1
  }

  /// What a page has otherwise, or `nil`.
  func difference(from page: [String: Double]) -> String? {
    var expected = sums
    for (client, level) in levels { expected["level{who=\"\(client)\"}"] = level }
    expected["busy"] = parts.values.reduce(0, +)
    expected["users"] = Double(users.count)
    for (series, value) in expected.sorted(by: { $0.key < $1.key })
    where page[series, default: 0] != value {
      return "\(series) is \(page[series] ?? -1), not \(value)"
    }
    return nil
  }
}
