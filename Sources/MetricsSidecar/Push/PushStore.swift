import SidecarPlatform

/// One group: the metrics of one grouping key.
final class PushGroup {
  let key: GroupingKey
  var times = GroupBytes.Times()
  /// When it expires, by the steady clock; infinity for never.
  var deadline = Double.infinity
  var seriesCount = 0
  /// The start of its families in its bytes, and their entries in `PushNames`.
  var families: [(offset: Int, name: Int)] = []
  /// The approximate bytes of each family's text lines.
  var texts: [Int] = []
  /// Its bytes for an exposition that is being written, once the group has changed.
  fileprivate(set) var kept: [UInt8] = []
  /// The exposition during which it was created.
  fileprivate let page: UInt64

  init(_ key: GroupingKey, page: UInt64) {
    self.key = key
    self.page = page
  }

  /// The rest of its time to live. A failed push does not extend it. The wall clock may have been
  /// set since the push.
  fileprivate func left(at now: PushMoment) -> Double {
    guard times.timeToLive > 0 else { return .infinity }
    let last = times.pushed > 0 ? times.pushed : times.failed
    return min(max(last + times.timeToLive - now.unix, 0), times.timeToLive)
  }
}

/// All groups. A change is checked completely before anything changes, and survives a kill once it
/// is reported as done. Changes come one after the other: while one is in progress, some steps per
/// call, there is no other.
///
/// What must stay true: a name has one type over all groups; no series occurs twice; `names` counts
/// the groups' families, and `series` has all their series.
final class PushStore {
  let file: PushFile
  let limits: PushLimits
  private(set) var groups: [PushGroup?] = []
  private var free: [Int] = []
  private var index: [ByteKey: Int] = [:]
  var names = PushNames()
  var series = SeriesIndex()
  var seriesCount = 0
  /// The approximate bytes of all pushed series' text lines.
  var textByteCount = 0
  /// The bytes of all grouping keys.
  private(set) var keyByteCount = 0
  private(set) var expiredCount: UInt64 = 0
  private var nextExpiry = Double.infinity
  /// The progress of the search for expired groups, and when the next one of those it has seen
  /// expires.
  private var expiryPlace = 0
  private var seenExpiry = Double.infinity
  private var wipePlace = 0
  var writer = GroupWriter()
  private var pushedKeys = PushedKeys()
  /// The push in progress.
  var change = PushChange()
  /// Whether an exposition is being written from the groups of a moment, and how many there were.
  private(set) var isRead = false
  private var pageCount: UInt64 = 0
  /// The families of events and of the sidecar itself.
  var others: (any OtherFamilies)?

  init(file: PushFile, limits: PushLimits, now: PushMoment = .now) {
    self.file = file
    self.limits = limits
    for identity in file.keys.ordered(by: { $0.bytes.lexicographicallyPrecedes($1.bytes) }) {
      if !PushedKeys.isRecord(identity) { restore(identity, now) }
    }
    pushedKeys = PushedKeys(file)
  }

  var groupCount: Int { index.count }

  func group(_ identity: ByteKey) -> PushGroup? { index[identity].flatMap { groups[$0] } }

  /// Its place in `groups`; -1 where there is none.
  func place(_ identity: ByteKey) -> Int { index[identity] ?? -1 }

  // MARK: Changes

  /// Whether there was such a group.
  @discardableResult
  func delete(_ identity: ByteKey) -> Bool {
    guard let place = index[identity], let group = groups[place] else { return false }
    _ = keep(group)
    forgetSeries(of: group, place)
    file.remove(identity)
    index[identity] = nil
    groups[place] = nil
    free.append(place)
    for family in group.families { names.release(family.name) }
    seriesCount -= group.seriesCount
    textByteCount -= group.texts.reduce(0, +)
    keyByteCount -= identity.bytes.count
    rebuildNames()
    return true
  }

  private func forgetSeries(of group: PushGroup, _ place: Int) {
    let file = self.file
    let bytes = file.group(group.key.identity)
    for family in group.families {
      guard let family = GroupBytes.family(bytes, at: family.offset) else { continue }
      GroupBytes.forEachSeries(bytes, family) { series.remove($0, place) }
    }
  }

  /// The cost of deleting a group, in series.
  private func cost(_ group: PushGroup) -> Int { 4 + group.seriesCount }

  func deleteAll() {
    var left = Int.max
    _ = deleteAll(&left)
  }

  /// Deletes groups of about `left` series, which it counts down. Returns whether that was all.
  func deleteAll(_ left: inout Int) -> Bool {
    while wipePlace < groups.count {
      if left <= 0 { return false }
      left -= 1
      if let group = groups[wipePlace] {
        left -= cost(group)
        delete(group.key.identity)
      }
      wipePlace += 1
    }
    wipePlace = 0
    return true
  }

  func expire(_ now: Double) {
    var left = Int.max
    _ = expire(now, &left)
  }

  /// Removes expired groups, by the steady clock: as many as have about `left` series, which it
  /// counts down. Returns whether that was all.
  func expire(_ now: Double, _ left: inout Int) -> Bool {
    guard now >= nextExpiry else { return true }
    while expiryPlace < groups.count {
      if left <= 0 { return false }
      left -= 1
      if let group = groups[expiryPlace] {
        if group.deadline <= now {
          left -= cost(group)
          delete(group.key.identity)
          expiredCount += 1
        } else {
          seenExpiry = min(seenExpiry, group.deadline)
        }
      }
      expiryPlace += 1
    }
    nextExpiry = seenExpiry
    seenExpiry = .infinity
    expiryPlace = 0
    return true
  }

  /// The groups that have not expired.
  func liveGroups(_ now: Double) -> [PushGroup?] {
    guard now >= nextExpiry else { return groups }
    return groups.map { $0.flatMap { $0.deadline > now ? $0 : nil } }
  }

  /// Stores the group from `writer`, together with its push's idempotency key.
  func store(_ identity: ByteKey, pushedKey: ByteKey?) {
    guard let pushedKey else { return file.store(identity, writer.bytes) }
    file.store(identity, writer.bytes, pushedKey, pushedKeys.content)
    if let oldest = pushedKeys.stored(pushedKey) { file.remove(oldest) }
  }

  static func inconsistent(_ problem: String) -> PushError {
    PushError(joined("pushed metrics are invalid or inconsistent with existing metrics: ", problem))
  }

  static func full(_ error: Errno) -> PushError {
    PushError(
      error == .outOfMemory
        ? "the file of pushed groups has reached its limit; raise --state-size or delete groups"
        : joined("the file of pushed groups cannot grow: ", error.description), status: 507)
  }

  func add(_ key: GroupingKey) -> PushGroup {
    let group = PushGroup(key, page: isRead ? pageCount : 0)
    let place = free.popLast() ?? groups.count
    if place == groups.count { groups.append(group) } else { groups[place] = group }
    index[key.identity] = place
    keyByteCount += key.identity.bytes.count
    return group
  }

  func take(_ group: PushGroup, _ times: GroupBytes.Times) {
    group.times = times
    seriesCount += writer.seriesCount - group.seriesCount
    group.seriesCount = writer.seriesCount
    nextExpiry = min(nextExpiry, group.deadline)
  }

  // MARK: An exposition

  /// From now on an exposition is written from `groups` as they are now: a group that changes keeps
  /// its old content for it.
  func beginReading() {
    precondition(!isRead, "one page at a time")
    isRead = true
    pageCount += 1
  }

  func endReading() {
    isRead = false
    rebuildNames()
  }

  /// The group to change in place of `group`, which stays unchanged for the current exposition.
  func keep(_ group: PushGroup?) -> PushGroup? {
    guard isRead, let group, group.page != pageCount, let place = index[group.key.identity] else {
      return group
    }
    let file = self.file
    group.kept = SeriesKey.array(file.group(group.key.identity))
    let next = PushGroup(group.key, page: pageCount)
    next.times = group.times
    next.deadline = group.deadline
    next.seriesCount = group.seriesCount
    next.families = group.families
    next.texts = group.texts
    groups[place] = next
    return next
  }

  // MARK: Names

  /// Call it once most names belong to removed groups, and no exposition or push holds their
  /// numbers.
  func rebuildNames() {
    guard names.isMostlyDead, !isRead, !change.hasNames else { return }
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

  // MARK: Startup

  private func restore(_ identity: ByteKey, _ now: PushMoment) {
    let key = unsafe GroupingKey(identity: identity.bytes.span.bytes)
    guard key.identity == identity else { return }
    let group = add(key)
    let place = self.place(identity)
    let file = self.file
    let bytes = file.group(identity)
    guard bytes.byteCount >= GroupBytes.headByteCount else { return }
    group.times = GroupBytes.times(bytes)
    group.deadline = now.steady + group.left(at: now)
    var at = GroupBytes.headByteCount
    while let family = GroupBytes.family(bytes, at: at) {
      at = family.range.upperBound
      guard let name = names.retain(bytes.extracting(family.name), family.type) else { continue }
      group.families.append((family.range.lowerBound, name))
      group.texts.append(GroupBytes.textByteCount(bytes, family))
      group.seriesCount += family.metricCount
      GroupBytes.forEachSeries(bytes, family) { series.insert($0, place) }
    }
    seriesCount += group.seriesCount
    textByteCount += group.texts.reduce(0, +)
    nextExpiry = min(nextExpiry, group.deadline)
  }
}
