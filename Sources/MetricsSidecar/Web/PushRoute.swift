import SidecarHTTP
import SidecarPlatform

/// The sidecar's side of pushing.
extension Sidecar {
  /// Turns pushing on. No group may have one of the sidecar's own families with another type.
  func take(_ push: PushAPI) {
    self.push = push
    // Both live as long as the program.
    push.peer = { ticket in self.server?.peer(ticket) ?? 0 }
    push.store.others = processor.registry
    push.refusals = processor.refusals
    processor.registry.notesRemoved = true
  }

  /// Reads the password file again. One that cannot be read, or has a mistake, changes nothing.
  func reloadPasswords() {
    guard let push, push.auth != nil else { return }
    do throws(PushOpening.Failure) {
      // For an unchanged file, keep the remembered correct passwords.
      let text = try PushOpening.text(settings.push.authFile)
      if text == push.auth?.text { return }
      push.auth = try PushOpening.auth(text, settings.push.authFile, kept)
      // Those that wait ask again.
      answer(push.takeAsked(), Clock.monotonicNanoseconds)
      tell(.info, "push: the passwords were read again")
    } catch { tell(.error, joined("push: the passwords stay as they were: ", error.message)) }
  }

  /// Continues changes of the groups that take more than one turn.
  func continuePushes(_ now: UInt64) {
    push?.goOn { ticket, status, text, extraFields in
      server?.answer(ticket, now: now) { response in
        response.begin(
          status: status, contentType: "text/plain; charset=utf-8", extraFields: extraFields)
        response.buffer.append(text)
        response.end()
      }
    }
  }

  /// The time per turn for passwords, and from one such turn to the next.
  private static let passwordNanoseconds: UInt64 = 2_000_000
  private static let passwordPauseNanoseconds: UInt64 = 8_000_000

  /// Schedules checking passwords from the next turn on, if some are not known yet.
  func expectPasswords(_ push: PushAPI) {
    if passwordsDue == .max, push.auth?.isBusy == true { passwordsDue = 0 }
  }

  /// Checks passwords for two milliseconds, and answers the requests that have waited for one. The
  /// pauses in between leave most of the processor to other work.
  func continuePasswords(_ now: UInt64) {
    passwordsDue = .max
    guard let push, push.auth != nil else { return }
    if let done = push.auth!.goOn(until: now + Self.passwordNanoseconds) {
      answer(push.takeAsked(done.number), now)
    }
    if push.auth!.isBusy { passwordsDue = now + Self.passwordPauseNanoseconds }
  }

  private func answer(_ asked: [AskedPush], _ now: UInt64) {
    guard let push else { return }
    for each in asked {
      server?.answer(each.ticket, now: now) { response in
        _ = unsafe push.respond(
          to: each.request, head: each.head.span.bytes, body: each.body.span.bytes, into: &response)
      }
    }
    expectPasswords(push)
  }

  /// The pushed families, for one exposition.
  func pushed(_ format: ExpositionFormat) -> FamilyConflicts? {
    guard let push else { return nil }
    let now = PushMoment.now
    push.expire(now)
    return FamilyConflicts(
      PushedFamilies(push.store, now: now, format: format), processor.registry)
  }
}
