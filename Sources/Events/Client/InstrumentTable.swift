import Synchronization
internal import SidecarPlatform

/// The instruments that have changed since the last flush, each once.
final class Changes: @unchecked Sendable {
  private let lock = Lock()
  /// Under `lock`.
  private var list: [Instrument] = []
  private let wake: Wake?

  /// `wake` is called with the first change after a flush.
  init(_ wake: Wake?) { self.wake = wake }

  func add(_ instrument: Instrument) {
    let isFirst = lock.holding {
      list.append(instrument)
      return list.count == 1
    }
    if isFirst { wake?() }
  }

  /// Makes the thread check, though no instrument has changed.
  func callWake() { wake?() }

  var isEmpty: Bool { lock.holding { list.isEmpty } }

  func take() -> [Instrument] {
    lock.holding {
      let taken = list
      list = []
      return taken
    }
  }
}

/// All series and declarations of a client, for many threads.
final class InstrumentTable: @unchecked Sendable {
  private let maxSeries: Int
  private let changes: Changes
  private let lock = Lock()
  // Under `lock`.
  private var known: [String: Instrument] = [:]
  private var refused = 0
  private var declarations: [String: Declared] = [:]
  /// The bytes of all their lines: beyond 4 MiB, a sidecar's default limit, further ones are
  /// dropped.
  private var declaredByteCount = 0
  /// Declarations that are in no frame yet.
  private var new: [[UInt8]] = []
  private var ended: [Instrument] = []
  /// Whether to send gauges again to a sidecar that comes back.
  let hasGauges = Atomic(false)
  /// Whether gauges must be sent again every minute.
  let hasLiveAll = Atomic(false)

  private struct Declared {
    let line: [UInt8]
    let bounds: [Double]?
    let isLiveAll: Bool
  }

  /// The bounds of the official clients, for a histogram without bounds.
  static let defaultBounds = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
  ]

  init(maxSeries: Int, _ changes: Changes) {
    self.maxSeries = maxSeries
    self.changes = changes
  }

  var refusedCount: Int { lock.holding { refused } }

  // MARK: Series

  /// The instrument with that kind, name and tags, created if there is none, with the declared
  /// bounds. It uses the name of a declared family if there is one: for `http.requests`, that may
  /// be `http_requests` or, with the suffix, `http_requests_total`.
  func find<Kind: Instrument>(
    _ kind: String, _ name: String, suffix: String = "", _ tags: [(String, String)],
    _ make: (String, String, Changes?, [Double]?) -> Kind
  ) -> Kind {
    let name = TagText.name(name)
    let tags = TagText.text(tags)
    let key = Self.key(kind, name, tags)
    return lock.holding {
      if let found = known[key] as? Kind { return found }
      let declared = declaredName(name, suffix)
      let bounds = declared.flatMap { declarations[$0]?.bounds }
      guard known.count < maxSeries else {
        refused += 1
        return make(name, tags, nil, bounds)
      }
      let made = make(declared ?? name, tags, changes, bounds)
      made.key = key
      known[key] = made
      if made is Gauge { hasGauges.store(true, ordering: .relaxed) }
      return made
    }
  }

  /// With the lock.
  private func declaredName(_ name: String, _ suffix: String) -> String? {
    if declarations.isEmpty || declarations[name] != nil {
      return declarations.isEmpty ? nil : name
    }
    let word = TagText.word(name)
    return [word, word + suffix].first { declarations[$0] != nil }
  }

  private static func key(_ kind: String, _ name: String, _ tags: String) -> String {
    var key = kind
    key.reserveCapacity(name.utf8.count + tags.utf8.count + 3)
    key += name
    key += "|"
    key += tags
    return key
  }

  /// Forgets a series; what it has counted is still sent.
  func remove(_ instrument: Instrument) {
    lock.holding {
      guard known[instrument.key] === instrument else { return }
      known[instrument.key] = nil
      if instrument is Gauge { ended.append(instrument) }
    }
    changes.callWake()
  }

  /// Whether a removed gauge has not been created again.
  func isGone(_ instrument: Instrument) -> Bool { lock.holding { known[instrument.key] == nil } }

  // MARK: Declarations

  func declare(_ name: String, _ type: FamilyType, help: String) {
    var line = "\n_family|\(name)|\(type.word)|\(TagText.escaped(help, comma: false))"
    var bounds: [Double]?
    var isLiveAll = false
    switch type {
    case .counter: break
    case .gauge(let merge):
      if merge != .last { line += "|m:\(merge.rawValue)" }
      isLiveAll = merge == .liveAll
    case .histogram(let given):
      if !given.isEmpty { line += "|b:" + given.map { "\($0)" }.joined(separator: ",") }
      bounds = given.isEmpty ? Self.defaultBounds : given
    case .summary: break
    }
    let declared = Declared(line: Array(line.utf8), bounds: bounds, isLiveAll: isLiveAll)
    lock.holding {
      if declarations[name]?.line == declared.line { return }
      let known = declarations[name]?.line.count ?? 0
      let total = declaredByteCount + declared.line.count - known
      if total > FrameWindow.openingByteCount { return }
      declaredByteCount = total
      declarations[name] = declared
      new.append(declared.line)
    }
    if isLiveAll { hasLiveAll.store(true, ordering: .relaxed) }
    changes.callWake()
  }

  // MARK: The flush

  /// Whether a declaration or a removal waits.
  var hasLines: Bool { lock.holding { !new.isEmpty || !ended.isEmpty } }

  /// Writes declarations that are in no frame yet, and the removals of gauges.
  func take() -> (declarations: [[UInt8]], ended: [Instrument]) {
    lock.holding {
      let taken = (new, ended)
      new = []
      ended = []
      return taken
    }
  }

  /// Writes all declarations, and schedules all gauges to be sent again.
  func restart(into buffer: inout ByteBuffer) {
    lock.holding {
      new = []
      for declared in declarations.values { buffer.append(declared.line) }
      for instrument in known.values where instrument.renew() { instrument.mark() }
    }
  }

  /// Schedules gauges to be sent again if the sidecar expires their silent values.
  func beat() {
    lock.holding {
      for instrument in known.values
      where declarations[instrument.name]?.isLiveAll == true && instrument.renew() {
        instrument.mark()
      }
    }
  }
}

/// The source of a session's lines. One thread at a time may use it.
///
/// What must stay true: declarations are sent before the events that came after them, and a gauge's
/// removal after its last value.
struct Instruments: LineSource {
  let table: InstrumentTable
  let changes: Changes
  private var declarations: [[UInt8]] = []
  private var due: [Instrument] = []
  private var ended: [Instrument] = []

  init(_ table: InstrumentTable, _ changes: Changes) {
    self.table = table
    self.changes = changes
  }

  /// Takes over the changes. Call it before a frame that should contain them.
  mutating func collect() {
    // In this order: a declaration before a change is there when the change is.
    due += changes.take()
    let taken = table.take()
    declarations += taken.declarations
    ended += taken.ended
  }

  var isEmpty: Bool { declarations.isEmpty && due.isEmpty && ended.isEmpty }
  var wantsConnection: Bool { table.hasGauges.load(ordering: .relaxed) }

  mutating func drain(into buffer: inout ByteBuffer, limit: Int) {
    let end = buffer.count + limit
    var count = 0
    while count < declarations.count, buffer.count < end {
      buffer.append(declarations[count])
      count += 1
    }
    declarations.removeFirst(count)
    while let instrument = due.last {
      guard instrument.drain(into: &buffer, end: end) else { return }
      due.removeLast()
    }
    while let gauge = ended.last, buffer.count < end {
      ended.removeLast()
      guard table.isGone(gauge) else { continue }
      buffer.append("\n_remove|")
      buffer.append(gauge.name)
      buffer.append(gauge.tail)
    }
  }

  mutating func restart(_ window: inout FrameWindow) {
    declarations = []
    var opening = ByteBuffer()
    table.restart(into: &opening)
    window.prepend(opening.bytes)
  }
}
