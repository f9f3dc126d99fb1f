import Platform

/// What pushing adds to the sidecar.
extension Sidecar {
  /// Switches pushing on. No group may have a family of the sidecar's with another type.
  func take(_ push: PushAPI) {
    self.push = push
    push.store.others = applier.registry
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

  /// Appends what was pushed to the sidecar's own metrics. Series of a family that the sidecar itself
  /// has are put to that, so that a family stands once on the page.
  func appendPushed(to text: inout ByteBuffer, _ snapshot: Snapshot, _ format: PageFormat) {
    guard let push else { return }
    let pushed = PushText(
      push.store, now: Double(Clock.unixNanoseconds) / 1e9, hasNative: format == .protobuf)
    var page = PushBesideEvents(pushed, snapshot, applier.registry)
    for name in Registry.ownNames.map({ Array($0.utf8) }) {
      guard pushed.type(of: name) != nil, page.elsewhere.insert(name).inserted else { continue }
      Self.insert(pushed.samples(of: name).lines, after: name, in: &text)
    }
    push.appendSelfMetrics(page.hidden, to: &text)
    pushed.append(to: &text, except: page.elsewhere)
  }

  /// Puts lines behind those of the family called `name`.
  private static func insert(_ lines: [UInt8], after name: [UInt8], in text: inout ByteBuffer) {
    let bytes = text.array
    let head = Array("# TYPE ".utf8) + name + [32]
    var start = 0
    while start < bytes.count, !bytes[start...].starts(with: head) { start = next(bytes, start) }
    var end = next(bytes, start)
    while end < bytes.count, bytes[end] != UInt8(ascii: "#") { end = next(bytes, end) }
    text.truncate(to: min(end, bytes.count))
    text.append(lines)
    text.append(Array(bytes[min(end, bytes.count)...]))
  }

  private static func next(_ bytes: [UInt8], _ start: Int) -> Int {
    (bytes[min(start, bytes.count)...].firstIndex(of: 10) ?? bytes.count) + 1
  }
}
