import SidecarHTTP
import SidecarPlatform

/// The path under which a proxy shows the API: `/api`, or nothing.
///
/// Requests may come with or without it, since some proxies remove it and some do not. Its
/// characters need no escaping in HTML, JSON or a header.
struct RootPath: Sendable {
  let text: String
  private let bytes: [UInt8]

  /// No prefix.
  init() {
    text = ""
    bytes = []
  }

  /// A prefix of letters, digits and `/._~-`; a slash at its end is removed.
  init?(_ text: String) {
    var bytes = Array(text.utf8)
    if bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
    guard bytes.isEmpty || bytes[0] == UInt8(ascii: "/"), bytes.count <= 1024 else { return nil }
    var last: UInt8 = 0
    for byte in bytes {
      guard Self.isPlain(byte) || byte == UInt8(ascii: "/") && last != byte else { return nil }
      last = byte
    }
    if last == UInt8(ascii: "/") { return nil }
    self.bytes = bytes
    self.text = String(decoding: bytes, as: UTF8.self)
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
      UInt8(ascii: "~"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  /// The part of `path` after the prefix, from its slash on; `nil` if `path` is not below it.
  @_lifetime(copy path)
  func remainder(of path: RawSpan) -> RawSpan? {
    guard !bytes.isEmpty, path.byteCount > bytes.count,
      unsafe ByteCompare.equal(bytes.span.bytes, path.extracting(0..<bytes.count)),
      path.extracting(bytes.count..<bytes.count + 1).isEqual(to: "/")
    else { return nil }
    return path.extracting(bytes.count..<path.byteCount)
  }
}
