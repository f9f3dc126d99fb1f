import SidecarEvents
import SidecarPlatform

/// StatsD's lines of several samples, each with its type: `jobs:1|c:320|ms|@0.1:5|g`. They have no
/// tags. DogStatsD's several values of one type are `EventLine`'s.
///
/// What must stay true: work is linear in the line. The name is looked up once for each type, not
/// for each of a thousand samples after it.
extension LineProcessor {
  /// Applies `bytes`, which are not one event, if they are several; returns false if they are not.
  /// All samples count, or none.
  @inline(never)
  func samples(_ bytes: RawSpan, _ source: IntakeCounts.Source) -> Bool {
    let colon = ByteScan.find(UInt8(ascii: ":"), in: bytes, from: 0, to: bytes.byteCount)
    var count = 0
    let isSound = eachSample(bytes, after: colon) { event, line throws(LineError) in
      count += 1
      if !event.tags.isEmpty { throw .unknownType }
      var index = event.values.lowerBound
      while try event.nextValue(line, &index) != nil {}
    }
    guard isSound, count > 1 else { return false }
    var feeds: [(type: EventType, feed: Registry.Feed)] = []
    _ = eachSample(bytes, after: colon) { event, line throws(LineError) in
      let type = event.kind.type
      var at = 0
      while at < feeds.count, feeds[at].type != type { at += 1 }
      if at == feeds.count {
        let named = Event(
          name: bytes.extracting(0..<colon), type, tags: bytes.extracting(0..<0),
          .lines, EventValue(number: 0))
        feeds.append((type, registry.feed(of: named, describe)))
      }
      try applyEach(event, line, to: feeds[at].feed, of: bytes, source)
    }
    return true
  }

  /// Calls `body` with each sample as an event of its own, with the line it is part of: a short one
  /// with a placeholder for the real name. Returns whether all could be parsed.
  private func eachSample(
    _ bytes: RawSpan, after colon: Int, _ body: (EventLine, RawSpan) throws(LineError) -> Void
  ) -> Bool {
    var line = ByteBuffer(capacity: 64)
    var start = colon + 1
    while start <= bytes.byteCount {
      let end = ByteScan.find(UInt8(ascii: ":"), in: bytes, from: start, to: bytes.byteCount)
      line.removeAll()
      line.append("_:")
      line.append(bytes.extracting(start..<end))
      do throws(LineError) {
        try body(EventLine.parse(line.bytes), line.bytes)
      } catch { return false }
      start = end + 1
    }
    return true
  }
}
