import SidecarHTTP
import SidecarPlatform

/// A change of the groups that a request asks for.
final class PushTask {
  enum Kind { case push, delete, wipe }
  enum Encoding { case plain, gzip, snappy }
  enum Phase { case decoding, parsing, applying, failing }

  let kind: Kind
  let key: GroupingKey
  var options = PushOptions()
  var encoding = Encoding.plain
  var isProtobuf = false
  /// The record of its `Idempotency-Key`.
  var pushedKey: ByteKey?
  var phase = Phase.decoding
  /// The ticket of the client that waits for the answer; `nil` while it may be given at once.
  var ticket: Ticket?
  /// Whether the body is decompressed: it is then no longer the request's.
  var isDecoded = false
  /// The request's body, while the task waits.
  var body = ByteBuffer(capacity: 16)
  /// Since when it does, in monotonic nanoseconds.
  var since: UInt64 = 0
  /// Why a push is refused, while that is noted in its group.
  var refusal: PushError?

  init(_ kind: Kind, _ key: GroupingKey) {
    self.kind = kind
    self.key = key
  }
}
