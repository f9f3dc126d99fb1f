import Platform

/// Writes a snapshot as a page, some bytes a call, so that a large page is made between the turns of
/// the loop.
final class PageWriter {
  private let snapshot: Snapshot
  private let shape: PageShape
  private let filter: NameFilter
  private var part = 0
  private var series = 0
  /// The family's head is written: a slice may end before its first series.
  private var hasHead = false
  private var isInFamily = false
  /// Where the protobuf family being written starts, from the page's first byte: below 0 once its
  /// start has been taken out.
  private var familyStart = 0
  /// A length that is known only now and stands `before` bytes in front of the page's first.
  private(set) var lateLength: (before: Int, byteCount: Int)?
  /// For scrapers whose names are not the plain ones.
  private let names: NameWriter?
  /// Lines that `names` has not written again yet.
  private var plain = ByteBuffer(capacity: 16)

  init(_ snapshot: Snapshot, shape: PageShape, filter: NameFilter) {
    self.snapshot = snapshot
    self.shape = shape
    self.filter = filter
    names = NameWriter(snapshot.spellings, shape)
  }

  /// Whether no length is missing in what is written.
  var isBetweenFamilies: Bool { !isInFamily }

  /// All of the page, so many bytes, has been taken out.
  func taken(_ byteCount: Int) {
    familyStart -= byteCount
  }

  /// Appends about `byteCount` bytes, or the rest. Whether the page is complete.
  @_optimize(speed)
  func write(into page: inout ByteBuffer, byteCount: Int) -> Bool {
    lateLength = nil
    guard let names, shape.format != .protobuf else {
      return writePlain(into: &page, byteCount: byteCount)
    }
    // Written twice, half as much is a slice.
    let isComplete = writePlain(into: &plain, byteCount: max(1, byteCount / 2))
    names.write(plain.bytes, to: &page)
    plain.removeAll()
    return isComplete
  }

  private func writePlain(into page: inout ByteBuffer, byteCount: Int) -> Bool {
    let end = page.count + byteCount
    while part < snapshot.parts.count {
      let current = snapshot.parts[part]
      if !hasHead { head(current, to: &page) }
      hasHead = true
      switch shape.format {
      case .protobuf: protobuf(current, &page, end)
      case .openMetrics001, .openMetrics100: openMetrics(current, &page, end)
      case .text004, .text100: text(current, &page, end)
      }
      if series < current.series.count { return false }
      pushed(current, to: &page)
      if isInFamily { endFamily(current.family, &page) }
      part += 1
      series = 0
      hasHead = false
      if page.count >= end { return false }
    }
    selfMetrics(to: &page)
    return true
  }

  private func head(_ current: Snapshot.Part, to page: inout ByteBuffer) {
    let family = current.family
    switch shape.format {
    case .protobuf:
      isInFamily = true
      familyStart = ProtobufFormat.beginFamily(
        names?.family(family.name) ?? family.name, type(family), help: Array(family.help.utf8),
        to: &page)
    case .openMetrics001, .openMetrics100:
      OpenMetricsFormat.head(family, isCounter: isCounter(family), to: &page)
    case .text004, .text100: page.append(family.header)
    }
  }

  private func endFamily(_ family: Family, _ page: inout ByteBuffer) {
    ProtobufFormat.unit(family.name, names, to: &page)
    if familyStart >= 0 {
      ProtobufFormat.endMessage(from: familyStart, in: &page)
    } else {
      lateLength = (-familyStart, page.count - familyStart - ProtobufFormat.lengthByteCount)
    }
    isInFamily = false
  }

  private func type(_ family: Family) -> ProtobufFormat.FamilyType {
    switch family.kind {
    case .counter: .counter
    case .histogram, .nativeHistogram: .histogram
    case .summary: .summary
    default: .gauge
    }
  }

  /// Whether OpenMetrics calls the part being written a counter.
  private func isCounter(_ family: Family) -> Bool {
    family.kind == .counter && !snapshot.unknownCounters.contains(part)
  }

  // MARK: The three kinds of page

  @_optimize(speed)
  private func text(_ current: Snapshot.Part, _ page: inout ByteBuffer, _ end: Int) {
    let snapshot = snapshot
    let state = snapshot.state
    if current.family.kind.isSketched {
      while series < current.series.count, page.count < end {
        SketchText.append(
          state.key(current.series[series]), current.family, snapshot.values(current, series),
          now: snapshot.now, to: &page)
        series += 1
      }
    } else if current.family.kind == .histogram {
      while series < current.series.count, page.count < end {
        TextFormat.histogram(
          state.key(current.series[series]), current.family, snapshot.values(current, series),
          hasSum: true, to: &page)
        series += 1
      }
    } else {
      var index = series
      let count = current.series.count
      while index < count, page.count < end {
        let record = current.series[index]
        TextFormat.line(state.key(record), snapshot.value(record), to: &page)
        index += 1
      }
      series = index
    }
  }

  @_optimize(speed)
  private func openMetrics(_ current: Snapshot.Part, _ page: inout ByteBuffer, _ end: Int) {
    let snapshot = snapshot
    let state = snapshot.state
    let family = current.family
    let isCounter = isCounter(family)
    // OpenMetrics takes no sum where observations may be negative, and none that is.
    let mayHaveSum = family.bounds.first.map { $0 >= 0 } ?? true
    while series < current.series.count, page.count < end {
      let record = current.series[series]
      let key = state.key(record)
      let created = snapshot.createdMilliseconds(record)
      if family.kind == .histogram {
        let values = snapshot.values(current, series)
        TextFormat.histogram(
          key, family, values, hasSum: mayHaveSum && values[HistogramCells.sum - 1] >= 0,
          exemplars: snapshot.exemplars(family), of: record.firstCell, to: &page)
        OpenMetricsFormat.created(created, key, family.name.count, 0, to: &page)
      } else if family.kind.isSketched {
        SketchText.append(
          key, family, snapshot.values(current, series), now: snapshot.now,
          isOpenMetrics: true, mayHaveSum: mayHaveSum, exemplars: snapshot.exemplars(family),
          of: record.firstCell, to: &page)
        if family.kind.hasSuffixes {
          OpenMetricsFormat.created(created, key, family.name.count, 0, to: &page)
        }
      } else {
        TextFormat.line(key, snapshot.value(record), to: &page)
        if isCounter {
          snapshot.exemplars(family)?
            .appendText(record.firstCell + 1, family.options.exemplar, to: &page)
          OpenMetricsFormat.created(created, key, family.name.count - 6, 6, to: &page)
        }
      }
      series += 1
    }
  }

  @_optimize(speed)
  private func protobuf(_ current: Snapshot.Part, _ page: inout ByteBuffer, _ end: Int) {
    let snapshot = snapshot
    let state = snapshot.state
    let family = current.family
    let type = type(family)
    while series < current.series.count, page.count < end {
      let record = current.series[series]
      let key = state.key(record)
      let created = snapshot.createdMilliseconds(record)
      if family.kind.isSketched {
        ProtobufFormat.sketch(
          key, family, snapshot.values(current, series), now: snapshot.now,
          createdMilliseconds: created, exemplars: snapshot.exemplars(family),
          of: record.firstCell, names: names, to: &page)
      } else if type == .histogram {
        ProtobufFormat.histogram(
          key, family, snapshot.values(current, series), createdMilliseconds: created,
          exemplars: snapshot.exemplars(family), of: record.firstCell, names: names, to: &page)
      } else {
        ProtobufFormat.metric(
          key, family.name.count, type, snapshot.value(record),
          createdMilliseconds: created, exemplars: snapshot.exemplars(family),
          of: record.firstCell, tag: family.options.exemplar, names: names, to: &page)
      }
      series += 1
    }
  }

  /// Series of the family that were pushed.
  private func pushed(_ current: Snapshot.Part, to page: inout ByteBuffer) {
    guard let lines = snapshot.pushedText[current.family.name] else { return }
    guard shape.format == .protobuf else { return page.append(lines) }
    var families = unsafe TextFamilies(lines.span.bytes, shape.format, filter, names: names)
    families.appendSamples(of: current.family.name, type(current.family), to: &page)
  }

  private func selfMetrics(to page: inout ByteBuffer) {
    if shape.format == .text004, filter.names.isEmpty {
      page.append(snapshot.selfText)
    } else {
      let text = snapshot.selfText
      var families = unsafe TextFamilies(
        text.span.bytes, shape.format, filter, others: snapshot.familyNames, names: names)
      families.append(to: &page)
    }
    if shape.format.isOpenMetrics { page.append(OpenMetricsFormat.end) }
  }
}
