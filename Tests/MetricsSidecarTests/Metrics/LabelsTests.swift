import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct LabelsTests {
  private func bytes(_ text: String, _ body: (RawSpan, inout ByteBuffer) -> Void) -> String {
    let bytes = Array(text.utf8)
    var buffer = ByteBuffer()
    body(bytes.span.bytes, &buffer)
    return String(copying: buffer.bytes)
  }

  @Test func `values escape quotes, help texts do not, and OpenMetrics' help texts do`() {
    let text = "a\"b\\c\nd"
    let value = bytes(text) { Labels.appendEscaped($0, to: &$1) }
    let help = bytes(text) { Labels.appendEscapedHelp($0, to: &$1) }
    #expect(value == #"a\"b\\c\nd"#)
    #expect(help == #"a"b\\c\nd"#)
    #expect(bytes(help) { Labels.appendQuotedHelp($0, to: &$1) } == value)
  }

  @Test func `what was escaped comes back, and a lone backslash at the end is dropped`() {
    var dice = Dice(3)
    for _ in 0..<500 {
      let text = String(
        (0..<Int.random(in: 0..<20, using: &dice)).map { _ in
          "ab\\\"\nü".randomElement(using: &dice)!
        })
      let escaped = bytes(text) { Labels.appendEscaped($0, to: &$1) }
      #expect(bytes(escaped) { Labels.appendUnescaped($0, to: &$1) } == text)
    }
    #expect(bytes("a\\") { Labels.appendUnescaped($0, to: &$1) } == "a")
  }

  @Test func `labels are walked through to the end of the text or to the brace`() {
    let text = #"a="1",b="x\",}",c="""#
    for tail in ["", "}"] {
      let all = Array((text + tail).utf8)
      let span = all.span.bytes
      var at = 0
      var found: [String] = []
      while let label = Labels.next(span, from: &at) {
        found.append(
          String(copying: span.extracting(label.name)) + ":"
            + String(copying: span.extracting(label.value)))
      }
      #expect(found == ["a:1", #"b:x\",}"#, "c:"])
    }
  }

  @Test func `a key has its labels sorted, escaped, without empty ones, and is UTF-8`() {
    var key = ByteBuffer()
    Labels.append(
      [
        (Array("b".utf8), [0x61, 0xff, 0x22]), (Array("empty".utf8), []),
        (Array("a".utf8), Array("ü".utf8)[...]),
      ], to: &key)
    #expect(String(copying: key.bytes) == "{a=\"ü\",b=\"a\u{FFFD}\\\"\"}")
    var none = ByteBuffer()
    Labels.append([(Array("a".utf8), [])], to: &none)
    #expect(none.array == [])
  }
}
