import SidecarEvents
import SidecarPlatform

/// What points of OTLP mean to series: amounts, numbers as they stand, and families of their own.
extension Registry {
  /// Adds `amount`, or has a gauge be it.
  @inline(__always)
  @_optimize(speed)
  func addPoint(_ target: LineTable.Target, _ amount: Double, isSet: Bool) {
    if target.kind == .counter, target.scale == 0 {
      // Stored at each point: the first cell says when the series had its last.
      state.add(Int(target.cell) + 1, amount)
    } else {
      addOtherPoint(target, amount, isSet: isSet)
    }
  }

  @inline(never)
  private func addOtherPoint(_ target: LineTable.Target, _ amount: Double, isSet: Bool) {
    let amount = target.scale == 0 ? amount : amount * scales[target.scale]
    let cell = Int(target.cell)
    switch target.kind {
    case .counter, .gauge:
      if isSet, target.kind == .gauge { return state.store(cell + 1, amount) }
      guard amount.magnitude <= Self.greatestTerm else {
        refusedValues += 1
        return
      }
      state.add(cell + 1, amount)
    case .clientGauge:
      let family = families[Int(target.family)]
      guard amount.magnitude <= Self.greatestTerm else {
        refusedValues += 1
        return
      }
      let client = GaugeClient(key: UInt64(target.client) | 1 << 32, owner: 0)
      let former = ClientGaugeCells.set(
        amount, isDelta: !isSet, client: client, in: state, cell, now: now, family.options,
        owners: owners)
      if former == nil { refusedClients += 1 }
    default: break
    }
  }

  /// Ends what a client reports of a gauge.
  func endPoint(_ target: LineTable.Target) {
    guard target.kind == .clientGauge else { return }
    let options = families[Int(target.family)].options
    _ = ClientGaugeCells.end(
      UInt64(target.client) | 1 << 32, in: state, Int(target.cell), options)
  }

  // MARK: Families and labels

  /// Of a description, what becomes HELP.
  static let helpByteCount = 1024

  /// The family of a metric that no rule takes: made and kept as a client's declaration is.
  /// `bounds` are a histogram's. Where one of that name is there as something else, the reason.
  func pointFamily(
    _ name: [UInt8], _ kind: MetricType, help: [UInt8], bounds: [Double]?,
    merge: StaticString, isReplaceable: (Int) -> Bool
  ) throws(Rejection) -> Int {
    var text = ByteBuffer(capacity: 128)
    text.append(name)
    switch kind {
    case .counter: text.append("|counter|")
    case .histogram: text.append("|histogram|")
    case .nativeHistogram: text.append("|native|")
    default: text.append("|gauge|")
    }
    // As much as a help text needs, up to the end of a character.
    var end = min(help.count, Self.helpByteCount)
    while end > 0, end < help.count, help[end] & 0xc0 == 0x80 { end -= 1 }
    for byte in help[..<end] {
      switch byte {
      case UInt8(ascii: "\\"): text.append("\\\\")
      case UInt8(ascii: "\n"): text.append("\\n")
      case UInt8(ascii: "|"): text.append("\\p")
      default: text.append(byte)
      }
    }
    if let bounds {
      text.append("|b:")
      for bound in bounds + (bounds.isEmpty ? [.infinity] : []) {
        if text.bytes.at(text.count - 1) != UInt8(ascii: ":") { text.append(UInt8(ascii: ",")) }
        NumberFormat.append(bound, to: &text)
      }
    }
    text.append(merge)
    let declaration: Declaration
    do throws(LineError) { declaration = try Declaration(text.array) } catch { throw .badName }
    if let index = familyIndex[name] {
      let known = families[index]
      let isMerged = merge.utf8CodeUnitCount > 0
      let kind = isMerged ? MetricType.clientGauge : kind
      let isSame = known.kind == kind && (kind != .histogram || known.bounds == bounds ?? [])
      guard let entry = declarations.entries[name] else {
        // A rule's family, or that of events.
        if isSame { return index }
        throw conflict(name)
      }
      if isSame, entry.declaration.text == declaration.text { return index }
      if !isSame, !isReplaceable(index) {
        if known.kind == kind { throw .declarationConflict }
        throw conflict(name)
      }
    }
    if let rejection = declare(declaration) { throw rejection }
    guard let index = familyIndex[name] else { throw .familyLimit }
    return index
  }
}
