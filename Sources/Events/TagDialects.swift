/// Tags in an event's name, in the spellings that statsd_exporter also reads:
///
///     jobs#queue=mail,host=a:1|c      Librato
///     jobs,queue=mail,host=a:1|c      InfluxDB
///     jobs[queue=mail,host=a]:1|c     SignalFX; what follows the bracket belongs to the name
///
/// They are searched for once for each new line, so known lines cost nothing.
package struct TagDialects: OptionSet, Sendable {
  /// One bit per spelling.
  package let rawValue: UInt8
  /// Bits without a spelling are ignored.
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  /// `name#tag=value`
  package static let librato = TagDialects(rawValue: 1)
  /// `name,tag=value`
  package static let influxDB = TagDialects(rawValue: 2)
  /// `name[tag=value]`
  package static let signalFX = TagDialects(rawValue: 4)
  /// Every spelling, as by default.
  package static let all: TagDialects = [.librato, .influxDB, .signalFX]

  /// One tag, as ranges of the name that contains it.
  package typealias Tag = (name: ArraySlice<UInt8>, value: ArraySlice<UInt8>)

  /// The name without its tags, and the tags; `nil` if there are none. As in statsd_exporter,
  /// SignalFX comes before the others, an unpaired bracket is part of the name, and a tag without a
  /// name, a `=` or a value is dropped.
  package func split(_ name: ArraySlice<UInt8>) -> (name: [UInt8], tags: [Tag])? {
    if contains(.signalFX) {
      let open = name.firstIndex(of: UInt8(ascii: "["))
      let close = name.firstIndex(of: UInt8(ascii: "]"))
      if let open, let close, open < close {
        return (Array(name[..<open] + name[(close + 1)...]), Self.tags(name[(open + 1)..<close]))
      }
      if open != nil || close != nil { return nil }
    }
    let start = name.firstIndex { byte in
      byte == UInt8(ascii: "#") && contains(.librato)
        || byte == UInt8(ascii: ",") && contains(.influxDB)
    }
    guard let start else { return nil }
    return (Array(name[..<start]), Self.tags(name[(start + 1)...]))
  }

  /// `a=b,c=d`; a value may contain `=`.
  static func tags(_ text: ArraySlice<UInt8>) -> [Tag] {
    text.split(separator: UInt8(ascii: ",")).compactMap { tag in
      guard let equals = tag.firstIndex(of: UInt8(ascii: "=")), equals > tag.startIndex,
        equals + 1 < tag.endIndex
      else { return nil }
      return (tag[..<equals], tag[(equals + 1)...])
    }
  }
}
