import SidecarPlatform

/// The progress of a push into its group.
struct PushChange {
  enum Phase { case expiry, writing, series, others, names, room, done }

  var phase = Phase.done
  fileprivate var key = GroupingKey()
  fileprivate var mode = GroupWriter.Mode.replace
  fileprivate var timeToLive = 0.0
  fileprivate var now = PushMoment(unix: 0, steady: 0)
  fileprivate var isDryRun = false
  /// The record of the push's idempotency key.
  fileprivate var pushedKey: ByteKey?
  fileprivate var times = GroupBytes.Times()
  /// The index of its group; -1 for a new one.
  var place = -1
  /// The written family being checked, and the metric; -1 before the first.
  var family = 0
  var metric = -1
  /// Series of the push that are already in its group.
  var ownCount = 0
  var seriesCount = 0
  /// The names of the group's future families, in place of its current ones.
  fileprivate var names: [Int] = []
  /// Whether `names` are counted, in place of the group's.
  fileprivate(set) var hasNames = false
}

/// A push in steps: its cost depends on its own size and that of its group.
extension PushStore {
  /// Puts `batch` into the group of `key`, or throws and changes nothing.
  func push(
    _ key: GroupingKey, _ batch: PushBatch, mode: GroupWriter.Mode, timeToLive: Double,
    now: PushMoment, isDryRun: Bool = false
  ) throws(PushError) {
    begin(key, mode: mode, timeToLive: timeToLive, now: now, isDryRun: isDryRun)
    var left = Int.max
    _ = try goOn(batch, &left)
  }

  /// Begins a push, which `goOn` carries out.
  func begin(
    _ key: GroupingKey, mode: GroupWriter.Mode, timeToLive: Double, now: PushMoment,
    isDryRun: Bool, pushedKey: ByteKey? = nil
  ) {
    change = PushChange()
    change.phase = .expiry
    change.key = key
    change.mode = mode
    change.timeToLive = timeToLive
    change.now = now
    change.isDryRun = isDryRun
    change.pushedKey = pushedKey
  }

  /// Continues the current push: about `left` series, which it counts down. Returns whether it is
  /// done; if it throws, it has changed nothing.
  func goOn(_ batch: PushBatch, _ left: inout Int) throws(PushError) -> Bool {
    do throws(PushError) {
      while change.phase != .done {
        guard left > 0, try step(batch, &left) else { return false }
      }
    } catch {
      abandon()
      throw error
    }
    return true
  }

  /// Abandons the current push, which has changed nothing.
  func abandon() {
    undoNames()
    change = PushChange()
  }

  /// Runs one phase, or a part of it; returns whether it is finished.
  private func step(_ batch: PushBatch, _ left: inout Int) throws(PushError) -> Bool {
    switch change.phase {
    case .expiry:
      guard expire(change.now.steady, &left) else { return false }
      try beginWriting(batch)
      change.phase = .writing
    case .writing:
      let file = self.file
      guard
        try writer.goOn(
          batch, over: file.group(change.key.identity), limit: limits.groupByteCount, &left)
      else { return false }
      try checkCount(group(change.key.identity))
      beginFamilies(.series)
    case .series:
      guard try checkSeries(batch, &left) else { return false }
      beginFamilies(.others)
    case .others:
      guard try checkOthers(batch, &left) else { return false }
      beginNames()
    case .names:
      guard try retainNames(&left) else { return false }
      if change.isDryRun {
        undoNames()
        change.phase = .done
      } else {
        change.phase = .room
      }
    case .room:
      do throws(Errno) {
        guard
          try file.prepare(
            change.key.identity, writer.bytes.count, pushedKey: change.pushedKey, &left)
        else { return false }
      } catch { throw Self.full(error) }
      commit(batch)
      change.phase = .done
    case .done: break
    }
    return true
  }

  private func beginWriting(_ batch: PushBatch) throws(PushError) {
    if let problem = batch.problem { throw Self.inconsistent(problem) }
    let key = change.key
    change.place = place(key.identity)
    let known = group(key.identity)
    if known == nil {
      try checkRoom(for: key)
      if let other = twin(of: key) {
        throw Self.inconsistent(joined("the group ", other.key.description, " has the same series"))
      }
    }
    change.times = GroupBytes.Times(
      pushed: change.now.unix, failed: known?.times.failed ?? 0, timeToLive: change.timeToLive)
    writer.begin(change.mode, change.times)
  }

  private func beginFamilies(_ phase: PushChange.Phase) {
    change.phase = phase
    change.family = 0
    change.metric = -1
  }

  // MARK: Names and types

  /// Counts the new families' names in place of the group's old ones, unless they are the same:
  /// then their types have been checked before.
  private func beginNames() {
    change.phase = .names
    change.family = 0
    let known = group(change.key.identity)
    if let known, hasSameFamilies(known) {
      change.family = writer.families.count
      return
    }
    change.hasNames = true
    if let known { for family in known.families { names.release(family.name) } }
  }

  private func hasSameFamilies(_ group: PushGroup) -> Bool {
    guard group.families.count == writer.families.count else { return false }
    for (known, written) in zip(group.families, writer.families) {
      guard let family = GroupBytes.family(writer.bytes.bytes, at: written.offset) else {
        return false
      }
      let entry = names.entries[known.name]
      guard entry.type == family.type, writer.isName(family.name, entry.name) else { return false }
    }
    return true
  }

  private func retainNames(_ left: inout Int) throws(PushError) -> Bool {
    while change.family < writer.families.count {
      if left <= 0 { return false }
      left -= 8
      change.names.append(try retainName(writer.families[change.family].offset))
      change.family += 1
    }
    return true
  }

  private func retainName(_ offset: Int) throws(PushError) -> Int {
    let (name, type) = writer.nameAndType(at: offset)
    let span = unsafe name.span.bytes
    func text() -> String { String(decoding: name, as: UTF8.self) }
    if span.starts(with: "metrics_sidecar_") {
      throw Self.inconsistent(joined(text(), " is one of the sidecar's own families"))
    }
    if let other = others?.type(of: name), other != type {
      throw Self.inconsistent(
        joined(text(), " is a ", other.text.description, " here, not a ", type.text.description))
    }
    if let other = names.collision(of: name, type, others) {
      throw Self.inconsistent(
        joined(text(), " would be taken for lines of ", String(decoding: other, as: UTF8.self)))
    }
    try checkRoom(forName: name)
    guard let index = names.retain(span, type) else {
      let known = names.type(of: span)?.text ?? "family of another type"
      throw Self.inconsistent(
        joined(
          text(), " is a ", known.description, " in another group, not a ", type.text.description))
    }
    return index
  }

  /// Counts the group's old names again.
  private func undoNames() {
    guard change.hasNames else { return }
    change.hasNames = false
    for index in change.names { names.release(index) }
    guard let group = group(change.key.identity) else { return }
    for family in group.families {
      let entry = names.entries[family.name]
      let type = file.familyType(group.key.identity, at: family.offset) ?? entry.type
      _ = unsafe names.retain(entry.name.span.bytes, type)
    }
  }

  // MARK: The change

  /// Makes the change, which can no longer be refused.
  private func commit(_ batch: PushBatch) {
    let next = keep(group(change.key.identity))
    let group = next ?? add(change.key)
    change.place = place(change.key.identity)
    indexSeries(batch, group)
    let texts = writtenTexts(group)
    textByteCount += texts.reduce(0, +) - group.texts.reduce(0, +)
    group.texts = texts
    store(change.key.identity, pushedKey: change.pushedKey)
    if change.hasNames {
      group.families = zip(writer.families, change.names).map { ($0.offset, $1) }
    } else {
      for at in group.families.indices { group.families[at].offset = writer.families[at].offset }
    }
    change.hasNames = false
    group.deadline =
      change.timeToLive > 0 ? change.now.steady + change.timeToLive : .infinity
    take(group, change.times)
    rebuildNames()
  }

  /// Updates `series` to the group's future content. A push of existing series leaves it alone.
  private func indexSeries(_ batch: PushBatch, _ group: PushGroup) {
    let place = change.place
    let isAdded = change.mode.rule != nil
    let replacedCount = isAdded ? change.ownCount : group.seriesCount - writer.keptSeriesCount
    let hasAll = change.ownCount == replacedCount
    if !hasAll {
      let file = self.file
      let old = file.group(change.key.identity)
      for family in group.families {
        guard let family = GroupBytes.family(old, at: family.offset) else { continue }
        if change.mode == .merge {
          let known = batch.findFamily(old.extracting(family.name))
          guard let known, batch.families[known].metricCount > 0 else { continue }
        }
        GroupBytes.forEachSeries(old, family) { series.remove($0, place) }
      }
    }
    if hasAll, change.ownCount == change.seriesCount { return }
    for written in writer.families where written.batchIndex >= 0 {
      var metric = batch.families[written.batchIndex].firstMetric
      while metric >= 0 {
        let hash = batch.metrics[metric].hash
        if !hasAll || !series.find(hash, own: place).isOwn { series.insert(hash, place) }
        metric = batch.metrics[metric].next
      }
    }
  }

  /// Records that a push into the group of `key` has failed, as Pushgateway does.
  func fail(_ key: GroupingKey, timeToLive: Double, now: PushMoment) {
    var left = Int.max
    _ = fail(key, timeToLive: timeToLive, now: now, &left)
  }

  /// The same in steps; returns whether it is recorded, or cannot be.
  func fail(
    _ key: GroupingKey, timeToLive: Double, now: PushMoment, _ left: inout Int
  ) -> Bool {
    let known = group(key.identity)
    if known == nil, !hasRoom(for: key) || twin(of: key) != nil { return true }
    var times = known?.times ?? GroupBytes.Times(timeToLive: timeToLive)
    times.failed = now.unix
    let file = self.file
    let byteCount = max(GroupBytes.headByteCount, file.group(key.identity).byteCount)
    do throws(Errno) {
      guard try file.prepare(key.identity, byteCount, &left) else { return false }
    } catch { return true }
    writer.write(file.group(key.identity), times: times)
    let next = keep(known)
    file.store(key.identity, writer.bytes)
    let group = next ?? add(key)
    if known == nil, timeToLive > 0 { group.deadline = now.steady + timeToLive }
    take(group, times)
    return true
  }
}
