import SidecarPlatform

/// Series of a state file whose keys have labels without a value, as earlier versions created them.
/// Prometheus ignores such a label, so each is merged with its twin, the series with the other
/// labels: counts add up, and for values that do not add up the later one stays.
extension Registry {
  /// Call it after all series have been found, in the same transaction.
  func joinEmptyLabelled(_ records: [Record]) {
    let state = self.state
    for record in records {
      guard let key = Labels.withoutEmpty(state.key(record)),
        let family = own(record, name(of: record))
      else { continue }
      if let twin = table.find(key.bytes, in: state) {
        if hasForm(twin, family) { add(record, to: twin, family) }
      } else if let twin = moved(record, to: key.bytes, family) {
        family.series.append(twin)
        seriesCount += 1
      } else {
        // Without room for the new key it keeps its own.
        table.insert(record, key: state.key(record))
        textByteCount += family.textByteCount(key: state.keyByteCount(record))
        family.series.append(record)
        seriesCount += 1
        continue
      }
      retire(record)
    }
  }

  /// The same cells and time of creation under another key.
  private func moved(_ record: Record, to key: RawSpan, _ family: Family) -> Record? {
    do throws(Rejection) {
      let twin = try make(
        key, family, createdMilliseconds: state.createdMilliseconds(record))
      copy(record, to: twin)
      return twin
    } catch { return nil }
  }

  private func copy(_ record: Record, to twin: Record) {
    for cell in 1..<state.cellCount(record) {
      state.store(twin.headCell + cell, state.value(record.headCell + cell))
    }
  }

  private func add(_ record: Record, to twin: Record, _ family: Family) {
    let isLater =
      state.transaction(record.headCell + 1) > state.transaction(twin.headCell + 1)
    family.metric.join(
      record.headCell, to: twin.headCell, isLater: isLater, family, in: state)
  }
}
