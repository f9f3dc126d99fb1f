import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import SidecarEvents

/// Every grammar of lines, as kept in `Tests/Corpus` and bent: nothing traps, and what is taken is
/// sound. `Fuzzer` says how a run is replayed.
@Suite struct LineFuzzTests {
  static let pieces = [
    ":", "|", "#", "@", ",", "=", "[", "]", ".", "+", "-", "e", "1e999", "nan", "inf", "\n", "\r",
    "\u{e9}", "|c", "|ms", "|@0.5", "|#", "_", "0x", " ", ":1|c",
  ]

  @Test(arguments: ["statsd-lines", "tags-librato", "tags-influxdb", "tags-signalfx"])
  func `bent lines are taken whole or refused`(_ parser: String) {
    Fuzzer(parser, pieces: Self.pieces, rounds: 5000).run { bytes, _, label in
      for line in bytes.split(separator: 10) { Self.parse(Array(line), label) }
    }
  }

  @Test func `bent lines of spectator are taken whole or refused`() {
    Fuzzer("spectator", pieces: Self.pieces, rounds: 5000).run { bytes, _, label in
      for line in bytes.split(separator: 10).map({ Array($0) }) {
        do throws(LineError) {
          let parsed = try SpectatorLine.parse(line.span.bytes)
          #expect(!parsed.value.isNaN && !parsed.name.isEmpty, "\(label)")
        } catch {}
      }
    }
  }

  /// Memory that ends with the line, so that a read beyond it is seen.
  private static func parse(_ bytes: [UInt8], _ label: String) {
    let span = bytes.span.bytes
    do throws(LineError) {
      let event = try EventLine.parse(span)
      var index = event.values.lowerBound
      var count = 0
      while let value = try event.nextValue(span, &index) {
        #expect(!value.number.isNaN && event.weight >= 1, "\(label)")
        #expect(value.number.isFinite || event.kind == .gauge, "\(label)")
        #expect(value.number >= 0 || event.kind != .counter, "\(label)")
        count += 1
      }
      #expect(count > 0 && !event.name.isEmpty, "\(label)")
    } catch {}
    _ = SessionLine.parse(span)
    for dialects in [TagDialects.all, .librato, .influxDB, .signalFX] {
      guard let split = dialects.split(bytes[...]) else { continue }
      #expect(split.name.count < bytes.count, "\(label)")
      #expect(split.tags.allSatisfy { !$0.name.isEmpty && !$0.value.isEmpty }, "\(label)")
    }
  }

  @Test func `bent streams: where bytes are cut decides nothing`() {
    Fuzzer("frames", pieces: Self.pieces, rounds: 3000).run { stream, dice, label in
      let whole = Self.steps(stream, cuts: [stream.count])
      var cuts: [Int] = []
      while (cuts.last ?? 0) < stream.count {
        cuts.append(min(stream.count, (cuts.last ?? 0) + 1 + dice.below(30)))
      }
      #expect(Self.steps(stream, cuts: cuts) == whole, "\(label)")
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
            let line = bytes[lines.line]
            // How much of a line that is too long is handed out depends on the cuts.
            found.append(line.count > 4096 ? "" : String(decoding: line, as: UTF8.self))
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
