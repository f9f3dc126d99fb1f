import SidecarEvents
import SidecarPlatform
import SidecarRules

/// What a restart finds in the state file.
extension Registry {
  /// Finds the series and sessions that the state file holds.
  func readState() {
    forEachRecord { record in
      // Before the series, since it defines what they are.
      if state.kind(record) == .declaration { restoreDeclaration(record) }
    }
    var emptyLabelled: [Record] = []
    forEachRecord { record in
      switch state.kind(record) {
      case .series(let type): restore(record, type, &emptyLabelled)
      case .session: sessions.restore(record, in: state)
      case .spelling: restoreSpelling(record)
      case .stream: streams.restore(record)
      case .memory: streams.restoreMemory(record)
      case .declaration: break
      }
    }
    joinEmptyLabelled(emptyLabelled)
    streams.finishRestoring()
  }

  func forEachRecord(_ body: (Record) -> Void) {
    var unit = StateFile.firstUnit
    while unit < state.endUnit {
      let record = Record(unit: unit)
      unit += state.unitCount(record)
      if state.isInUse(record) { body(record) }
    }
  }

  func restore(_ record: Record, _ kind: MetricType, _ emptyLabelled: inout [Record]) {
    let state = self.state
    let key = state.key(record)
    let nameByteCount = state.nameByteCount(record)
    let name = SeriesKey.array(key.extracting(0..<nameByteCount))
    // Such an event creates another family since the sidecar has one with that name, or none if
    // that is the name of another family's line.
    if Names.isReserved(name) || familyIndex[name] == nil && isSampleOfAnother(name, kind) {
      return retire(record)
    }
    // The type or buckets differ from the current rules: it starts again.
    guard let family = family(of: record, name, kind) else { return retire(record) }
    if Labels.hasEmpty(key) { return emptyLabelled.append(record) }
    table.insert(record, key: key)
    textByteCount += family.textByteCount(key: key.byteCount)
    family.series.append(record)
    if SeriesKey.isOverflow(key, nameByteCount: nameByteCount) {
      family.overflow = record
    } else {
      seriesCount += 1
    }
  }
}
