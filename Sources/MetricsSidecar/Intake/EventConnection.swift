import SidecarEvents
import SidecarPlatform

/// One client of events.sock: frames with a session, frames without, or plain lines, depending on
/// its first bytes. A client of `--statsd-tcp` sends plain lines only.
///
/// What must stay true: bytes are applied in order and once; a frame is applied as a whole or not
/// at all, possibly over several turns: while `isHalfApplied`, nothing commits; an acknowledgement
/// is written only after its commit.
final class EventConnection {
  let socket: Descriptor
  let token: UInt32
  let source: IntakeCounts.Source
  private var server: SessionServer
  // Moved out while its bytes are borrowed, so never `nil` between two calls.
  private var input: ByteBuffer? = ByteBuffer(capacity: 64)
  private(set) var sessionID: SessionID?
  /// Its number as an owner of gauges.
  private(set) var owner: UInt64
  private var slot: SessionTable.Entry?
  /// Checked by a timer, so that a busy client does not pay for wake-ups.
  var isPolled = false
  /// Sends more than one read between two checks, so that a check would come too late. The kernel
  /// wakes us for such a client, until it sends less.
  private(set) var isFlooding = false
  private var windowStart: UInt64 = 0
  private var windowByteCount = 0
  /// Waiting for the client to read its acknowledgements.
  private(set) var isBlocked = false
  /// Bytes read from it.
  private(set) var readByteCount: UInt64 = 0
  /// Memory for an unfinished frame and for unread acknowledgements, in bytes.
  private(set) var heldByteCount = 0
  /// Whether there is an unfinished frame or line.
  private(set) var isUnfinished = false
  /// The frame, or plain lines, applied up to `next`: then the time of a turn was over.
  private var rest: (frame: Range<Int>, next: Int, number: UInt64)?
  /// Whether a frame is applied in part: call `goOn` before anything else.
  var isHalfApplied: Bool { rest != nil }
  /// The bytes charged to `ClientMemory`.
  var chargedByteCount = 0
  /// Its socket, for a person.
  var socketName: String { source == .tcp ? "tcp" : "events.sock" }
  /// When something last arrived, and when it last made progress: see `ClientMemory.weight`.
  private(set) var heardAt: UInt64
  private(set) var progressAt: UInt64
  private var bytesSinceProgress = 0
  /// The client has gone. What it had handed to the kernel is still read, but not acknowledged.
  private var isDeaf = false

  init(
    _ socket: consuming Descriptor, token: UInt32, source: IntakeCounts.Source, limits: Limits,
    owner: UInt64, now: UInt64
  ) {
    self.socket = socket
    heardAt = now
    progressAt = now
    self.token = token
    self.source = source
    self.owner = owner
    server = SessionServer(
      frameByteLimit: limits.frameByteCount, lineByteLimit: limits.lineByteCount,
      isPlain: source == .tcp)
  }

  enum Outcome {
    case read(Int)
    case nothing
    case closed
    /// The client has broken the protocol, with this description.
    case broken(StaticString)

    /// Whether more may be there.
    var isFull: Bool {
      if case .read(EventConnection.readByteCount) = self { true } else { false }
    }
  }

  /// Reads once and applies what is complete, of a long frame as much as there is time for until
  /// `end`. Does not commit.
  @_optimize(speed)
  func receive(_ processor: LineProcessor, _ now: UInt64, until end: UInt64) -> Outcome {
    guard var input = input.take(), var scratch = processor.scratch.take() else { return .nothing }
    // All connections read into one buffer, and keep only the rest of a frame: so a read needs no
    // memory of its own. A long frame accumulates in place, to avoid a copy at each read.
    let outcome: Outcome
    if input.count <= Self.readByteCount {
      scratch.append(input.bytes)
      input.removeAll()
      outcome = receive(into: &scratch, processor, now, until: end)
      input.append(scratch.bytes)
      scratch.removeAll()
    } else {
      outcome = receive(into: &input, processor, now, until: end)
    }
    // A client that sends more than a read takes keeps its memory: releasing and allocating it at
    // each read would cost a third of the work.
    if !outcome.isFull, input.count <= Self.readByteCount {
      input.shrink(to: max(input.count, Self.restByteCount))
    }
    isUnfinished = !input.isEmpty
    heldByteCount = input.capacity + server.output.capacity
    processor.scratch = consume scratch
    self.input = consume input
    return outcome
  }

  /// Continues with the half-applied frame, and with what follows it.
  func goOn(_ processor: LineProcessor, _ now: UInt64, until end: UInt64) -> Outcome {
    guard var input = input.take() else { return .nothing }
    let failure = apply(&input, processor, now, until: end)
    isUnfinished = !input.isEmpty
    if !isHalfApplied { input.shrink(to: max(input.count, Self.restByteCount)) }
    heldByteCount = input.capacity + server.output.capacity
    self.input = consume input
    return failure.map { .broken($0) } ?? .nothing
  }

  /// The memory kept for the rest of a frame even if there is none, so that a busy client need not
  /// allocate at each read.
  private static let restByteCount = 1024

  /// Whether closing it would release memory.
  var isHeavy: Bool { heldByteCount > 2 * Self.restByteCount }

  /// Its weight when a client has to be closed; see `ClientMemory.weight`.
  func weight(now: UInt64) -> UInt64 {
    ClientMemory.weight(byteCount: heldByteCount, since: progressAt, now: now)
  }

  /// The most bytes of one read.
  static let readByteCount = 65_536

  /// Records how many bytes a read returned.
  func note(_ byteCount: Int, _ now: UInt64, windowNanoseconds: UInt64) {
    windowByteCount += byteCount
    let isOver = now &- windowStart >= windowNanoseconds
    guard isOver || byteCount >= Self.readByteCount else { return }
    isFlooding = windowByteCount >= Self.readByteCount
    windowStart = now
    windowByteCount = 0
  }

  @_optimize(speed)
  private func receive(
    into input: inout ByteBuffer, _ processor: LineProcessor, _ now: UInt64, until end: UInt64
  ) -> Outcome {
    switch socket.receive(into: &input, capacity: Self.readByteCount) {
    case .bytes(let count):
      heardAt = now
      bytesSinceProgress += count
      readByteCount &+= UInt64(count)
      return apply(&input, processor, now, until: end).map { .broken($0) } ?? .read(count)
    case .wouldBlock: return .nothing
    case .closed, .failed:
      // A last line may have arrived without its newline.
      if server.isPlain, !input.isEmpty {
        processor.registry.owners.current = owner
        processor.begin(isStatsD: true)
        _ = processor.plain(input.bytes, from: 0, source, until: .max)
        processor.registry.owners.current = 0
      }
      return .closed
    }
  }

  /// Applies what is complete; returns why the client has to go, or `nil`.
  @_optimize(speed)
  private func apply(
    _ input: inout ByteBuffer, _ processor: LineProcessor, _ now: UInt64, until sliceEnd: UInt64
  ) -> StaticString? {
    var failure: StaticString?
    processor.registry.owners.current = owner
    defer { processor.registry.owners.current = 0 }
    if let rest, !apply(rest.frame, from: rest.next, rest.number, input, processor, until: sliceEnd)
    {
      return nil
    }
    steps: while true {
      switch server.next(input.bytes, lastApplied: position(processor)) {
      case .needMore: break steps
      case .open(let id): open(id, processor, now)
      case .apply(let start, let end, let number):
        if !apply(start..<end, from: 0, number, input, processor, until: sliceEnd) { return nil }
      case .close(let reason):
        if reason == .request {
          processor.counts.closed.request += 1
        } else {
          processor.counts.framesRejected += 1
        }
        failure = Self.words(reason)
        break steps
      }
    }
    let consumed = server.takeConsumed()
    if consumed > 0 || bytesSinceProgress >= ClientMemory.progressByteCount {
      progressAt = now
      bytesSinceProgress = 0
    }
    input.removeFirst(consumed)
    processor.counts.framesDuplicate += server.takeDuplicates()
    return failure
  }

  /// Applies a frame's lines, or plain ones, from `first` on; `false` where the time was over.
  @inline(__always)
  @_optimize(speed)
  private func apply(
    _ frame: Range<Int>, from first: Int, _ number: UInt64, _ input: borrowing ByteBuffer,
    _ processor: LineProcessor, until sliceEnd: UInt64
  ) -> Bool {
    let bytes = input.bytes.extracting(frame)
    processor.begin(isStatsD: server.isPlain)
    let next =
      server.isPlain
      ? processor.plain(bytes, from: first, source, until: sliceEnd)
      : processor.frame(bytes, from: first, source, until: sliceEnd)
    if processor.hasEnded {
      rest = (frame, next, number)
      return false
    }
    rest = nil
    if number > 0, let slot { processor.registry.state.store(slot.positionCell, number) }
    return true
  }

  /// The session's position, after the last frame of any of its connections.
  @inline(__always)
  private func position(_ processor: LineProcessor) -> UInt64 {
    guard let slot else { return 0 }
    return processor.registry.state.value(slot.positionCell)
  }

  private func open(_ id: SessionID, _ processor: LineProcessor, _ now: UInt64) {
    let state = processor.registry.state
    // Opening commits, so this answer survives.
    guard let slot = processor.registry.sessions.open(id, now: Clock.unixNanoseconds, in: state)
    else { return server.refused() }
    state.commit()
    sessionID = id
    owner = ClientOwners.number(session: id.high, id.low)
    processor.registry.owners.insert(owner)
    processor.registry.owners.current = owner
    self.slot = slot
    server.opened(lastApplied: state.value(slot.positionCell))
  }

  private static func words(_ reason: SessionServer.Reason) -> StaticString {
    switch reason {
    case .tooLong: "a frame is longer than --max-frame-size"
    case .gap: "frames are missing between two _seq"
    case .malformed: "not the session protocol: _session once, then _seq at each frame's start"
    case .sessionRefused: "no room for another session"
    case .request: "it sends a request of HTTP: /metrics is on the port of --listen"
    }
  }

  /// Writes the acknowledgement. Call it only after a commit.
  @_optimize(speed)
  func acknowledge(_ processor: LineProcessor) {
    let position = position(processor)
    server.committed(lastApplied: position)
    isBlocked = false
    while !server.output.isEmpty {
      switch isDeaf ? .closed : socket.send(server.output.bytes) {
      case .bytes(let count):
        server.output.removeFirst(count)
        // With room again, the acknowledgement that was held back.
        if server.output.isEmpty { server.committed(lastApplied: position) }
      case .wouldBlock:
        isBlocked = true
        return
      case .closed, .failed:
        // Not closed here: more of its frames may be in the kernel. Reading to their end closes it.
        isDeaf = true
        server.output.removeAll()
      }
    }
  }
}
