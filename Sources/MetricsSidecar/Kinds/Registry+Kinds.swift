import SidecarPlatform

extension Registry {
  /// `add` for what is more than a number or some buckets.
  @inline(never)
  @_optimize(speed)
  func addSketched(
    _ target: LineTable.Target, _ family: Family, _ value: Double, _ weight: Double,
    _ isDelta: Bool
  ) {
    let record = Int(target.cell)
    let options = family.options
    let value = target.isMilliseconds ? value / 1000 : value
    switch family.kind {
    case .set: DistinctCells.insert(value, in: state, record, now: now, options)
    case .clientGauge:
      let client = owners.client(tag: target.client)
      if client.owner != 0, !owners.contains(client.owner) { owners.insert(client.owner) }
      if !ClientGaugeCells.set(
        value, isDelta: isDelta, client: client, in: state, record,
        now: options.merge == .mostRecent && owners.time != 0 ? owners.time : now, options,
        owners: owners)
      {
        refusedClients += 1
      }
    case .summary, .nativeHistogram:
      // Sum and carry lie where a histogram has them.
      state.add(record + HistogramCells.sum, value * weight)
      let whole =
        weight == 1
        ? 1 : SampleWeight.whole(weight, carry: record + HistogramCells.carry, in: state)
      if whole == 0 { return }
      if family.kind == .summary {
        SummaryCells.observe(value, whole, in: state, record, now: now, options)
      } else {
        NativeHistogramCells.observe(value, whole, in: state, record, family)
      }
    default: break
    }
  }

  // MARK: Clients of gauges

  /// A connection has ended: if it was its owner's last, so do the parts of live gauges.
  func connectionEnded(_ owner: UInt64) {
    if owners.remove(owner) { removeParts(of: owner) }
  }

  /// At the start: connections do not outlive the sidecar, sessions may come back.
  func forgetConnections() {
    removeParts(areSessions: false)
    owners.graceEnds = now + ClientOwners.graceMilliseconds
  }

  /// Once, when the time in which sessions may come back is over: before a scrape.
  func forgetAbsentSessions() {
    guard owners.graceEnds != 0, now >= owners.graceEnds else { return }
    owners.graceEnds = 0
    removeParts(areSessions: true)
  }

  /// Ends the parts of one owner, or of all sessions or connections that do not live now.
  @inline(never)
  private func removeParts(of owner: UInt64 = 0, areSessions: Bool = false) {
    for family in families where family.kind == .clientGauge {
      let options = family.options
      if !options.isLive && options.windowMilliseconds == 0 { continue }
      for record in family.series {
        for part in ClientGaugeCells.parts(record.firstCell, options) {
          let found = state.value(part + ClientGaugeCells.owner)
          let hasGone =
            owner != 0
            ? found == owner
            : found != 0 && ClientOwners.isSession(found) == areSessions && !owners.contains(found)
          guard hasGone, state.value(part) != 0 else { continue }
          // Without an owner, what it reported last counts for a window more.
          state.store(options.isLive ? part : part + ClientGaugeCells.owner, UInt64(0))
        }
      }
    }
  }
}

extension Record.Kind {
  /// Whether an event whose type is kept as `event` without a rule may feed a family of this kind.
  func takes(_ event: Record.Kind) -> Bool {
    switch event {
    case .histogram:
      self == .histogram || self == .counter || self == .summary || self == .nativeHistogram
    case .gauge: self == .gauge || self == .clientGauge
    default: self == event
    }
  }

  /// What the lines of such a family end in.
  static let sampleSuffixes = ["_bucket", "_count", "_sum", "_created"]

  /// Whether its lines are `…_sum`, `…_count` and such.
  var hasSuffixes: Bool { self == .histogram || self == .summary || self == .nativeHistogram }
}

extension KindOptions {
  /// The digest of the tag that tells clients apart, never 0; 0 where the event has none.
  func client(_ event: Resolver) -> UInt32 {
    if clientTag.isEmpty { return 0 }
    let value = Array(event.value(of: clientTag))
    return value.isEmpty ? 0 : max(1, unsafe Digest.checksum(value.span.bytes))
  }
}
