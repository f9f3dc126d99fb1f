import SidecarPlatform

/// What a worker is doing, for the line that its parent logs if it hangs.
enum Phase: UInt32, CaseIterable {
  case start, events, datagrams, signal, request, reload, page, expiry, commit, end

  var words: StaticString {
    switch self {
    case .start: "while it started"
    case .events: "while it read clients of events.sock or TCP"
    case .datagrams: "while it took datagrams"
    case .signal: "while it handled a signal"
    case .request: "while it answered a request"
    case .reload: "while it reloaded the rules"
    case .page: "while it wrote a page"
    case .expiry: "while it looked for what has expired"
    case .commit: "while it committed a turn"
    case .end: "while it ended"
    }
  }

  /// Enters this phase.
  @inline(__always)
  func enter() { WorkerBoard.enter(rawValue) }
}
