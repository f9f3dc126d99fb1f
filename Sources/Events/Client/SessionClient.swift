internal import SidecarPlatform

/// Counts in the sidecar, exactly once, over its events socket.
///
///     let client = SessionClient(path: "/run/metrics/events.sock")
///     let jobs = client.counter("jobs.done", tags: [("queue", "mail")])
///     jobs.add(1)
///
/// Nothing here waits for the sidecar. A thread that sleeps while nothing is counted sends the
/// counts twice a second; while the sidecar is away, sums stay here, so memory grows with the
/// number of series and not with time. Use it from any thread or task.
///
/// A killed process loses the counts that it has not handed over: up to half a second. Call `flush`
/// before you answer if no count may be lost, and `close` when your program ends.
public final class SessionClient: Sendable {
  let core: SessionCore

  /// Connects when there is something to send, and again whenever the sidecar comes back.
  ///
  /// - Parameters:
  ///   - path: the socket's path; `@name` is an abstract socket of Linux.
  ///   - flushInterval: the longest time that a count waits.
  ///   - maxSeries: series beyond it are refused: their counts are lost, and `refusedSeriesCount`
  ///     says how many there are.
  public init(
    path: String = "/run/metrics/events.sock", flushInterval: Duration = .milliseconds(500),
    maxSeries: Int = 10_000
  ) {
    core = SessionCore(
      path: path, intervalNanoseconds: flushInterval.nanoseconds, maxSeries: maxSeries)
    core.start()
  }

  deinit { core.stop() }

  // MARK: Series

  /// A count of things, such as `jobs.done`: by default the sidecar shows `jobs_done_total`.
  /// The same name and tags are the same counter.
  public func counter(_ name: String, tags: [(String, String)] = []) -> Counter {
    core.instruments.find("c", name, suffix: "_total", tags) { name, tags, changes, _ in
      Counter(name, type: "|c", tags: tags, changes)
    }
  }

  /// A count of fractions, such as seconds of processor time.
  public func floatingPointCounter(
    _ name: String, tags: [(String, String)] = []
  ) -> FloatingPointCounter {
    core.instruments.find("f", name, suffix: "_total", tags) { name, tags, changes, _ in
      FloatingPointCounter(name, type: "|c", tags: tags, changes)
    }
  }

  /// A level that rises and falls. The client sends it again to a sidecar that has lost its state.
  public func gauge(_ name: String, tags: [(String, String)] = []) -> Gauge {
    core.instruments.find("g", name, tags) { name, tags, changes, _ in
      Gauge(name, type: "|g", tags: tags, changes)
    }
  }

  /// The distribution of any values, such as bytes of an answer: a histogram under this name.
  public func distribution(_ name: String, tags: [(String, String)] = []) -> Distribution {
    core.instruments.find("d", name, tags) { name, tags, changes, bounds in
      Distribution(name, type: "|d", tags: tags, changes, bounds: bounds)
    }
  }

  /// The distribution of durations, such as `job.duration`: by default the sidecar shows the
  /// histogram `job_duration_seconds`.
  public func timing(_ name: String, tags: [(String, String)] = []) -> Timing {
    core.instruments.find("t", name, suffix: "_seconds", tags) { name, tags, changes, bounds in
      Timing(name, type: "|ms", tags: tags, changes, bounds: bounds?.map { $0 * 1000 })
    }
  }

  /// Ends a series here: what it has counted is sent and stays in the sidecar; a declared gauge
  /// with a merge loses this client's value.
  public func remove(_ instrument: Instrument) { core.instruments.remove(instrument) }

  // MARK: Declarations

  /// Declares a family that no rule of the sidecar makes. Declare it before you create what counts
  /// in it: the counter `jobs.done` counts in `jobs_done_total`, the timing `wait` in
  /// `wait_seconds`.
  /// - Parameter name: letters, digits and `_`, as exposed.
  public func declare(_ name: String, _ type: FamilyType, help: String = "") {
    core.instruments.declare(name, type, help: help)
  }

  // MARK: Sending

  /// Hands the counts to the kernel, as far as it accepts them, and does not wait. What the kernel
  /// has outlives this process.
  /// - Returns: whether the sidecar has acknowledged everything.
  @discardableResult
  public func flush() -> Bool { core.flush() }

  /// Sends what is left and ends the client, at the latest after `timeout`. Later counts are not
  /// sent.
  /// - Returns: whether the sidecar has acknowledged everything.
  @discardableResult
  public func close(timeout: Duration = .seconds(10)) -> Bool {
    core.close(timeoutNanoseconds: timeout.nanoseconds)
  }

  /// Series refused because there were `maxSeries` already.
  public var refusedSeriesCount: Int { core.instruments.refusedCount }
}

extension Duration {
  /// Whole nanoseconds, 0 to some 290 years.
  var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    return UInt64(min(seconds, 9_000_000_000)) * 1_000_000_000 + UInt64(attoseconds) / 1_000_000_000
  }
}
