import Foundation
import Platform
import Testing

@testable import HTTP

/// A small generator that replays from its seed (SplitMix64).
private struct Dice: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}

/// The rows of the tables, bent at random: nothing traps, and where bytes are cut decides nothing.
/// `FUZZ_SEED` and `FUZZ_ROUNDS` replay and lengthen a run.
@Suite struct FuzzTests {
  static let pieces = [
    "\r\n", "\n", "\r", " ", "\t", "\0", ":", ";", ",", "0", "5", "chunked",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n", "Host: a\r\n", "Connection: close\r\n", "GET / HTTP/1.1\r\n",
    "Expect: 100-continue\r\n", "\r\n\r\n", "0\r\n\r\n", "5\r\nhello\r\n", "FFFFFFFF\r\n",
    "http://",
    "*", "?", "#", "HTTP/1.0", "\u{e9}",
  ]

  @Test func `bent requests never trap, and cuts decide nothing`() {
    let environment = ProcessInfo.processInfo.environment
    let first = environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
    let rounds = environment["FUZZ_ROUNDS"].flatMap { UInt64($0) } ?? 3000
    let rows = (validRows + refusedRows).map(\.request).filter { $0.utf8.count < 2000 }
    for seed in first..<(first + rounds) {
      var dice = Dice(state: seed)
      var bytes = Array((0..<3).map { _ in rows.randomElement(using: &dice)! }.joined().utf8)
      for _ in 0..<Int.random(in: 0...4, using: &dice) { bend(&bytes, &dice) }
      let whole = Wire { $0.bodyByteCount = 1000 }
      whole.send(bytes)
      let cut = Wire { $0.bodyByteCount = 1000 }
      var start = 0
      while start < bytes.count {
        let end = min(bytes.count, start + Int.random(in: 1...60, using: &dice))
        cut.send(Array(bytes[start..<end]))
        start = end
      }
      #expect(cut.isFinished == whole.isFinished, "seed \(seed)")
      #expect(cut.recorder.answers.count == whole.recorder.answers.count, "seed \(seed)")
      #expect(cut.recorder.bodies == whole.recorder.bodies, "seed \(seed)")
    }
  }

  private func bend(_ bytes: inout [UInt8], _ dice: inout Dice) {
    if bytes.isEmpty { return }
    let at = Int.random(in: 0..<bytes.count, using: &dice)
    switch Int.random(in: 0..<5, using: &dice) {
    case 0: bytes[at] = UInt8.random(in: 0...255, using: &dice)
    case 1: bytes.remove(at: at)
    case 2: bytes.insert(contentsOf: Self.pieces.randomElement(using: &dice)!.utf8, at: at)
    case 3: bytes.removeSubrange(at..<min(bytes.count, at + 9))
    default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 20)], at: at)
    }
  }
}
