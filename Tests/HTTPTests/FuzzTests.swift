import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import SidecarHTTP

/// `Tests/Corpus/http-*`, as they are and bent: nothing traps, and where bytes are cut decides
/// nothing. `Fuzzer` says how a run is replayed.
@Suite struct HTTPFuzzTests {
  @Test func `bent requests never trap, and cuts decide nothing`() {
    let fuzzer = Fuzzer(
      "http-request",
      pieces: [
        "\r\n", "\n", "\r", " ", "\t", ":", ";", ",", "0", "5", "chunked", "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n", "Host: a\r\n", "Connection: close\r\n",
        "GET / HTTP/1.1\r\n", "Expect: 100-continue\r\n", "\r\n\r\n", "0\r\n\r\n",
        "5\r\nhello\r\n", "FFFFFFFF\r\n", "http://", "*", "?", "#", "HTTP/1.0",
      ])
    fuzzer.run { bytes, dice, label in
      let whole = Wire { $0.bodyByteCount = 1000 }
      whole.send(bytes)
      let cut = Wire { $0.bodyByteCount = 1000 }
      var start = 0
      while start < bytes.count {
        let end = min(bytes.count, start + 1 + dice.below(60))
        cut.send(Array(bytes[start..<end]))
        start = end
      }
      #expect(cut.isFinished == whole.isFinished, "\(label)")
      #expect(cut.recorder.answers.count == whole.recorder.answers.count, "\(label)")
      #expect(cut.recorder.bodies == whole.recorder.bodies, "\(label)")
    }
  }

  @Test func `bent chunks never give more than the limit, and cuts decide nothing`() {
    let fuzzer = Fuzzer(
      "http-chunked", pieces: ["\r\n", "\n", ";", "0\r\n\r\n", "5\r\nhello\r\n", "FFFFFFFF\r\n"])
    fuzzer.run { bytes, dice, label in
      let whole = Self.decode(bytes, pieceLimit: bytes.count + 1, &dice)
      let cut = Self.decode(bytes, pieceLimit: 7, &dice)
      #expect(whole.body.count <= 100, "\(label)")
      #expect(whole.step == cut.step && whole.body == cut.body, "\(label)")
    }
  }

  private static func decode(
    _ bytes: [UInt8], pieceLimit: Int, _ dice: inout Dice
  ) -> (step: ChunkedDecoder.Step, body: [UInt8]) {
    var decoder = ChunkedDecoder()
    var body = ByteBuffer()
    var step = ChunkedDecoder.Step.more
    var start = 0
    while start < bytes.count, step == .more {
      let end = min(bytes.count, start + 1 + dice.below(pieceLimit))
      let piece = Array(bytes[start..<end])
      var index = 0
      step = decoder.decode(piece.span.bytes, from: &index, into: &body, limit: 100)
      start = end
    }
    // What came before a mistake depends on where it was cut, and nobody sees it.
    return (step, step == .done ? body.array : [])
  }
}
