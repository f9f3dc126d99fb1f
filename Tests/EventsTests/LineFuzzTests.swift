import Foundation
import Platform
import Testing

@testable import Events

/// Every grammar of lines, with rows bent at random: nothing traps, and what is taken is sound.
/// `FUZZ_SEED` and `FUZZ_ROUNDS` replay and lengthen a run.
@Suite struct LineFuzzTests {
  static let rows = [
    "http.request:12|c|#route:root,status:200",
    "a:1:2:3|h|@0.25|#t:v|c:abc|T1656581400|e:x|card:low",
    "a:-5.5|g", "a:user@x|s", "a:1|c:320|ms|@0.1:5|g", "a#t=v,u=w:1|c", "a,t=v:1|c",
    "a[t=v,u=w].b:1e-3|d", "c:a,id=failed:1", "X,1543160297100:a:7", "g,300:a:3",
    "_e{5,4}:title|text", "_sc|name|0", "_session|0123456789abcdef0123456789abcdef", "_seq|12",
  ]
  static let pieces = [
    ":", "|", "#", "@", ",", "=", "[", "]", ".", "+", "-", "e", "1e999", "nan", "inf", "\n", "\r",
    "\0", "\u{e9}", "|c", "|ms", "|@0.5", "|#", "_", "99999999999999999999", "0x", " ",
  ]

  static var rounds: Int {
    ProcessInfo.processInfo.environment["FUZZ_ROUNDS"].flatMap { Int($0) } ?? 20_000
  }

  static func bent(_ dice: inout some RandomNumberGenerator) -> [UInt8] {
    var bytes = Array(rows.randomElement(using: &dice)!.utf8)
    for _ in 0..<Int.random(in: 0...4, using: &dice) where !bytes.isEmpty {
      let at = Int.random(in: 0..<bytes.count, using: &dice)
      switch Int.random(in: 0..<5, using: &dice) {
      case 0: bytes[at] = UInt8.random(in: 0...255, using: &dice)
      case 1: bytes.remove(at: at)
      case 2: bytes.insert(contentsOf: pieces.randomElement(using: &dice)!.utf8, at: at)
      case 3: bytes.removeSubrange(at..<min(bytes.count, at + 9))
      default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 20)], at: at)
      }
    }
    return bytes
  }

  @Test func `bent lines are taken whole or refused`() {
    var dice = Dice()
    for _ in 0..<Self.rounds {
      // Memory that ends with the line, so that a read beyond it is seen.
      let bytes = Self.bent(&dice)
      let span = bytes.span.bytes
      do throws(LineError) {
        let event = try EventLine.parse(span)
        var index = event.values.lowerBound
        var count = 0
        while let value = try event.nextValue(span, &index) {
          #expect(!value.number.isNaN && event.weight >= 1)
          #expect(value.number.isFinite || event.kind == .gauge)
          #expect(value.number >= 0 || event.kind != .counter)
          count += 1
        }
        #expect(count > 0 && !event.name.isEmpty)
      } catch {}
      do throws(LineError) {
        let line = try SpectatorLine.parse(span)
        #expect(!line.value.isNaN && !line.name.isEmpty)
      } catch {}
      _ = SessionLine.parse(span)
      if let split = TagDialects.all.split(bytes[...]) {
        #expect(split.name.count < bytes.count)
        #expect(split.tags.allSatisfy { !$0.name.isEmpty && !$0.value.isEmpty })
      }
    }
  }

  @Test func `bent streams: where bytes are cut decides nothing`() {
    var dice = Dice()
    for _ in 0..<(Self.rounds / 10) {
      var stream: [UInt8] = []
      let isFramed = Bool.random(using: &dice)
      for _ in 0..<4 {
        let line = Self.bent(&dice)
        if isFramed {
          let length = UInt32(line.count) ^ (UInt8.random(in: 0...9, using: &dice) == 0 ? 1 : 0)
          stream += (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32($0 * 8)) }
        }
        stream += line
        if !isFramed { stream.append(0x0a) }
      }
      let whole = Self.steps(stream, cuts: [stream.count])
      var cuts: [Int] = []
      while (cuts.last ?? 0) < stream.count {
        cuts.append(min(stream.count, (cuts.last ?? 0) + Int.random(in: 1...30, using: &dice)))
      }
      #expect(Self.steps(stream, cuts: cuts) == whole)
    }
  }

  /// The lines that come out of a stream that arrives in pieces ending at `cuts`.
  private static func steps(_ stream: [UInt8], cuts: [Int]) -> [String] {
    var server = SessionServer(frameByteLimit: 4096, lineByteLimit: 4096)
    var buffer = ByteBuffer()
    var found: [String] = []
    var start = 0
    var position: UInt64 = 0
    for cut in cuts {
      buffer.append(Array(stream[start..<cut]))
      start = cut
      pieces: while true {
        switch server.next(buffer.bytes, lastApplied: position) {
        case .needMore: break pieces
        case .open: server.opened(lastApplied: 0)
        case .apply(let first, let end, let number):
          if number > 0 { position = number }
          let bytes = buffer.array
          var lines = LineReader(start: first, end: end)
          while lines.next(bytes.span.bytes) {
            found.append(String(decoding: bytes[lines.line], as: UTF8.self))
          }
        case .close(let reason):
          found.append("closed: \(reason)")
          return found
        }
      }
      buffer.removeFirst(server.takeConsumed())
    }
    return found
  }
}

/// A small generator that replays from its seed (SplitMix64).
private struct Dice: RandomNumberGenerator {
  var state = ProcessInfo.processInfo.environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}
