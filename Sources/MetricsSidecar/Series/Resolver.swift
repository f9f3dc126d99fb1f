import SidecarEvents
import SidecarRules

/// An event taken apart, to be held against the rules: only for events seen for the first time.
struct Resolver {
  let name: [UInt8]
  let type: UInt8
  let tags: [(name: ArraySlice<UInt8>, value: ArraySlice<UInt8>)]
  /// Tags in the name and behind `#`: one line speaks one dialect.
  let mixesTags: Bool

  init(name: RawSpan, type: UInt8, tags: RawSpan, dialects: TagDialects) {
    self.type = type & ~Applier.spectatorBit
    let isSpectator = type != self.type
    let written = SeriesKey.array(name)
    let split = (isSpectator ? .influxDB : dialects).split(written[...])
    self.name = split?.name ?? written
    let bytes = SeriesKey.array(tags)
    var tags = split?.tags ?? []
    let countInName = tags.count
    for tag in bytes.split(separator: UInt8(ascii: ",")) {
      // A tag's value may hold colons; a tag without one has the empty value, one without a name
      // is none. Some clients write `#` before each tag.
      let tag = tag.drop { $0 == UInt8(ascii: "#") }
      let colon = tag.firstIndex(of: UInt8(ascii: ":")) ?? tag.endIndex
      if colon > tag.startIndex { tags.append((tag[..<colon], tag[colon...].dropFirst())) }
    }
    self.tags = tags
    mixesTags = countInName > 0 && tags.count > countInName
  }

  /// What the event's type is kept as; `nil` for those that are not kept.
  var kind: Record.Kind? {
    switch type {
    case UInt8(ascii: "c"): .counter
    case UInt8(ascii: "g"): .gauge
    case UInt8(ascii: "m"), UInt8(ascii: "h"), UInt8(ascii: "d"), UInt8(ascii: "t"): .histogram
    case UInt8(ascii: "s"): .set
    default: nil
    }
  }

  var isMilliseconds: Bool { type == UInt8(ascii: "m") }

  func value(of tag: [UInt8]) -> ArraySlice<UInt8> {
    tags.first { $0.name.elementsEqual(tag) }?.value ?? []
  }

  /// That family as the client wrote its name. OpenMetrics knows a counter by its `_total`, so
  /// `jobs.total` is `jobs_total` there, too.
  var spelledFamily: [UInt8] {
    let ending = Array(defaultFamily.dropFirst(Names.sanitised(name[...]).count))
    let total = Array("_total".utf8)
    guard ending.isEmpty, type == UInt8(ascii: "c"), name.suffix(6) != total[...] else {
      return name + ending
    }
    var spelled = name.dropLast(5)
    // One character of however many bytes, or several dashes, is the `_`.
    while let byte = spelled.popLast() {
      let isPart = byte & 0xc0 == 0x80 || byte == UInt8(ascii: "-") && spelled.last == byte
      if !isPart { break }
    }
    return spelled + total
  }

  /// The family of an event that no rule names.
  var defaultFamily: [UInt8] {
    switch type {
    case UInt8(ascii: "c"): Names.family(of: name[...], suffix: "_total")
    case UInt8(ascii: "m"), UInt8(ascii: "t"): Names.family(of: name[...], suffix: "_seconds")
    default: Names.family(of: name[...], suffix: "")
    }
  }
}
