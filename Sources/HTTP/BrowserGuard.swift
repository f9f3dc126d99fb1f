import SidecarPlatform

/// Keeps foreign web pages from using a server that their visitor's browser can reach.
///
/// Such a page may POST anywhere without asking first, so a write with an Origin is accepted only
/// from a page of this server. And a page may point a name of its own here (DNS rebinding), through
/// which it could read everything as its own: so a browser's requests need a Host that nobody else
/// can own. Programs such as scrapers send neither an Origin nor a browser's fields, and are not
/// affected.
public struct BrowserGuard: Sendable {
  /// The allowed names, in lower case.
  private var names: [[UInt8]] = []
  private var takesAnyName = false

  /// What a request may do.
  public enum Verdict: Sendable {
    case allowed
    /// A write from a page of another origin.
    case foreignOrigin
    /// A browser's request through a name that is not allowed.
    case unknownHost
  }

  /// `names` are those that browsers may use besides numeric addresses and localhost, separated by
  /// commas, without ports; `*` is any.
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

  /// Checks the fields of a request; their ranges point into `head`.
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

  /// A host and port without `port` if that is its scheme's default.
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
    // An IPv6 address is in brackets.
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

/// The fields that distinguish a browser from a program, found in one pass.
private struct BrowserFields {
  var host = 0..<0
  var origin: Range<Int>?
  /// Whether a browser sent it, judging by its fields.
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
  /// Whether both are equal, ignoring the case of ASCII letters.
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
