import SidecarPlatform

@testable import SidecarEvents

/// A wire of bytes in one direction: takes only what fits, gives in pieces.
struct Wire {
  var bytes: [UInt8] = []
  var capacity: Int

  var room: Int { max(0, capacity - bytes.count) }

  mutating func take(_ count: Int) -> [UInt8] {
    let piece = Array(bytes.prefix(count))
    bytes.removeFirst(piece.count)
    return piece
  }
}

/// What survives the sidecar's death: sums and positions, changed together.
struct Kept: Equatable {
  var positions: [SessionID: UInt64] = [:]
  var sums: [String: Double] = [:]
  var counts: [String: Double] = [:]
}

/// A planted mistake, to see that the simulator catches it.
enum Canary { case none, acknowledgesBeforeCommit, positionOutsideCommit, forgetsDuplicates }

/// The sidecar's end: the shipping `SessionServer` and parser over a model of the state file.
final class SimulatedSidecar {
  var kept = Kept()
  private var working = Kept()
  private let canary: Canary
  private(set) var isUp = true
  /// No room on the disk for another session; existing ones can be written.
  var isDiskFull = false
  var duplicates: UInt64 = 0

  init(canary: Canary) { self.canary = canary }

  /// SIGKILL: what is not committed is gone.
  func kill() {
    isUp = false
    if canary == .positionOutsideCommit { kept.sums = working.sums }
    working = kept
  }

  func start() {
    working = kept
    isUp = true
  }

  /// One read of a connection; false if it was closed. `survives` is asked at each point where a
  /// kill would be interesting.
  func turn(_ link: SimulatedLink, survives: () -> Bool) -> Bool {
    while true {
      switch link.server.next(link.input.bytes, lastApplied: position(link)) {
      case .needMore:
        link.input.removeFirst(link.server.takeConsumed())
        if canary == .acknowledgesBeforeCommit {
          link.server.committed(lastApplied: position(link))
          link.flushOutput()
        }
        guard survives() else { return true }
        kept = working
        guard survives() else { return true }
        link.server.committed(lastApplied: position(link))
        duplicates = link.server.duplicateFrames
        return true
      case .open(let id):
        if working.positions[id] == nil, isDiskFull {
          link.isRefused = true
          link.server.refused()
          continue
        }
        link.id = id
        if working.positions[id] == nil {
          working.positions[id] = 0
          kept = working
        }
        link.server.opened(lastApplied: canary == .forgetsDuplicates ? 0 : working.positions[id]!)
      case .apply(let start, let end, let position):
        if position > 0 { working.positions[link.id!] = position }
        apply(link.input.bytes, start, end)
      case .close:
        kept = working
        link.server.committed(lastApplied: position(link))
        return false
      }
    }
  }

  private func position(_ link: SimulatedLink) -> UInt64 {
    link.id.flatMap { working.positions[$0] } ?? 0
  }

  private func apply(_ bytes: RawSpan, _ start: Int, _ end: Int) {
    var lines = LineReader(start: start, end: end)
    while lines.next(bytes) {
      let line = bytes.extracting(lines.line)
      do throws(LineError) {
        let event = try EventLine.parse(line)
        var index = event.values.lowerBound
        let name = text(line.extracting(event.name)) + "#" + text(line.extracting(event.tags))
        while let value = try event.nextValue(line, &index) {
          working.sums[name, default: 0] += value.number * event.weight
          working.counts[name, default: 0] += event.weight
        }
      } catch { fatalError("the client wrote a line that does not parse: \(text(line))") }
    }
  }

  private func text(_ bytes: RawSpan) -> String {
    String(decoding: (0..<bytes.byteCount).map { bytes.at($0) }, as: UTF8.self)
  }
}

/// One connection: two wires and the sidecar's machine at the far end.
final class SimulatedLink {
  var server = SessionServer()
  var id: SessionID?
  var input = ByteBuffer()
  var toServer: Wire
  var toClient: Wire
  /// The life of the App at the other end.
  let life: Int
  var isServerGone = false
  var isClientGone = false
  var isRefused = false
  /// Whether all that the App has answered went over this link or is kept.
  var hasEverything = false

  init(life: Int, capacity: Int) {
    self.life = life
    toServer = Wire(capacity: capacity)
    toClient = Wire(capacity: 4096)
  }

  /// Sends what the machine has to say, as far as the wire takes it.
  func flushOutput() {
    let piece = Array(server.output.array.prefix(toClient.room))
    server.output.removeFirst(piece.count)
    if !isClientGone { toClient.bytes += piece }
  }
}
