import CSidecarLinux
import SidecarPlatform

/// Who may push: a file of lines `name:pbkdf2-sha256$iterations$salt$hash`, salt and hash in base64,
/// as `metrics-sidecar hash-password NAME` writes them.
///
/// A password that was right is remembered by a fast hash under a key of this process, so only the
/// first push pays for the slow one. Slow checks are few a second, so that a stranger who guesses
/// can hold up neither events nor those whose password is known.
struct PushAuth {
  private struct Entry {
    let name: [UInt8]
    let iterations: Int
    let salt: [UInt8]
    let hash: [UInt8]
  }

  enum Verdict { case allowed, refused, tooMany }

  static let iterations = 20_000
  private static let iterationLimit = 1_000_000
  private static let checksPerSecond = 2
  private static let knownLimit = 256

  /// The file as it was read.
  let text: [UInt8]
  private var entries: [Entry] = []
  private var known: Set<[UInt8]> = []
  private let key: [UInt8]
  private var second: UInt64 = 0
  private var checkCount = 0

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

  /// Judges an `Authorization` field (RFC 7617).
  mutating func check(_ field: RawSpan?, now: UInt64) -> Verdict {
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
    if now / 1_000_000_000 != second {
      second = now / 1_000_000_000
      checkCount = 0
    }
    guard checkCount < Self.checksPerSecond else { return .tooMany }
    checkCount += 1
    let name = Array(plain[..<colon])
    let password = Array(plain[(colon + 1)...])
    // An unknown name takes as long as a known one.
    let entry =
      entries.first { $0.name == name }
      ?? Entry(name: [], iterations: entries.first?.iterations ?? 1, salt: key, hash: [])
    let hash = SHA256.pbkdf2(password, salt: entry.salt, iterations: entry.iterations)
    guard SHA256.isEqual(hash, entry.hash) else { return .refused }
    if known.count >= Self.knownLimit { known.removeAll() }
    known.insert(print)
    return .allowed
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
