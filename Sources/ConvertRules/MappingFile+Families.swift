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
  var isWritten = false
}

extension MappingFile {
  /// Adds what a mapping says about its family.
  func describe(_ mapping: Mapping) {
    var family = families[mapping.name] ?? FamilyOfMappings(events: mapping.events, first: mapping)
    if family.events != mapping.events { family.events = .any }
    if family.timed == nil, mapping.takesTimings { family.timed = mapping }
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

  /// Another mapping of a family gets what the first one says; in statsd_exporter, each has its
  /// own.
  func noteLosses(_ mapping: Mapping, _ family: FamilyOfMappings) {
    guard let json = mapping.place else { return }
    func lost(_ what: String, _ isLost: Bool, _ place: JSON?) {
      guard isLost else { return }
      note(
        place ?? json,
        joined(what, " of this mapping: lost, as ", mapping.name, " has what its first one says"))
    }
    let ttl = mapping.ttl ?? defaultTTL
    lost("the ttl", seconds(ttl) != seconds(family.first.ttl ?? defaultTTL), mapping.ttl)
    lost("the help", !mapping.help.isEmpty && mapping.help != family.first.help, nil)
    guard mapping.takesTimings, let other = family.timed?.timing else { return }
    let own = mapping.timing
    let isHistogram = own.observer == "histogram"
    guard isHistogram == (other.observer == "histogram") else {
      return lost("the observer type", true, nil)
    }
    func differs(_ part: (Timing) -> JSON?) -> Bool {
      JSON.text(part(own)) != JSON.text(part(other))
    }
    if isHistogram {
      lost("the buckets", differs { $0.buckets }, own.buckets)
      lost("the native buckets", differs { $0.factor } || differs { $0.maxBuckets }, own.factor)
    } else {
      lost("the quantiles", differs { $0.quantiles }, own.quantiles)
      lost("the max_age", seconds(own.maxAge) != seconds(other.maxAge), own.maxAge)
    }
  }
}
