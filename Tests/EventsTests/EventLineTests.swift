import Testing

@testable import SidecarEvents

/// A line and what it should come to, written `type name values*weight #tags`.
private func outcome(_ line: String) -> String {
  let bytes = Array(line.utf8)
  do throws(LineError) {
    let span = bytes.span.bytes
    let event = try EventLine.parse(span)
    var values: [String] = []
    var index = event.values.lowerBound
    while let value = try event.nextValue(span, &index) {
      values.append((value.isDelta ? "Δ" : "") + "\(value.number)")
    }
    let name = text(span.extracting(event.name))
    let tags = text(span.extracting(event.tags))
    let weight = event.weight == 1 ? "" : " *\(event.weight)"
    return "\(event.kind) \(name) \(values.joined(separator: ","))\(weight) #\(tags)"
  } catch { return "\(error)" }
}

@Test(arguments: [
  ("a:1|c", "counter a 1.0 #"),
  ("http.request:12|c|#route:root,status:200", "counter http.request 12.0 #route:root,status:200"),
  ("a:0.25|c|@0.1", "counter a 0.25 *10.0 #"),
  ("a:1|c|@0.3333333333", "counter a 1.0 *3.0 #"),
  ("a:1|c|@0.4", "counter a 1.0 *2.5 #"),
  ("a:5|g", "gauge a 5.0 #"), ("a:+5|g", "gauge a Δ5.0 #"), ("a:-5.5|g", "gauge a Δ-5.5 #"),
  ("a:320|ms", "milliseconds a 320.0 #"), ("a:1:2:3|h", "histogram a 1.0,2.0,3.0 #"),
  ("a:1.5:2.5|d|#x:y", "distribution a 1.5,2.5 #x:y"),
  ("a:1|c|#t:v|@0.5|c:abc|T1656581400|e:it-x|card:low", "counter a 1.0 *2.0 #t:v"),
  ("a:1|c|zzz|#t|", "counter a 1.0 #t"), ("a:1|c|#", "counter a 1.0 #"),
  ("a:1e3|c", "counter a 1000.0 #"), ("a:.5|h", "histogram a 0.5 #"),
  ("a:5.|h", "histogram a 5.0 #"),
  ("a:-3|h", "histogram a -3.0 #"),
  ("a:18446744073709551615|c", "counter a 1.8446744073709552e+19 #"),
  ("ä.b:1|c|#t:ü:x", "counter ä.b 1.0 #t:ü:x"),
])
func `a line is taken apart`(line: String, expected: String) {
  #expect(outcome(line) == expected)
}

@Test(arguments: [
  ("", "noName"), (":1|c", "noName"), ("a", "noValue"), ("a:|c", "noValue"), ("a::|c", "noValue"),
  ("a:1", "noType"), ("a:1|", "unknownType"), ("a:1|x", "unknownType"), ("a:1|m", "unknownType"),
  ("a:1|cc", "unknownType"), ("a:1|mss", "unknownType"), ("a:x|c", "badValue"),
  ("a:1x|c", "badValue"), ("a:1.2.3|c", "badValue"), ("a:+|g", "badValue"), ("a:--1|g", "badValue"),
  ("a: 1|c", "badValue"), ("a:0x10|c", "badValue"), ("a:1e|c", "badValue"), ("a:nan|c", "badValue"),
  ("a:inf|h", "badValue"), ("a:1e999|c", "badValue"), ("a:-1|c", "negativeCount"),
  ("a:1:2:x|h", "badValue"), ("a:1:-2|c", "negativeCount"), ("a:1|c|@0", "badRate"),
  ("a:1|c|@-1", "badRate"), ("a:1|c|@1.5", "badRate"), ("a:1|c|@x", "badRate"),
  ("a:1|c|@1e-16", "badRate"), ("a:1e101|c", "badValue"), ("a:1:-1e101|h", "badValue"),
  ("a:+1e101|g", "badValue"),
  ("a:1|c|@nan", "badRate"), ("_e{5,4}:title|text", "ignored"), ("_sc|name|0", "ignored"),
])
func `a malformed line has its own error`(line: String, error: String) {
  #expect(outcome(line) == error)
}

@Test func `a line with a bad value among several is refused whole`() {
  let bytes = Array("a:1:2:x|h".utf8)
  #expect(throws: LineError.badValue) { try EventLine.parse(bytes.span.bytes) }
}

@Test(arguments: [
  ("a:user@x|s", "a:user@x|s|#t:v", true), ("a:1:2|s", "a:1:2|s", true),
  ("a:1|s", "a:2|s", false), ("a:1|s", "a:1.0|s", false), ("a:1:2|s", "a:1:3|s", false),
])
func `a set's value is any text, told apart by all of it`(
  first: String, second: String, isEqual: Bool
) throws {
  func member(_ line: String) throws -> Double {
    let bytes = Array(line.utf8)
    let event = try EventLine.parse(bytes.span.bytes)
    var index = event.values.lowerBound
    let value = try #require(try event.nextValue(bytes.span.bytes, &index))
    #expect(try event.nextValue(bytes.span.bytes, &index) == nil)
    return value.number
  }
  #expect((try member(first) == member(second)) == isEqual)
}

@Test func `the value that is read on the way is the one that is read by itself`() throws {
  for text in [
    "1", "0", "0.5", ".5", "5.", "123456789012345", "1234567890123456", "0.000000000000001",
    "99999999.9999999", "007", "1e3", "-1", "+1", "1.5.5", ".",
  ] {
    for type in ["c", "g", "ms", "h", "d", "s"] {
      let bytes = Array("a:\(text)|\(type)".utf8)
      let event = try? EventLine.parse(bytes.span.bytes)
      guard let event, !event.onlyValue.isNaN else { continue }
      #expect(type != "s")
      var index = event.values.lowerBound
      let value = try event.nextValue(bytes.span.bytes, &index)
      #expect(value == EventLine.Value(number: event.onlyValue, isDelta: false))
      #expect(event.onlyValue == Double(text))
    }
  }
  let plain = Array("a:12.5|d".utf8)
  #expect(try EventLine.parse(plain.span.bytes).onlyValue == 12.5)
}

@Test func `a byte is found wherever it stands, and only within the range`() {
  for count in 0...40 {
    var bytes = [UInt8](repeating: 0x3b, count: count)
    for start in 0...count {
      for end in start...count {
        let nowhere = ByteScan.find(0x3a, in: bytes.span.bytes, from: start, to: end)
        #expect(nowhere == end)
      }
    }
    for place in bytes.indices {
      bytes[place] = 0x3a
      for start in 0...count {
        for end in start...count {
          let found = ByteScan.find(0x3a, in: bytes.span.bytes, from: start, to: end)
          let isInside = (start..<end).contains(place)
          if found != (isInside ? place : end) {
            Issue.record("\(place) from \(start) to \(end): \(found)")
          }
        }
      }
      bytes[place] = 0x3b
    }
  }
}
