import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct GroupingKeyTests {
  @Test(arguments: [
    ("/j", #"job="j""#),
    ("/j/", #"job="j""#),
    ("/j/b/2/a/1", #"a="1",b="2",job="j""#),
    ("@base64/YS9i", #"job="a/b""#),
    ("/j/p@base64/YS9i", #"job="j",p="a/b""#),
    ("/j/p@base64/4pyT", #"job="j",p="✓""#),
    ("/j/p@base64/=", #"job="j",p="""#),
    ("/j/p@base64/", #"job="j",p="""#),
    ("/j/p//q/1", #"job="j",p="",q="1""#),
    ("/j/p@base64/YQ==", #"job="j",p="a""#),
    ("/j%20k/p/%22", #"job="j k",p="\"""#),
    ("/j/p/1/p/2", #"job="j",p="2""#),
    ("/j/job/2", #"job="j""#),
    ("/j/p/a%2Fb/c", #"b="c",job="j",p="a""#),
  ])
  func `a path names a group`(_ path: String, _ identity: String) throws {
    let key = try PushFixture.key(path)
    #expect(String(decoding: key.identity.bytes, as: UTF8.self) == identity)
    let again = GroupingKey(identity: key.identity.bytes.span.bytes)
    #expect(again.identity == key.identity)
    #expect(again.fullText == key.fullText)
  }

  @Test(arguments: [
    ("", 404), ("x/j", 404), ("/", 400), ("//p/1", 400), ("/j/p", 400), ("/j/p/1/q", 400),
    ("/j/1p/1", 400), ("/j/__p/1", 400), ("/j/p@base64/!", 400), ("@base64/=", 400),
    ("/j/p@base64/A", 400), ("/%", 400), ("/%4", 400), ("/%zz", 400), ("/%ff", 400),
  ])
  func `a path that names none is refused`(_ path: String, _ status: Int) {
    #expect(throws: PushError.self) { try PushFixture.key(path) }
    do { _ = try PushFixture.key(path) } catch { #expect((error as? PushError)?.status == status) }
  }
}

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

  private func field(_ text: String) -> [UInt8] {
    Array("Basic \(Base64.encodeStandard(Array(text.utf8)))".utf8)
  }

  @Test func `a password is known by its line, another is not`() throws {
    let line = PushAuth.line(name: "ci", password: Array("se:cret".utf8), iterations: 10)
    var auth = try PushAuth(Array("# who may push\n\n\(line)\n".utf8))
    #expect(auth.check(nil, now: 0) == .refused)
    let right = field("ci:se:cret")
    #expect(auth.check(right.span.bytes, now: 0) == .allowed)
    for (second, text) in ["ci:secret", "cj:se:cret", "ci", ""].enumerated() {
      let wrong = field(text)
      #expect(auth.check(wrong.span.bytes, now: UInt64(second + 1) * 1_000_000_000) == .refused)
    }
  }

  @Test func `who guesses is slowed down, who is known is not`() throws {
    let line = PushAuth.line(name: "ci", password: Array("a".utf8), iterations: 10)
    var auth = try PushAuth(Array(line.utf8))
    let right = field("ci:a")
    #expect(auth.check(right.span.bytes, now: 0) == .allowed)
    var verdicts: [PushAuth.Verdict] = []
    for guess in 0..<6 {
      let wrong = field("ci:\(guess)")
      verdicts.append(auth.check(wrong.span.bytes, now: 5_000_000_000))
    }
    #expect(verdicts.first == .refused)
    #expect(verdicts.last == .tooMany)
    #expect(auth.check(right.span.bytes, now: 5_000_000_000) == .allowed)
    let wrong = field("ci:b")
    #expect(auth.check(wrong.span.bytes, now: 6_000_000_000) == .refused)
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
}
