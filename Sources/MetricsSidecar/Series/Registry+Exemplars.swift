import SidecarPlatform
import SidecarRules

extension Registry {
  /// `apply` if rules ask for exemplars, or the event has one.
  @inline(never)
  @_optimize(speed)
  func applyTraced(_ event: Event, _ describe: Describe) -> Rejection? {
    guard let exemplars, var rest = exemplars.scratch.take() else {
      let feed = plainFeed(of: event, describe)
      return add(event, to: feed) ?? feed.suspicion
    }
    let feed: Feed
    let rejection: Rejection?
    if exemplars.strip(event.tags, into: &rest) {
      feed = plainFeed(of: event.with(tags: rest.bytes), describe)
      rejection = add(event, to: feed)
      for index in 0..<(rejection == nil ? feed.count : 0) {
        guard let trace = trace(feed[index], in: event.tags) else { continue }
        keep(exemplars, feed[index], event.tags.extracting(trace), event.value.number)
      }
    } else {
      feed = plainFeed(of: event, describe)
      rejection = add(event, to: feed)
    }
    exemplars.scratch = consume rest
    return rejection ?? feed.suspicion
  }

  /// The position in an event's tags of the trace that a target's family keeps.
  func trace(_ target: LineTable.Target, in tags: RawSpan) -> Range<Int>? {
    let tag = families[Int(target.family)].options.exemplar
    guard !tag.isEmpty, tag != KindOptions.anyExemplar else { return nil }
    return Exemplars.find(tag, in: tags)
  }

  func keep(
    _ exemplars: Exemplars, _ target: LineTable.Target, _ trace: RawSpan, _ value: Double
  ) {
    let family = families[Int(target.family)]
    keep(exemplars, target, trace, nameByteCount: family.options.exemplar.count, value)
  }

  /// Keeps the exemplar labels of an event of a declared family: `trace_id:4bf92f35,span_id:00f0`.
  @inline(never)
  func keepExemplar(of event: Event, _ feed: Feed) {
    guard Exemplars.areLabels(event.exemplar) else { return }
    for index in 0..<feed.count {
      keepExemplar(event.exemplar, feed[index], value: event.value.number)
    }
  }

  /// The same for one of the series that the event feeds.
  func keepExemplar(_ labels: RawSpan, _ target: LineTable.Target, value: Double) {
    guard families[Int(target.family)].options.exemplar == KindOptions.anyExemplar else { return }
    let exemplars = exemplars ?? Exemplars(limit: limits.exemplars)
    self.exemplars = exemplars
    keep(exemplars, target, labels, nameByteCount: 0, value)
  }

  private func keep(
    _ exemplars: Exemplars, _ target: LineTable.Target, _ trace: RawSpan, nameByteCount: Int,
    _ value: Double
  ) {
    let family = families[Int(target.family)]
    let scaled = target.scale == 0 ? value : value * scales[target.scale]
    guard scaled.magnitude <= Self.greatestTerm else { return }
    let value = target.isMilliseconds ? scaled / 1000 : scaled
    let refused = exemplars.refused
    family.metric.forEachExemplar(of: value, Int(target.cell), family) { cell in
      exemplars.set(cell, value, trace, nameByteCount: nameByteCount, now: now)
    }
    if exemplars.refused != refused { loss = "exemplar_limit" }
  }
}
