import CSidecarLinux
import SidecarPlatform

/// Who may push: a file of lines `name:pbkdf2-sha256$iterations$salt$hash`, salt and hash in
/// base64, as `metrics-sidecar hash-password NAME` writes them.
///
/// A correct password is remembered as a fast hash under a key of this process, so only the first
/// push pays for the slow hash. Slow hashes are queued, see `PasswordLine`.
struct PushAuth {
  private struct Entry {
    let name: [UInt8]
    let iterations: Int
    let salt: [UInt8]
    let hash: [UInt8]
  }

  enum Verdict: Equatable {
    case allowed, refused, tooMany
    /// Not known yet; `goOn` reports it by this number.
    case waits(Int)
  }

  static let iterations = 20_000
  private static let iterationLimit = 1_000_000
  private static let knownLimit = 256
  private static let wrongLimit = 1024

  /// The file's content.
  let text: [UInt8]
  private var entries: [Entry] = []
  private var known: Set<[UInt8]> = []
  /// Recent wrong passwords, so that a repeated one costs nothing.
  private var wrong: Set<[UInt8]> = []
  private var line = PasswordLine()
  private let key: [UInt8]

  /// Reads a password file. Empty lines and those that start with `#` are skipped.
  init(_ text: [UInt8]) throws(PushError) {
    self.text = text
    key = Self.random(32)
    for (index, line) in text.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
      if line.isEmpty || line.first == UInt8(ascii: "#") { continue }
      guard let entry = Self.entry(line) else {
        throw PushError(
          "line \(index + 1) is not NAME:pbkdf2-sha256$ITERATIONS$SALT$HASH, as metrics-sidecar "
            + "hash-password NAME writes it")
      }
      entries.append(entry)
    }
  }

  private static func entry(_ line: ArraySlice<UInt8>) -> Entry? {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else {
      return nil
    }
    let parts = line[(colon + 1)...].split(separator: UInt8(ascii: "$"))
    guard parts.count == 4, parts[0].elementsEqual("pbkdf2-sha256".utf8),
      let iterations = Int(String(decoding: parts[1], as: UTF8.self)),
      (1...iterationLimit).contains(iterations),
      let salt = Base64.decodeStandard(parts[2]), let hash = Base64.decodeStandard(parts[3]),
      hash.count == 32
    else { return nil }
    return Entry(name: Array(line[..<colon]), iterations: iterations, salt: salt, hash: hash)
  }

  /// The file's line for a name and a password.
  static func line(
    name: String, password: [UInt8], iterations: Int = Self.iterations
  ) -> String {
    let salt = random(16)
    let hash = SHA256.pbkdf2(password, salt: salt, iterations: iterations)
    return "\(name):pbkdf2-sha256$\(iterations)$\(Base64.encodeStandard(salt))$"
      + Base64.encodeStandard(hash)
  }

  /// Checks an `Authorization` field (RFC 7617) of a client with this address.
  mutating func check(_ field: RawSpan?, from address: UInt64) -> Verdict {
    guard let field, field.byteCount > 6, field.extracting(0..<6).equalsIgnoringCase("basic ")
    else {
      return .refused
    }
    let encoded = SeriesKey.array(field.extracting(6..<field.byteCount))
    guard let plain = Base64.decodeStandard(encoded[...]),
      let colon = plain.firstIndex(of: UInt8(ascii: ":"))
    else { return .refused }
    let print = SHA256.HMAC(key: key).digest(plain)
    if known.contains(print) { return .allowed }
    if wrong.contains(print) { return .refused }
    if let number = line.find(print) { return .waits(number) }
    let name = Array(plain[..<colon])
    // An unknown name takes as long as a known one.
    let entry =
      entries.first { $0.name == name }
      ?? Entry(name: [], iterations: entries.first?.iterations ?? 1, salt: key, hash: [])
    guard line.hasRoom(from: address, name) else { return .tooMany }
    return .waits(
      line.add(
        print, from: address, name, entry.hash,
        SHA256.PBKDF2(Array(plain[(colon + 1)...]), salt: entry.salt, iterations: entry.iterations))
    )
  }

  /// Whether passwords are waiting.
  var isBusy: Bool { !line.isEmpty }

  /// Hashes one password until `end`, in monotonic nanoseconds. Returns its number and whether it
  /// was right, once that is known.
  mutating func goOn(until end: UInt64) -> (number: Int, isRight: Bool)? {
    guard let done = line.goOn(until: end) else { return nil }
    if done.isRight {
      if known.count >= Self.knownLimit { known.removeAll() }
      known.insert(done.print)
    } else {
      if wrong.count >= Self.wrongLimit { wrong.removeAll() }
      wrong.insert(done.print)
    }
    return (done.number, done.isRight)
  }

  private static func random(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let result = unsafe bytes.withUnsafeMutableBytes {
      unsafe cl_random($0.baseAddress, $0.count)
    }
    precondition(result >= 0, "the kernel has no random bytes")
    return bytes
  }
}
