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
      let read = try PushOpening.auth(settings.push.authFile)
      // Of the same file, the passwords that were right stay remembered.
      if read?.text == push.auth?.text { return }
      push.auth = read
      settings.log.info("push: the passwords were read again")
    } catch { settings.log.error("push: the passwords stay as they were: \(error.message)") }
  }

  /// Appends what was pushed to the sidecar's own metrics. Series of a family that events or the
  /// sidecar itself have are put to those, so that a family stands once on the page; those whose type
  /// or buckets are not the family's (any more) are left out and counted.
  func appendPushed(to text: inout ByteBuffer, _ snapshot: Snapshot) {
    guard let push else { return }
    let pushed = PushText(push.store, now: Double(Clock.unixNanoseconds) / 1e9)
    var others: Set<[UInt8]> = []
    var hiddenCount = 0
    for part in snapshot.parts {
      let name = part.family.name
      guard let type = pushed.type(of: name) else { continue }
      others.insert(name)
      if type == part.family.pushType {
        let (lines, hidden) = pushed.samples(of: name, bounds: part.family.pushBounds)
        snapshot.pushedText[name] = lines
        hiddenCount += hidden
      } else {
        hiddenCount += pushed.seriesCount(of: name)
      }
    }
    for name in Registry.ownNames.map({ Array($0.utf8) }) {
      guard pushed.type(of: name) != nil, others.insert(name).inserted else { continue }
      Self.insert(pushed.samples(of: name).lines, after: name, in: &text)
    }
    push.appendSelfMetrics(hiddenCount: hiddenCount, to: &text)
    pushed.append(to: &text, except: others)
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

extension Registry: OtherFamilies {
  fileprivate static let ownNames = [
    "process_cpu_seconds_total", "process_resident_memory_bytes", "process_virtual_memory_bytes",
    "process_open_fds", "process_max_fds", "process_start_time_seconds",
  ]

  func type(of name: [UInt8]) -> PushType? {
    if let index = familyIndex[name] { return families[index].pushType }
    guard name.starts(with: "process_".utf8) else { return nil }
    for (index, own) in Self.ownNames.enumerated() where own.utf8.elementsEqual(name) {
      return index == 0 ? .counter : .gauge
    }
    return nil
  }

  func bounds(of name: [UInt8]) -> [Double]? {
    familyIndex[name].flatMap { families[$0].pushBounds }
  }
}

extension Family {
  /// The type that pushed series of this family must have.
  fileprivate var pushType: PushType {
    switch kind {
    case .counter: .counter
    case .histogram, .nativeHistogram: .histogram
    case .summary: .summary
    case .gauge, .set, .clientGauge, .session, .spelling: .gauge
    }
  }

  /// The buckets that they must have, without +Inf.
  fileprivate var pushBounds: [Double]? { kind == .histogram ? bounds : nil }
}
