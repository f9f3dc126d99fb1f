import SidecarPlatform

/// Keeps pages that somebody visits from using a server that the visitor's browser can reach.
///
/// Such a page may POST anywhere without asking first, so a write that names an Origin is taken only
/// from a page of this server. And a page may have a name of its own point here (DNS rebinding), by
/// which it would read everything as its own: so a browser's requests need a Host that nobody else can
/// own. Programs such as scrapers send neither an Origin nor a browser's fields, and are not touched.
public struct BrowserGuard: Sendable {
  /// In lower case.
  private var names: [[UInt8]] = []
  private var takesAnyName = false

  /// What a request may do.
  public enum Verdict: Sendable {
    case allowed
    /// A write from a page of another origin.
    case foreignOrigin
    /// A browser's request by a name that is not one of those allowed.
    case unknownHost
  }

  /// `names` are those by which browsers may come beside numbers and localhost, with commas between
  /// them, without ports; `*` is any.
  public init(allowing names: String = "") {
    var name: [UInt8] = []
    for byte in Array(names.utf8) + [UInt8(ascii: ",")] {
      switch byte {
      case UInt8(ascii: ","):
        if name == [UInt8(ascii: "*")] { takesAnyName = true }
        if !name.isEmpty { self.names.append(name) }
        name = []
      case UInt8(ascii: " "): continue
      case UInt8(ascii: "A")...UInt8(ascii: "Z"): name.append(byte | 0x20)
      default: name.append(byte)
      }
    }
  }

  /// Looks at the fields of a request; `head` is what they point into.
  public func check(_ request: Request, _ head: RawSpan) -> Verdict {
    let seen = BrowserFields(request, head)
    let isRead =
      request.method == .get || request.method == .head || request.method == .options
    if !isRead, let origin = seen.origin, !isSame(head, origin, seen.host) { return .foreignOrigin }
    if seen.isBrowser, !takesAnyName, !isOwn(head, seen.host) { return .unknownHost }
    return .allowed
  }

  // MARK: Origin, RFC 6454 §7

  /// Whether the origin is the Host's; `null` never is.
  private func isSame(_ bytes: RawSpan, _ origin: Range<Int>, _ host: Range<Int>) -> Bool {
    for (scheme, port) in [
      (StaticString("http://"), StaticString(":80")), ("https://", ":443"),
    ] {
      let count = scheme.utf8CodeUnitCount
      guard origin.count > count, FieldLine.matches(scheme, in: bytes, at: origin.lowerBound)
      else { continue }
      let start = origin.lowerBound + count
      let page = withoutPort(bytes, start..<origin.upperBound, port)
      let own = withoutPort(bytes, host, port)
      return page.count == own.count
        && bytes.extracting(page).isEqualIgnoringCase(to: bytes.extracting(own))
    }
    return false
  }

  /// A host and port without `port`, which its scheme has anyway.
  private func withoutPort(_ bytes: RawSpan, _ host: Range<Int>, _ port: StaticString) -> Range<Int>
  {
    let end = host.upperBound - port.utf8CodeUnitCount
    guard end > host.lowerBound, FieldLine.equals(port, in: bytes, end..<host.upperBound) else {
      return host
    }
    return host.lowerBound..<end
  }

  // MARK: Host

  private func isOwn(_ bytes: RawSpan, _ host: Range<Int>) -> Bool {
    guard !host.isEmpty else { return false }
    // In brackets is a number of IPv6.
    if bytes.at(host.lowerBound) == UInt8(ascii: "[") { return true }
    var end = host.lowerBound
    var isNumber = true
    while end < host.upperBound, bytes.at(end) != UInt8(ascii: ":") {
      let byte = bytes.at(end)
      if byte != UInt8(ascii: "."), byte < 48 || byte > 57 { isNumber = false }
      end += 1
    }
    let name = host.lowerBound..<end
    guard !isNumber, !name.isEmpty else { return !name.isEmpty }
    if FieldLine.equals("localhost", in: bytes, name) { return true }
    for allowed in names {
      if unsafe bytes.extracting(name).isEqualIgnoringCase(to: allowed.span.bytes) { return true }
    }
    return false
  }
}

/// The fields that tell a browser from a program, found in one pass.
private struct BrowserFields {
  var host = 0..<0
  var origin: Range<Int>?
  /// Whether a browser has sent it, as far as its fields tell.
  var isBrowser = false

  init(_ request: Request, _ bytes: RawSpan) {
    var start = request.fields.lowerBound
    while start < request.fields.upperBound {
      var end = start
      while bytes.at(end) != 13 { end += 1 }
      look(bytes, start..<end)
      start = end + 2
    }
  }

  private mutating func look(_ bytes: RawSpan, _ line: Range<Int>) {
    switch bytes.at(line.lowerBound) | 0x20 {
    case UInt8(ascii: "h"):
      if let value = FieldLine.value(of: "host", in: bytes, line) { host = value }
    case UInt8(ascii: "o"):
      if let value = FieldLine.value(of: "origin", in: bytes, line) { origin = value }
    case UInt8(ascii: "a"):
      if FieldLine.value(of: "accept-language", in: bytes, line) != nil { isBrowser = true }
    case UInt8(ascii: "s"):
      if line.count > 10, FieldLine.matches("sec-fetch-", in: bytes, at: line.lowerBound) {
        isBrowser = true
      }
    case UInt8(ascii: "u"):
      if let value = FieldLine.value(of: "user-agent", in: bytes, line), value.count >= 8,
        FieldLine.matches("mozilla/", in: bytes, at: value.lowerBound)
      {
        isBrowser = true
      }
    default: break
    }
  }
}

extension RawSpan {
  /// Whether both are the same but for the case of ASCII letters.
  fileprivate func isEqualIgnoringCase(to other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    for index in 0..<byteCount {
      let (left, right) = (at(index), other.at(index))
      guard left == right || left | 0x20 == right | 0x20 && left | 0x20 >= 97 && left | 0x20 <= 122
      else { return false }
    }
    return true
  }
}
