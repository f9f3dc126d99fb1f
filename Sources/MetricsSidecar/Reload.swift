import SidecarHTTP
import SidecarPlatform

/// The results of `SIGHUP` and `POST /-/reload` since startup, which counts as a success.
struct Reloads {
  var successCount: UInt64 = 0
  var failureCount: UInt64 = 0
  var hasLastSucceeded = true
  /// In Unix time.
  var lastSuccessSeconds = Double(Clock.unixSeconds)
  /// The identity of the rules in force, and of the last refused ones with the reason: the same
  /// bytes are answered without parsing them again.
  var inForce: RuleLoading.Mark?
  var refused: (mark: RuleLoading.Mark, failure: RuleLoading.Failure)?
}

/// What a worker leaves to its successor under a supervisor: the board, and the last text without a
/// mistake of each reloadable file, so that a worker that takes over while a file is bad continues
/// as if a reload had failed.
final class LastGoodFiles {
  let rules: SharedText
  let passwords: SharedText
  let board: WorkerBoard
  /// What `Linger` knows about readers.
  let linger: SharedText

  init(_ limits: Limits) throws(Errno) {
    board = try WorkerBoard()
    rules = try SharedText(limit: RuleLoading.byteLimit)
    passwords = try SharedText(limit: PushOpening.authByteLimit)
    linger = try SharedText(limit: Linger.byteLimit(readers: limits.readers))
  }
}

extension Sidecar {
  enum ReloadOutcome {
    case isInForce
    /// New rules come into force as soon as everything sent before is applied.
    case waits
    /// The mistakes, one per line.
    case refused(String)
  }

  /// Loads the file's current rules, or keeps the previous ones.
  func reload() -> ReloadOutcome {
    Phase.reload.enter()
    reloadPasswords()
    do throws(RuleLoading.Failure) {
      guard
        let rules = try RuleLoading.load(settings.rules, kept: kept?.rules, &selfMetrics.reloads)
      else {
        if draining.rules != nil { return .waits }
        succeeded()
        tell(.info, "Reloaded the rules: they are those in force")
        return .isInForce
      }
      // Events sent under the old rules count by them.
      draining.rules = rules
      draining.isDue = true
      return .waits
    } catch {
      selfMetrics.reloads.failureCount += 1
      selfMetrics.reloads.hasLastSucceeded = false
      tell(.error, joined("The rules stay as they were: ", error.message))
      return .refused(error.lines)
    }
  }

  /// What was sent before the reload is applied: continues with `rules`.
  func use(_ rules: Rules, _ now: UInt64) {
    Phase.reload.enter()
    processor.registry.reload(rules)
    succeeded()
    tell(.info, joined("Reloaded the rules: ", rules.families.count.description, " families"))
    let tickets = draining.tickets
    draining.tickets = []
    for ticket in tickets {
      server?.answer(ticket, now: now) { response in sayReloaded(&response) }
    }
  }

  private func sayReloaded(_ response: inout ResponseWriter) { say("reloaded\n", &response) }

  private func succeeded() {
    selfMetrics.reloads.successCount += 1
    selfMetrics.reloads.hasLastSucceeded = true
    selfMetrics.reloads.lastSuccessSeconds = Double(Clock.unixSeconds)
  }

  /// `POST /-/reload`: 200, or 400 with every mistake.
  func answerReload(_ request: Request, _ response: inout ResponseWriter) {
    guard request.method == .post || request.method == .put else {
      return response.problem(
        status: 405, detail: "POST reloads the rules", extraFields: "Allow: POST, PUT\r\n")
    }
    switch reload() {
    case .isInForce: sayReloaded(&response)
    case .waits: draining.tickets.append(response.postpone())
    case .refused(let mistakes):
      response.begin(status: 400, contentType: "text/plain; charset=utf-8")
      response.buffer.append(mistakes)
      response.end()
    }
  }
}
