import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct PushAuthTests {
  private func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String(format: "%02x", $0) }.joined()
  }

  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
  ])
  func `SHA-256 has the standard's values`(_ text: String, _ hash: String) {
    #expect(hex(SHA256.hash(Array(text.utf8))) == hash)
  }

  @Test func `HMAC and PBKDF2 have the values of their RFCs`() {
    let hmac = SHA256.HMAC(key: [UInt8](repeating: 0x0b, count: 20)).digest(Array("Hi There".utf8))
    #expect(hex(hmac) == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    let key = SHA256.pbkdf2(Array("password".utf8), salt: Array("salt".utf8), iterations: 4096)
    #expect(hex(key) == "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a")
  }

  @Test(arguments: [
    "ci", "ci:secret", "ci:pbkdf2-sha256$0$AAAA$AAAA", "ci:pbkdf2-sha256$9$!$AAAA", ":x",
  ])
  func `a line that is none is told with its number`(_ line: String) {
    do {
      _ = try PushAuth(Array("\n\(line)\n".utf8))
      Issue.record("taken")
    } catch { #expect(error.message.hasPrefix("line 2 ")) }
  }

  private func auth(_ passwords: [String], iterations: Int = 10) throws -> PushAuth {
    let lines = passwords.map { text in
      let parts = text.split(separator: ":", maxSplits: 1)
      return PushAuth.line(
        name: String(parts[0]), password: Array(parts[1].utf8), iterations: iterations)
    }
    return try PushAuth(Array("# who may push\n\n\(lines.joined(separator: "\n"))\n".utf8))
  }

  private func ask(
    _ auth: inout PushAuth, _ text: String, from address: UInt64 = 1
  ) -> PushAuth.Verdict {
    let field = Array("Basic \(Base64.encodeStandard(Array(text.utf8)))".utf8)
    return unsafe auth.check(field.span.bytes, from: address)
  }

  /// Which numbers were right, in the order in which they were done.
  private func finish(_ auth: inout PushAuth, atMost most: Int = .max) -> [(Int, Bool)] {
    var done: [(Int, Bool)] = []
    while auth.isBusy, done.count < most {
      if let each = auth.goOn(until: .max) { done.append((each.number, each.isRight)) }
    }
    return done
  }

  @Test func `a password is known by its line, another is not`() throws {
    var auth = try auth(["ci:se:cret"])
    #expect(auth.check(nil, from: 1) == .refused)
    for (text, isRight) in [
      ("ci:se:cret", true), ("ci:secret", false), ("cj:se:cret", false), ("ci:", false),
    ] {
      guard case .waits(let number) = ask(&auth, text) else {
        Issue.record("\(text) does not wait")
        continue
      }
      #expect(finish(&auth).map { $0.0 } == [number])
      #expect(ask(&auth, text) == (isRight ? .allowed : .refused), "at once, the second time")
    }
    for text in ["ci", ""] { #expect(ask(&auth, text) == .refused) }
  }

  @Test func `a password that waits is looked at once, whoever asks`() throws {
    var auth = try auth(["ci:a"])
    let first = ask(&auth, "ci:a")
    #expect(ask(&auth, "ci:a", from: 2) == first)
    #expect(finish(&auth).count == 1)
  }

  @Test func `who guesses fills the places of the address, and holds up others by one`() throws {
    var auth = try auth(["ci:a", "db:b"])
    var verdicts: [PushAuth.Verdict] = []
    for guess in 0..<100 {
      verdicts.append(ask(&auth, "name\(guess % 3):\(guess)", from: 7))
    }
    #expect(verdicts.filter { $0 == .tooMany }.count == 96)
    // One of them is being looked at.
    _ = auth.goOn(until: 0)
    guard case .waits(let right) = ask(&auth, "ci:a", from: 8) else {
      Issue.record("the right one has no place")
      return
    }
    #expect(finish(&auth, atMost: 2).contains { $0 == (right, true) })
    #expect(ask(&auth, "ci:a", from: 7) == .allowed, "a known one is never held up")
  }

  @Test func `of one address, names take turns`() throws {
    var auth = try auth(["ci:a", "db:b"])
    _ = ask(&auth, "db:1")
    _ = ask(&auth, "db:2")
    #expect(ask(&auth, "db:3") == .tooMany)
    guard case .waits(let right) = ask(&auth, "ci:a") else {
      Issue.record("another name has no place")
      return
    }
    #expect(finish(&auth, atMost: 2).contains { $0 == (right, true) })
  }

  @Test func `places are bounded over all addresses`() throws {
    var auth = try auth(["ci:a"])
    var waiting = 0
    for address in 0..<200 as Range<UInt64> {
      for guess in 0..<4 {
        if case .waits = ask(&auth, "n\(guess):x\(address)", from: address) { waiting += 1 }
      }
    }
    #expect(waiting == 64)
  }

  @Test func `a slow hash is taken in parts`() throws {
    var auth = try auth(["ci:a"], iterations: 1000)
    _ = ask(&auth, "ci:a")
    var turns = 0
    while auth.goOn(until: 0) == nil { turns += 1 }
    #expect(turns > 50)
    #expect(ask(&auth, "ci:a") == .allowed)
  }
}
