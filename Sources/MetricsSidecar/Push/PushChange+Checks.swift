import SidecarPlatform

/// Series that a change would have twice: in this group and in another.
extension PushStore {
  /// Refuses a series that another group has.
  func checkSeries(_ batch: PushBatch, _ left: inout Int) throws(PushError) -> Bool {
    while change.family < writer.families.count {
      if left <= 0 { return false }
      left -= 1
      let written = writer.families[change.family].batchIndex
      if written >= 0 {
        if change.metric < 0 { change.metric = batch.families[written].firstMetric }
        // At least one, so that each call makes progress.
        repeat {
          left -= 1
          let metric = batch.metrics[change.metric]
          let found = series.find(metric.hash, own: change.place)
          if found.isOwn { change.ownCount += 1 }
          change.seriesCount += 1
          if found.other >= 0, let other = groups[found.other], has(other, metric, of: batch) {
            throw Self.inconsistent(
              joined(batch.describe(change.metric), " is there already, in the group ")
                + other.key.description)
          }
          change.metric = metric.next
        } while change.metric >= 0 && left > 0
        if change.metric >= 0 { return false }
      }
      change.family += 1
    }
    return true
  }

  /// Whether more than the hash is equal.
  func has(
    _ group: PushGroup, _ metric: PushBatch.PushedMetric, of batch: PushBatch
  ) -> Bool {
    let file = self.file
    return batch.bytes.areSeries(
      batch.families[metric.family].name, metric.labels, of: file.group(group.key.identity))
  }

  /// Refuses what would conflict with a family of events: their series, and histograms with
  /// different buckets.
  func checkOthers(_ batch: PushBatch, _ left: inout Int) throws(PushError) -> Bool {
    guard let others else { return true }
    while change.family < writer.families.count {
      if left <= 0 { return false }
      left -= 1
      let written = writer.families[change.family]
      if written.batchIndex >= 0,
        try !checkOthers(batch, written, others, &left)
      {
        return false
      }
      change.family += 1
    }
    return true
  }

  func checkOthers(
    _ batch: PushBatch, _ written: GroupWriter.Written, _ others: any OtherFamilies,
    _ left: inout Int
  ) throws(PushError) -> Bool {
    let (name, type) = writer.nameAndType(at: written.offset)
    guard others.type(of: name) == type else { return true }
    if change.metric < 0 {
      change.metric = batch.families[written.batchIndex].firstMetric
      if type == .histogram, let bounds = others.bounds(of: name),
        !writer.hasBounds(bounds, at: written.offset)
      {
        throw Self.inconsistent(
          joined(
            String(decoding: name, as: UTF8.self), " has other buckets here, as the rules have them"
          ))
      }
    }
    var series = OtherSeries(name)
    repeat {
      left -= 1
      let metric = batch.metrics[change.metric]
      if others.hasSeries(series.key(batch.bytes.bytes.extracting(metric.labels))) {
        throw Self.inconsistent(
          joined(batch.describe(change.metric), " is there already, from events"))
      }
      change.metric = metric.next
    } while change.metric >= 0 && left > 0
    return change.metric < 0
  }
}
