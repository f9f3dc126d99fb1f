import SidecarEvents
import SidecarPlatform

/// Handles lines that are refused, or that count but look like a mistake.
extension LineProcessor {
  /// Counts and records a line with an error.
  @inline(never)
  func refuse(_ error: LineError, _ line: RawSpan, _ source: IntakeCounts.Source) {
    counts.reject(error)
    refusals.note(error.reason, source.name, line)
  }

  /// The same for a line refused by its family or a limit; a line that only looks like a mistake is
  /// counted with its `type`.
  @inline(never)
  func refuse(
    _ rejection: Registry.Rejection, _ line: RawSpan, _ source: IntakeCounts.Source, _ type: UInt8
  ) {
    counts.reject(rejection)
    refusals.note(rejection.reason, source.name, line)
    if rejection.isCounted { counts.accept(source, type) }
  }

  /// Counts and records a line that counts but looks like a mistake.
  @inline(never)
  func suspect(
    _ rejection: Registry.Rejection, _ line: RawSpan, _ source: IntakeCounts.Source
  ) {
    counts.reject(rejection)
    refusals.note(rejection.reason, source.name, line)
  }

  /// Keeps a line that counts and has lost a part of what it says, which is counted already.
  @inline(never)
  func noteLoss(_ line: RawSpan, _ source: IntakeCounts.Source) {
    if let loss = registry.loss { refusals.note(loss, source.name, line) }
    registry.loss = nil
  }

  /// Each reason for which lines were not counted, and how many.
  func eachRefusal(_ body: (StaticString, UInt64) -> Void) {
    for (index, error) in LineError.allCases.enumerated() {
      body(error.reason, counts.lineErrors[index])
    }
    for rejection in Registry.Rejection.allCases where !rejection.isCounted {
      body(rejection.reason, counts.rejections[rejection.rawValue])
    }
    body("datagram_too_long", counts.datagramsTruncated)
    body("poisoned", counts.linesPoisoned)
    body("client_limit", registry.refusedClients)
    body("value_out_of_range", registry.refusedValues)
    body("exemplar_limit", registry.exemplars?.refused ?? 0)
  }

  /// The reasons why counted lines look like a mistake, and how many.
  func eachSuspicion(_ body: (StaticString, UInt64) -> Void) {
    for rejection in Registry.Rejection.allCases where rejection.isCounted {
      body(rejection.reason, counts.rejections[rejection.rawValue])
    }
  }
}

extension EventDescription {
  /// Why a new event of a line that counts looks like a mistake.
  var suspicion: Registry.Rejection? {
    let marks = [UInt8(ascii: ";"), UInt8(ascii: "{"), UInt8(ascii: "=")]
    if name.contains(where: { marks.contains($0) }) { return .tagsInName }
    for tag in tags where tag.name.contains(UInt8(ascii: "=")) { return .equalsInTag }
    return nil
  }
}
