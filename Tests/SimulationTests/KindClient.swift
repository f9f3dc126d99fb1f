import SidecarEvents
import SidecarPlatform

@testable import MetricsSidecar

/// One connection: bytes on their way, and the sidecar's machine.
final class KindLink {
  var server = SessionServer()
  var wire: [UInt8]
  var input = ByteBuffer()
  var owner: UInt64
  var slot: SessionTable.Entry?

  init(wire: [UInt8], owner: UInt64) {
    self.wire = wire
    self.owner = owner
  }
}

/// A client by the protocol's document: frames with numbers, kept until they are acknowledged.
struct KindClient {
  let id: SessionID
  private(set) var frames: [(number: UInt64, bytes: [UInt8])] = []
  private var number: UInt64 = 0
  var link: KindLink?

  init(id: SessionID) { self.id = id }

  mutating func put(_ lines: [String]) {
    number += 1
    var frame = ByteBuffer()
    let start = Frame.begin(&frame)
    frame.append((["_seq|\(number)"] + lines).joined(separator: "\n"))
    Frame.end(start, &frame)
    frames.append((number, frame.array))
    link?.wire += frame.array
  }

  /// Names the session and sends everything again.
  mutating func connect(owner: UInt64) {
    var hello = ByteBuffer()
    SessionLine.appendSession(id, to: &hello)
    link = KindLink(wire: hello.array + frames.flatMap { $0.bytes }, owner: owner)
  }

  mutating func received(_ bytes: RawSpan) {
    var start = 0
    while case .frame(let range) = Frame.next(in: bytes, from: start, limit: 64) {
      start = range.upperBound
      guard case .acknowledgement(let last) = SessionLine.parse(bytes.extracting(range)) else {
        continue
      }
      frames.removeAll { $0.number <= last }
    }
  }
}
