import SidecarPlatform

/// What pushing adds to the sidecar.
extension Sidecar {
  /// Switches pushing on. No group may have a family of the sidecar's with another type.
  func take(_ push: PushAPI) {
    self.push = push
    push.store.others = applier.registry
    applier.registry.notesRemoved = true
  }

  /// Reads the password file again. One that cannot be read, or has a mistake, changes nothing.
  func reloadPasswords() {
    guard let push, push.auth != nil else { return }
    do throws(PushOpening.Failure) {
      let read = try PushOpening.auth(settings.push.authFile, kept)
      // Of the same file, the passwords that were right stay remembered.
      if read?.text == push.auth?.text { return }
      push.auth = read
      settings.log.info("push: the passwords were read again")
    } catch { settings.log.error("push: the passwords stay as they were: \(error.message)") }
  }

  /// What was pushed, for one page, and what the sidecar says about it at the end of `text`.
  func pushed(to text: inout ByteBuffer, _ format: PageFormat) -> PushPage? {
    guard let push else { return nil }
    let pushed = PushText(
      push.store, now: Double(Clock.unixNanoseconds) / 1e9, format: format)
    return PushPage(pushed, applier.registry, hiddenAt: push.appendSelfMetrics(to: &text))
  }
}
