import SidecarPlatform

/// One group: the metrics of one grouping key.
final class PushGroup {
  let key: GroupingKey
  var times = GroupBytes.Times()
  var seriesCount = 0
  /// Where its families start in its bytes, and which entries of `PushNames` they are.
  var families: [(offset: Int, name: Int)] = []
  /// Its bytes as a page that is being written has to show them, once the group has changed.
  fileprivate(set) var kept: [UInt8] = []
  /// The page during which it was made.
  fileprivate let page: UInt64

  init(_ key: GroupingKey, page: UInt64) {
    self.key = key
    self.page = page
  }

  /// When it goes, in Unix seconds; infinity for never. A push that failed does not prolong it.
  var expiry: Double {
    guard times.timeToLive > 0 else { return .infinity }
    return (times.pushed > 0 ? times.pushed : times.failed) + times.timeToLive
  }
}

/// All groups. A change is checked whole before anything is changed, and has survived a kill when
/// the call returns.
///
/// What must stay true: a name has one type over all groups; no series is there twice; `names` counts
/// what the groups have.
final class PushStore {
  let file: PushFile
  let limits: PushLimits
  private(set) var groups: [PushGroup?] = []
  private var free: [Int] = []
  private var index: [ByteKey: Int] = [:]
  private(set) var names = PushNames()
  private(set) var seriesCount = 0
  private(set) var expiredCount: UInt64 = 0
  private var nextExpiry = Double.infinity
  private var writer = GroupWriter()
  /// How many groups have each set of label names.
  private(set) var shapes: [[UInt8]: Int] = [:]
  /// Whether a page is being written from the groups as they were, and how many pages there were.
  private var isRead = false
  private var pageCount: UInt64 = 0
  /// The families that events and the sidecar itself have.
  var others: (any OtherFamilies)?

  init(file: PushFile, limits: PushLimits) {
    self.file = file
    self.limits = limits
    for identity in file.keys.sorted(by: { $0.bytes.lexicographicallyPrecedes($1.bytes) }) {
      restore(identity)
    }
  }

  var groupCount: Int { index.count }

  func group(_ identity: ByteKey) -> PushGroup? { index[identity].flatMap { groups[$0] } }

  // MARK: Changes

  /// Puts what `batch` has into the group of `key`, or tells why not and changes nothing.
  func push(
    _ key: GroupingKey, _ batch: PushBatch, mode: GroupWriter.Mode, timeToLive: Double,
    now: Double, isDryRun: Bool = false
  ) throws(PushError) {
    expire(now)
    if let problem = batch.problem { throw Self.inconsistent(problem) }
    let known = group(key.identity)
    if known == nil, groupCount >= limits.groups {
      throw PushError("there are \(limits.groups) groups, which is the limit", status: 507)
    }
    var times = GroupBytes.Times(pushed: now, failed: 0, timeToLive: timeToLive)
    if let known { times.failed = known.times.failed }
    let file = self.file
    try writer.write(batch, over: file.group(key.identity), mode: mode, times: times)
    let newSeries = seriesCount - (known?.seriesCount ?? 0) + writer.seriesCount
    guard newSeries <= limits.series else {
      throw PushError(
        "\(newSeries) pushed series would be more than the limit of \(limits.series)", status: 507)
    }
    try checkSeries(key, batch)
    try checkOthers(batch)
    let isSame = known.map { hasSameFamilies($0, batch) } ?? false
    let names = isSame ? [] : try retainNames(known, batch)
    if isDryRun {
      if !isSame { restoreNames(known, names) }
      return
    }
    let next = keep(known)
    do throws(Errno) {
      try file.replace(key.identity, with: writer.bytes)
    } catch {
      if !isSame { restoreNames(known, names) }
      throw Self.full(error)
    }
    let group = next ?? add(key)
    if isSame {
      for at in group.families.indices { group.families[at].offset = writer.families[at].offset }
    } else {
      group.families = zip(writer.families, names).map { ($0.offset, $1) }
      rebuildNames()
    }
    take(group, times)
  }

  /// Notes that a push into the group of `key` has failed, as Pushgateway does.
  func fail(_ key: GroupingKey, timeToLive: Double, now: Double) {
    let known = group(key.identity)
    if known == nil, groupCount >= limits.groups || twin(of: key) != nil { return }
    var times = known?.times ?? GroupBytes.Times(timeToLive: timeToLive)
    times.failed = now
    let file = self.file
    writer.write(file.group(key.identity), times: times)
    let next = keep(known)
    do throws(Errno) {
      try file.replace(key.identity, with: writer.bytes)
    } catch { return }
    take(next ?? add(key), times)
  }

  /// Whether there was such a group.
  @discardableResult
  func delete(_ identity: ByteKey) -> Bool {
    guard let place = index[identity], let group = groups[place] else { return false }
    _ = keep(group)
    file.remove(identity)
    index[identity] = nil
    groups[place] = nil
    free.append(place)
    for family in group.families { names.release(family.name) }
    seriesCount -= group.seriesCount
    let shape = group.key.shape
    if let count = shapes[shape] { shapes[shape] = count > 1 ? count - 1 : nil }
    rebuildNames()
    return true
  }

  func deleteAll() {
    for group in groups { if let group { delete(group.key.identity) } }
  }

  /// Removes the groups whose time has come.
  func expire(_ now: Double) {
    guard now >= nextExpiry else { return }
    nextExpiry = .infinity
    for group in groups {
      guard let group else { continue }
      if group.expiry <= now {
        delete(group.key.identity)
        expiredCount += 1
      } else {
        nextExpiry = min(nextExpiry, group.expiry)
      }
    }
  }

  static func inconsistent(_ problem: String) -> PushError {
    PushError("pushed metrics are invalid or inconsistent with existing metrics: \(problem)")
  }

  private static func full(_ error: Errno) -> PushError {
    PushError(
      error == .outOfMemory
        ? "the file of pushed groups has reached its limit; raise --state-size or delete groups"
        : "the file of pushed groups cannot grow: \(error.description)", status: 507)
  }

  private func add(_ key: GroupingKey) -> PushGroup {
    let group = PushGroup(key, page: isRead ? pageCount : 0)
    let place = free.popLast() ?? groups.count
    if place == groups.count { groups.append(group) } else { groups[place] = group }
    index[key.identity] = place
    shapes[key.shape, default: 0] += 1
    return group
  }

  private func take(_ group: PushGroup, _ times: GroupBytes.Times) {
    group.times = times
    seriesCount += writer.seriesCount - group.seriesCount
    group.seriesCount = writer.seriesCount
    nextExpiry = min(nextExpiry, group.expiry)
  }

  // MARK: A page

  /// From now on a page is written from `groups` as they are now: one that changes keeps what it had
  /// for it.
  func beginReading() {
    precondition(!isRead, "one page at a time")
    isRead = true
    pageCount += 1
  }

  func endReading() {
    isRead = false
    rebuildNames()
  }

  /// The group to change in place of `group`, which stays as it is for the page that is being written.
  private func keep(_ group: PushGroup?) -> PushGroup? {
    guard isRead, let group, group.page != pageCount, let place = index[group.key.identity] else {
      return group
    }
    let file = self.file
    group.kept = SeriesKey.array(file.group(group.key.identity))
    let next = PushGroup(group.key, page: pageCount)
    next.times = group.times
    next.seriesCount = group.seriesCount
    next.families = group.families
    groups[place] = next
    return next
  }

  // MARK: Names and types

  /// Whether the group has exactly the families that were written, in this order: then their types
  /// have been checked before.
  private func hasSameFamilies(_ group: PushGroup, _ batch: PushBatch) -> Bool {
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

  /// Counts the new families' names in place of the group's old ones; undone where one is refused.
  private func retainNames(
    _ group: PushGroup?, _ batch: PushBatch
  ) throws(PushError) -> [Int] {
    if let group { for family in group.families { names.release(family.name) } }
    var retained: [Int] = []
    for written in writer.families {
      do throws(PushError) {
        retained.append(try retainName(written.offset))
      } catch {
        restoreNames(group, retained)
        throw error
      }
    }
    return retained
  }

  private func retainName(_ offset: Int) throws(PushError) -> Int {
    let (name, type) = writer.nameAndType(at: offset)
    let text = String(decoding: name, as: UTF8.self)
    if text.utf8.starts(with: "metrics_sidecar_".utf8) {
      throw Self.inconsistent("\(text) is one of the sidecar's own families")
    }
    if let other = others?.type(of: name), other != type {
      throw Self.inconsistent("\(text) is a \(other.text) here, not a \(type.text)")
    }
    if let other = unsafe names.collision(of: name.span.bytes, type, others) {
      throw Self.inconsistent("\(text) would be taken for lines of \(other)")
    }
    guard let index = unsafe names.retain(name.span.bytes, type) else {
      let known = unsafe names.type(of: name.span.bytes)?.text ?? "family of another type"
      throw Self.inconsistent("\(text) is a \(known) in another group, not a \(type.text)")
    }
    return index
  }

  /// Refuses what would spoil a family that events have: their series, and histograms with other
  /// buckets than theirs.
  private func checkOthers(_ batch: PushBatch) throws(PushError) {
    guard let others else { return }
    for written in writer.families where written.batchIndex >= 0 {
      let (name, type) = writer.nameAndType(at: written.offset)
      guard others.type(of: name) == type else { continue }
      if type == .histogram, let bounds = others.bounds(of: name),
        !writer.hasBounds(bounds, at: written.offset)
      {
        throw Self.inconsistent(
          "\(String(decoding: name, as: UTF8.self)) has other buckets here, as the rules have them")
      }
      var series = OtherSeries(name)
      var metric = batch.families[written.batchIndex].firstMetric
      while metric >= 0 {
        if others.hasSeries(series.key(batch.bytes.bytes.extracting(batch.metrics[metric].labels)))
        {
          throw Self.inconsistent("\(batch.describe(metric)) is there already, from events")
        }
        metric = batch.metrics[metric].next
      }
    }
  }

  private func restoreNames(_ group: PushGroup?, _ retained: [Int]) {
    for index in retained { names.release(index) }
    guard let group else { return }
    for family in group.families {
      let entry = names.entries[family.name]
      let type = file.familyType(group.key.identity, at: family.offset) ?? entry.type
      _ = unsafe names.retain(entry.name.span.bytes, type)
    }
  }

  /// Once most names are those of groups that have gone, and no page has their numbers.
  private func rebuildNames() {
    guard names.isMostlyDead, !isRead else { return }
    var fresh = PushNames()
    for group in groups {
      guard let group else { continue }
      for at in group.families.indices {
        let entry = names.entries[group.families[at].name]
        group.families[at].name = unsafe fresh.retain(entry.name.span.bytes, entry.type) ?? 0
      }
    }
    names = fresh
  }

  private func restore(_ identity: ByteKey) {
    let key = unsafe GroupingKey(identity: identity.bytes.span.bytes)
    guard key.identity == identity else { return }
    let group = add(key)
    let file = self.file
    let bytes = file.group(identity)
    guard bytes.byteCount >= GroupBytes.headByteCount else { return }
    group.times = GroupBytes.times(bytes)
    var at = GroupBytes.headByteCount
    while let family = GroupBytes.family(bytes, at: at) {
      at = family.range.upperBound
      guard let name = names.retain(bytes.extracting(family.name), family.type) else { continue }
      group.families.append((family.range.lowerBound, name))
      group.seriesCount += family.metricCount
    }
    seriesCount += group.seriesCount
    nextExpiry = min(nextExpiry, group.expiry)
  }
}

extension GroupWriter {
  func isName(_ range: Range<Int>, _ name: [UInt8]) -> Bool {
    unsafe bytes.isEqual(range, name.span.bytes)
  }

  func nameAndType(at offset: Int) -> (name: [UInt8], type: FamilyType) {
    guard let family = GroupBytes.family(bytes.bytes, at: offset) else { return ([], .untyped) }
    return (SeriesKey.array(bytes.bytes.extracting(family.name)), family.type)
  }
}

extension GroupWriter {
  func hasBounds(_ bounds: [Double], at offset: Int) -> Bool {
    guard let family = GroupBytes.family(bytes.bytes, at: offset) else { return false }
    var at = family.metrics.lowerBound
    while at < family.metrics.upperBound {
      let metric = GroupBytes.metric(bytes.bytes, at: at)
      if !GroupBytes.hasBounds(metric, of: bytes.bytes, bounds) { return false }
      at = metric.range.upperBound
    }
    return true
  }
}

extension PushFile {
  func familyType(_ identity: ByteKey, at offset: Int) -> FamilyType? {
    GroupBytes.family(group(identity), at: offset)?.type
  }
}
