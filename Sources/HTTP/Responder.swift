import SidecarPlatform

/// A program's handling of requests, and of the descriptors that it lets the server's loop watch.
///
/// It is a generic parameter of `Server`, so each call is direct. All calls come on the thread of
/// `Server.run()`. A turn of the loop: wait; `ready` for the program's own descriptors and
/// `respond` for each request; `turnEnds` once; and only then does the server send the answers. So
/// the kernel has what `turnEnds` writes before any client sees an answer of this turn.
public protocol Responder: AnyObject {
  /// Answers `request` by one `send`, `problem` or `begin … end` on `response`.
  ///
  /// `head` is what the ranges in `request` point into; `body` is decoded and complete. Neither may
  /// be kept.
  func respond(
    to request: Request, head: RawSpan, body: RawSpan, into response: inout ResponseWriter)

  /// How long the body of `request` may be, decoded, in bytes: at most `HTTPLimits.bodyByteCount`,
  /// and 413 beyond. 0 if the answer follows from the head alone: `respond` is called at once,
  /// without a body, and the server discards the body. Asked only if a body follows.
  func bodyLimit(of request: Request, head: RawSpan) -> Int

  /// Whether `request` is a probe's, for which a few places are reserved when all others are taken.
  /// Its answer must be immediate and cheap.
  func isProbe(_ request: Request, head: RawSpan) -> Bool

  /// An answer is written, by the responder or by the server itself (400, 408, 413 …).
  func answered(_ answer: Answer)

  /// The client's kernel has acknowledged the whole answer with this receipt.
  func received(_ receipt: Receipt)

  /// The work of this turn is done; the server sends the answers, if any, next.
  func turnEnds(now: UInt64)

  /// Clients wait and cannot be accepted, for lack of descriptors or memory. Called at each try, at
  /// most four times a second.
  func clientsWait(_ error: Errno, now: UInt64)

  /// A descriptor given to `Server.watch` is ready. `now` is monotonic nanoseconds.
  func ready(_ token: UInt32, _ interest: Poller.Interest, now: UInt64)

  /// When `deadlineReached` is due in monotonic nanoseconds; `UInt64.max` for never. Asked at the
  /// end of each turn.
  func nextDeadline() -> UInt64
  func deadlineReached(now: UInt64)
}

extension Responder {
  /// By default as long as the server's limits allow.
  public func bodyLimit(of request: Request, head: RawSpan) -> Int { .max }
  /// By default no request is a probe's.
  public func isProbe(_ request: Request, head: RawSpan) -> Bool { false }
  /// Does nothing.
  public func answered(_ answer: Answer) {}
  /// Does nothing.
  public func received(_ receipt: Receipt) {}
  /// Does nothing.
  public func turnEnds(now: UInt64) {}
  /// Does nothing.
  public func clientsWait(_ error: Errno, now: UInt64) {}
  /// Does nothing: for a program without descriptors of its own.
  public func ready(_ token: UInt32, _ interest: Poller.Interest, now: UInt64) {}
  /// By default never.
  public func nextDeadline() -> UInt64 { .max }
  /// Does nothing.
  public func deadlineReached(now: UInt64) {}
}

/// One answer, as reported to the responder.
public struct Answer: Sendable {
  /// The `ResponseWriter.route` that the responder set, or `noRoute`.
  public let route: UInt32
  /// The request's method; `other` if it was refused before it had one.
  public let method: Request.Method
  /// The code that was sent, 100 to 599.
  public let status: Int
  /// When the request's first byte was read, in monotonic nanoseconds.
  public let arrivedAt: UInt64
  /// As `Request.port` has it.
  public let port: UInt8

  /// The route if a request was refused before a responder saw it, or if the responder set none.
  public static var noRoute: UInt32 { .max }
}
