import SidecarEvents
import SidecarPlatform

/// The series that a new event feeds.
extension Registry {
  struct Resolution {
    var targets: [LineTable.Target] = []
    /// Why a series was refused. The line may be remembered only if none was.
    var refusal: Rejection?
    /// Why an event that counts looks like a mistake.
    var suspicion: Rejection?
  }

  func feed(
    _ wanted: Int, _ labels: [Label], _ event: EventDescription, into outcome: inout Resolution,
    scale: Double
  ) {
    var index = wanted
    var family = families[index]
    guard index <= UInt16.max else {
      outcome.refusal = .familyLimit
      return
    }
    var key = ByteBuffer(capacity: 128)
    SeriesKey.append(family.name, labels, to: &key)
    var known = table.find(key.bytes, in: state)
    form(of: &known, &index)
    if known == nil {
      known = fresh(key.bytes, family, &outcome)
      // The overflow series may have another form.
      form(of: &known, &index)
    }
    guard let record = known else {
      if family.series.isEmpty, !family.isDeclared { forgetFamily(index) }
      return
    }
    guard let place = UInt16(exactly: index) else {
      outcome.refusal = .familyLimit
      return
    }
    family = families[index]
    outcome.targets.append(
      LineTable.Target(
        cell: UInt32(record.headCell), family: place,
        isMilliseconds: event.type == .milliseconds, kind: family.kind,
        client: family.options.client(event), scale: scales.number(of: scale),
        minus: family.options.minus))
  }

  /// A new series, or the overflow series if it is refused. One family's refusal does not keep the
  /// event from its other families.
  func fresh(
    _ key: RawSpan, _ family: Family, _ outcome: inout Resolution
  ) -> Record? {
    do throws(Rejection) {
      var kept = 0
      _ = familyIndex[family.name].map { families[$0] }?.first {
        kept += $0.series.count - ($0.overflow == nil ? 0 : 1)
        return false
      }
      if seriesCount >= limits.series || kept >= limits.familySeries { throw .seriesLimit }
      guard hasRoom(for: family.textByteCount(key: key.byteCount)) else { throw .expositionLimit }
      let record = try make(key, family)
      seriesCount += 1
      family.series.append(record)
      expiry.arm(timeToLive(family), now: monotonicNow)
      return record
    } catch {
      refusedSeries += 1
      outcome.refusal = error
      // The last value of many gauges would be meaningless.
      if family.kind == .gauge || family.kind == .clientGauge { return nil }
      outcome.suspicion = .overflow
      return overflow(of: family)
    }
  }

  /// Whether this many more bytes of text fit below the limit, and `further` agrees.
  func hasRoom(for byteCount: Int, further: Int = 0) -> Bool {
    textByteCount + byteCount <= limits.expositionByteCount + further
  }

  /// `name{overflow="true"}`: where series beyond the limit add up, so that totals stay right.
  func overflow(of family: Family) -> Record? {
    var key = ByteBuffer(capacity: 64)
    SeriesKey.append(
      family.name, [(Array("overflow".utf8), Array("true".utf8)[...])], to: &key)
    if let record = table.find(key.bytes, in: state) { return record }
    // There is one per name, and they keep totals right.
    guard
      hasRoom(for: family.textByteCount(key: key.count), further: limits.expositionByteCount / 8)
    else { return nil }
    do throws(Rejection) {
      let record = try make(key.bytes, family)
      family.overflow = record
      family.series.append(record)
      expiry.arm(timeToLive(family), now: monotonicNow)
      return record
    } catch { return nil }
  }
}
