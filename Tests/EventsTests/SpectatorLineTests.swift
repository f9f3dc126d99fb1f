import Testing

@testable import SidecarEvents

private func outcome(_ line: String) -> String {
  let bytes = Array(line.utf8)
  do throws(LineError) {
    let parsed = try SpectatorLine.parse(bytes.span.bytes)
    return "\(parsed.kind) \(String(decoding: bytes[parsed.name], as: UTF8.self)) \(parsed.value)"
  } catch { return "\(error)" }
}

@Suite struct SpectatorLineTests {
  @Test(arguments: [
    ("c:server.requests:1", "counter server.requests 1.0"),
    ("c:a,id=failed,zone=b:2.5", "counter a,id=failed,zone=b 2.5"),
    ("C:a:1500", "monotonicCounter a 1500.0"), ("U:a:7", "monotonicUnsigned a 7.0"),
    ("X,1543160297100:a,b=c:7", "monotonicSampled a,b=c 7.0"),
    ("g:a:-1.5", "gauge a -1.5"), ("g,300:a:3", "gauge a 3.0"), ("m:a:9", "maximumGauge a 9.0"),
    ("A:a:0", "ageGauge a 0.0"), ("d:a:100", "distribution a 100.0"),
    ("D:a:100", "percentileDistribution a 100.0"), ("t:a:0.25", "timer a 0.25"),
    ("T:a:0.25", "percentileTimer a 0.25"), ("c:a,t=x:y:1", "counter a,t=x:y 1.0"),
    ("g:a:inf", "gauge a inf"),
  ])
  func `a line is taken apart`(_ line: String, _ expected: String) {
    #expect(outcome(line) == expected)
  }

  @Test func `a whole number of 64 bits is exact`() throws {
    let line = Array("U:a:18446744073709551615".utf8)
    #expect(try SpectatorLine.parse(line.span.bytes).total == .max)
  }

  @Test func `a sketch's value is text, one of a set`() {
    #expect(outcome("S:a:YW5u").hasPrefix("distinctSketch a "))
    #expect(outcome("S:a:YW5u") != outcome("S:a:Ym9i"))
  }

  @Test(arguments: [
    ("", "noType"), (":a:1", "noType"), ("a", "unknownType"), ("c", "noValue"), ("c:", "noValue"),
    ("c:a", "noValue"), ("c:a:", "noValue"), ("c::1", "noName"), ("c:,t=v:1", "noName"),
    ("q:a:1", "unknownType"), ("cc:a:1", "unknownType"), ("c:a:x", "badValue"),
    ("c:a:nan", "badValue"), ("c:a:inf", "badValue"), ("t:a:inf", "badValue"),
    ("U:a:1.5", "badValue"), ("U:a:18446744073709551616", "badValue"), ("c:a:1e101", "badValue"),
    ("c:a:-1", "negativeCount"), ("C:a:-1", "negativeCount"),
  ])
  func `a malformed line has its own error`(_ line: String, _ error: String) {
    #expect(outcome(line) == error)
  }
}
