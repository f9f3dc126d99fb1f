import SidecarPlatform

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
  /// The protobuf family being written.
  private var frame = FamilyFrame()
  /// What follows the families of events, once it is their turn.
  private var tail: PageTail?
  /// For scrapers whose names are not the plain ones.
  private let names: NameWriter?
  /// Lines that `names` has not written again yet.
  private var plain = ByteBuffer(capacity: 16)
  /// Lines of pushed series on their way into a protobuf family.
  private var lines = ByteBuffer(capacity: 16)

  init(_ snapshot: Snapshot, shape: PageShape, filter: NameFilter) {
    self.snapshot = snapshot
    self.shape = shape
    self.filter = filter
    names = NameWriter(snapshot.spellings, shape)
  }

  /// Whether no length is missing in what is written.
  var isBetweenFamilies: Bool { !frame.isOpen && tail?.frame.isOpen != true }

  /// A length that is known only now and stands `before` bytes in front of the page's first.
  var lateLength: (before: Int, byteCount: Int)? { frame.lateLength ?? tail?.frame.lateLength }

  /// All of the page, so many bytes, has been taken out.
  func taken(_ byteCount: Int) {
    frame.taken(byteCount)
    tail?.taken(byteCount)
  }

  /// Appends about `byteCount` bytes, or the rest. Whether the page is complete.
  @_optimize(speed)
  func write(into page: inout ByteBuffer, byteCount: Int) -> Bool {
    frame.beginSlice()
    if let pushed = snapshot.pushed,
      !pushed.prepare(snapshot, isOpenMetrics: shape.format.isOpenMetrics)
    {
      return false
    }
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
      guard pushed(current, to: &page, end) else { return false }
      if frame.isOpen {
        ProtobufFormat.unit(current.family.name, names, to: &page)
        frame.end(&page)
      }
      part += 1
      series = 0
      hasHead = false
      if page.count >= end { return false }
    }
    let tail = self.tail ?? PageTail(snapshot, shape, filter, names)
    self.tail = tail
    guard tail.write(to: &page, end: end) else { return false }
    if shape.format.isOpenMetrics { page.append(OpenMetricsFormat.end) }
    return true
  }

  private func head(_ current: Snapshot.Part, to page: inout ByteBuffer) {
    let family = current.family
    switch shape.format {
    case .protobuf:
      frame.begin(
        names?.family(family.name) ?? family.name, FamilyType(family.kind),
        help: Array(family.help.utf8),
        to: &page)
    case .openMetrics001, .openMetrics100:
      OpenMetricsFormat.head(family, isCounter: isCounter(family), to: &page)
    case .text004, .text100: page.append(family.header)
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
      let created = snapshot.hasCreatedLines ? snapshot.createdMilliseconds(record) : 0
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
        let value = snapshot.value(record)
        // Timings below 0 can bring a counter there, which OpenMetrics has no line for.
        if !isCounter || value >= 0 { TextFormat.line(key, value, to: &page) }
        if isCounter, value >= 0 {
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
    let type = FamilyType(family.kind)
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

  /// Series of the family that were pushed; whether that is all of them.
  private func pushed(
    _ current: Snapshot.Part, to page: inout ByteBuffer, _ end: Int
  ) -> Bool {
    guard let pushed = snapshot.pushed, pushed.hasSeries(part: part) else { return true }
    guard shape.format == .protobuf else {
      return pushed.write(part: part, current.family, to: &page, end: end)
    }
    // Written twice, half as much is a slice.
    let isComplete = pushed.write(
      part: part, current.family, to: &lines, end: max(1, (end - page.count) / 2))
    let families = TextFamilies(shape.format, filter, names: names)
    families.expectSamples(of: current.family.name, FamilyType(current.family.kind))
    families.append(lines.bytes, to: &page)
    lines.removeAll()
    return isComplete
  }
}
