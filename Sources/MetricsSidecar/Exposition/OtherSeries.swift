import SidecarPlatform
import SidecarRules

/// The keys that a pushed family's series would have as events' series.
struct OtherSeries: ~Copyable {
  var bytes = ByteBuffer(capacity: 128)
  private let nameByteCount: Int

  init(_ name: [UInt8]) {
    bytes.append(name)
    bytes.append(UInt8(ascii: "{"))
    nameByteCount = bytes.count
  }

  /// `name{labels}`; a pushed series has at least the label `job`.
  @_lifetime(&self)
  mutating func key(_ labels: RawSpan) -> RawSpan {
    bytes.truncate(to: nameByteCount)
    bytes.append(labels)
    bytes.append(UInt8(ascii: "}"))
    return bytes.bytes
  }
}
