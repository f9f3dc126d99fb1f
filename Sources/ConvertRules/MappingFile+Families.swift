import SidecarPlatform
import SidecarRules

/// The family that results from all mappings to one name.
struct FamilyOfMappings {
  /// `any` if its mappings accept events of several types: the first event decides the family's
  /// type.
  var events: MappingFile.Events
  let first: MappingFile.Mapping
  /// The first mapping that accepts timings.
  var timed: MappingFile.Mapping?
  /// The first mapping with the same names of labels that accepts timings.
  var timedByLabels: [String: MappingFile.Mapping] = [:]
  var isWritten = false
}

extension MappingFile {
  /// Adds what a mapping says about its family.
  func describe(_ mapping: Mapping) {
    var family = families[mapping.name] ?? FamilyOfMappings(events: mapping.events, first: mapping)
    if family.events != mapping.events { family.events = .any }
    if mapping.takesTimings {
      if family.timed == nil { family.timed = mapping }
      if family.timedByLabels[mapping.labelNames] == nil {
        family.timedByLabels[mapping.labelNames] = mapping
      }
    }
    families[mapping.name] = family
  }

  /// A family's name may be the name of another's line: statsd_exporter makes the one whose event
  /// comes first.
  func separateSamples() {
    for (name, family) in families where family.events == .timing {
      for suffix in Names.sampleSuffixes where families[name + suffix] != nil {
        families[name]?.events = .any
        families[name + suffix]?.events = .any
      }
    }
  }

  /// Writes what another mapping of a family has of its own, its time to live and the buckets or
  /// quantiles of its labels, and reports what a family has once: its help and type, and, as in
  /// statsd_exporter, one set of buckets or quantiles for the same names of labels.
  func writeFurther(_ mapping: Mapping, _ family: FamilyOfMappings) {
    let ttl = mapping.ttl ?? defaultTTL
    if max(0, seconds(ttl)) != max(0, seconds(family.first.ttl ?? defaultTTL)) {
      writeTTL(ttl)
    }
    guard let json = mapping.place else { return }
    func lost(_ what: String, _ isLost: Bool, _ place: JSON?, _ with: String = "") {
      guard isLost else { return }
      note(
        place ?? json,
        joined(
          what, " of this mapping: lost, as ", mapping.name, with, " has what its first one says"))
    }
    lost("the help", !mapping.help.isEmpty && mapping.help != family.first.help, nil)
    guard mapping.takesTimings, let first = family.timed?.timing else { return }
    let own = mapping.timing
    guard own.isHistogram == first.isHistogram else { return lost("the observer type", true, nil) }
    var written = family.timedByLabels[mapping.labelNames]?.timing ?? own
    if written.isHistogram != own.isHistogram { written = own }
    let labels = " with these labels"
    if own.isHistogram {
      lost("the buckets", differ(own, written, { $0.buckets }), own.buckets, labels)
      lost(
        "the native buckets",
        differ(own, written, { $0.factor }) || differ(own, written, { $0.maxBuckets }),
        own.factor, labels)
    } else {
      lost("the quantiles", differ(own, written, { $0.quantiles }), own.quantiles, labels)
      lost("the max_age", seconds(own.maxAge) != seconds(written.maxAge), own.maxAge, labels)
    }
    writeTiming(written, unless: first)
  }

  /// In place of the family's first one.
  private func writeTiming(_ timing: Timing, unless first: Timing) {
    if timing.isHistogram {
      guard
        differ(timing, first, { $0.buckets }) || differ(timing, first, { $0.factor })
          || differ(timing, first, { $0.maxBuckets })
      else { return }
      writeHistogram(timing)
    } else if differ(timing, first, { $0.quantiles })
      || seconds(timing.maxAge) != seconds(first.maxAge)
    {
      if timing.quantiles == nil { output.append(", \"quantiles\": [0.5, 0.9, 0.99]") }
      writeSummary(timing)
    }
  }

  private func differ(_ one: Timing, _ other: Timing, _ part: (Timing) -> JSON?) -> Bool {
    JSON.text(part(one)) != JSON.text(part(other))
  }
}
