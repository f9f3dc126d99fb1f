import CSidecarLinux
import SidecarEvents
import SidecarPlatform

/// The lines for `emit`, from arguments or standard input, each checked by the sidecar's own
/// parser: the sidecar itself would only count a bad one, out of sight.
struct EmitLines {
  struct Mistake: Error { let message: String }

  /// The limits in bytes of a datagram, a frame, and the frame of `--once`.
  static let datagramByteCount = 60_000
  static let frameByteCount = 64 << 10
  static let onceByteCount = 1000 << 10
  /// The limit of standard input, which is read completely before anything is sent.
  private static let inputByteLimit = 64 << 20

  /// Whole lines, separated by newlines.
  private let bytes: [UInt8]
  var byteCount: Int { bytes.count }

  /// A single `-` means standard input.
  init(_ operands: [String]) throws(Mistake) {
    var text: [UInt8]
    let isInput = operands.count == 1 && operands[0] == "-"
    if isInput {
      text = Self.input()
      if text.count > Self.inputByteLimit {
        throw Mistake(message: "standard input has more than 64 MiB: send it in parts")
      }
    } else {
      text = []
      for operand in operands { text += Array(operand.utf8) + [10] }
    }
    var bytes: [UInt8] = []
    var number = 0
    for line in text.split(separator: 10, omittingEmptySubsequences: false) {
      number += 1
      var line = line
      if line.last == 13 { line.removeLast() }
      if line.isEmpty { continue }
      if let problem = unsafe Self.problem(line.span.bytes) {
        let place = isInput ? joined("line ", number.description, ", ") : ""
        throw Mistake(
          message: joined(
            place, "'", String(decoding: line.prefix(256), as: UTF8.self), "' is no event: ",
            problem.description, ". Write NAME:VALUE|TYPE, such as 'jobs.done:1|c'"))
      }
      if !bytes.isEmpty { bytes.append(10) }
      bytes += line
    }
    guard !bytes.isEmpty else {
      throw Mistake(message: "there is no line: name an event, such as 'jobs.done:1|c'")
    }
    self.bytes = bytes
  }

  private static func input() -> [UInt8] {
    var input = ByteBuffer(capacity: 65_536)
    while input.count <= inputByteLimit {
      var count: Int64 = 0
      unsafe input.appendUnsafe(capacity: 65_536) { memory in
        count = unsafe cl_read(0, memory.baseAddress, memory.count)
        return max(0, Int(count))
      }
      if count <= 0 { break }
    }
    return input.array
  }

  /// Splits lines into parts of at most this many bytes; a longer line is a part of its own.
  func forEachBatch(of limit: Int, _ body: (RawSpan) -> Void) {
    let all = unsafe bytes.span.bytes
    var start = 0
    while start < bytes.count {
      var end = min(start + limit, bytes.count)
      if end < bytes.count {
        var line = end
        while line > start, bytes[line] != 10 { line -= 1 }
        if line == start {
          line = end
          while line < bytes.count, bytes[line] != 10 { line += 1 }
        }
        end = line
      }
      body(all.extracting(start..<end))
      start = end + 1
    }
  }

  // MARK: What is wrong with a line

  /// Why the sidecar would refuse it; `nil` for a valid one.
  static func problem(_ line: RawSpan) -> StaticString? {
    if line.byteCount > datagramByteCount { return "it is longer than 60000 bytes" }
    do throws(LineError) {
      try check(line)
    } catch {
      if error == .unknownType || error == .badRate, areSamples(line) { return nil }
      return words(error)
    }
    return nil
  }

  private static func check(_ line: RawSpan) throws(LineError) {
    let event = try EventLine.parse(line)
    var index = event.values.lowerBound
    while try event.nextValue(line, &index) != nil {}
  }

  /// Whether it is StatsD's line of several samples, each with its type: `jobs:1|c:320|ms|@0.1`.
  private static func areSamples(_ line: RawSpan) -> Bool {
    var start = ByteScan.find(UInt8(ascii: ":"), in: line, from: 0, to: line.byteCount) + 1
    var sample = ByteBuffer(capacity: 64)
    while start <= line.byteCount {
      let end = ByteScan.find(UInt8(ascii: ":"), in: line, from: start, to: line.byteCount)
      sample.removeAll()
      sample.append("_:")
      sample.append(line.extracting(start..<end))
      do throws(LineError) {
        try check(sample.bytes)
        if try !EventLine.parse(sample.bytes).tags.isEmpty { return false }
      } catch { return false }
      start = end + 1
    }
    return true
  }

  private static func words(_ error: LineError) -> StaticString {
    switch error {
    case .noName: "no name stands before the colon"
    case .noValue: "it has no value"
    case .noType: "no type stands behind a |"
    case .unknownType: "the types are c, g, ms, h, d and s"
    case .badValue: "the value is no finite number"
    case .negativeCount: "a counter does not go down"
    case .badRate: "a rate is above 0 and at most 1"
    case .tooLong: "it is too long"
    case .badDeclaration: "it is no declaration"
    case .ignored: "events and service checks are not kept"
    }
  }
}
