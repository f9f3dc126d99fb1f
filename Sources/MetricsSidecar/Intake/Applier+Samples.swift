import SidecarEvents
import SidecarPlatform

/// StatsD's lines of several samples, each with its type: `jobs:1|c:320|ms|@0.1:5|g`. They have no
/// tags. DogStatsD's several values of one type are `EventLine`'s.
extension Applier {
  /// Applies `bytes`, which are not one event, if they are several; false if they are not that
  /// either. All samples count, or none.
  @inline(never)
  func samples(_ bytes: RawSpan, _ source: IntakeCounts.Source) -> Bool {
    let count = bytes.byteCount
    let colon = ByteScan.find(UInt8(ascii: ":"), in: bytes, from: 0, to: count)
    guard colon < count else { return false }
    var parsed: [(line: [UInt8], event: EventLine)] = []
    var start = colon + 1
    while start <= count {
      let end = ByteScan.find(UInt8(ascii: ":"), in: bytes, from: start, to: count)
      var line = SeriesKey.array(bytes.extracting(0..<colon + 1))
      line += SeriesKey.array(bytes.extracting(start..<end))
      do throws(LineError) {
        let span = unsafe line.span.bytes
        let event = try EventLine.parse(span)
        guard event.tags.isEmpty else { return false }
        var index = event.values.lowerBound
        while try event.nextValue(span, &index) != nil {}
        parsed.append((line, event))
      } catch { return false }
      start = end + 1
    }
    guard parsed.count > 1 else { return false }
    for (line, event) in parsed {
      do throws(LineError) { try unsafe apply(event, line.span.bytes, source) } catch {
        counts.reject(error)
      }
    }
    return true
  }
}
