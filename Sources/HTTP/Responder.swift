import SidecarPlatform

/// What a program does with requests, and with the descriptors that it has the server's loop watch.
///
/// `Server` takes it as a generic parameter, so each call is direct. All calls come on the thread
/// that is in `Server.run()`. A turn of the loop: wait; `ready` for the program's own descriptors and
/// `respond` for each request; `turnEnds` once; and only then are the answers sent. So what
/// `turnEnds` writes is with the kernel before any client sees an answer of this turn.
public protocol Responder: AnyObject {
  /// Answers `request` by one `send`, `problem` or `begin … end` on `response`.
  ///
  /// `head` is what the ranges in `request` point into; `body` is decoded and complete. Neither may
  /// be kept.
  func respond(
    to request: Request, head: RawSpan, body: RawSpan, into response: inout ResponseWriter)

  /// How long the body of `request` may be, decoded, in bytes: at most `HTTPLimits.bodyByteCount`, and
  /// 413 beyond. 0 where the answer follows from the head alone: `respond` comes at once, without a
  /// body, and what comes of one is thrown away. Asked where a body follows.
  func bodyLimit(of request: Request, head: RawSpan) -> Int

  /// Whether `request` is a probe's, for which a few places are kept where all others are taken. It
  /// has to be answered at once and cost little.
  func isProbe(_ request: Request, head: RawSpan) -> Bool

  /// An answer is written, by the responder or by the server itself (400, 408, 413 …).
  func answered(_ answer: Answer)

  /// The client's kernel has acknowledged the whole answer that came with this.
  func received(_ receipt: Receipt)

  /// Everything this turn had to do is done; answers, if any, are sent next.
  func turnEnds(now: UInt64)

  /// Clients wait and cannot be taken, for want of descriptors or memory. Told at each try, four times
  /// a second at most.
  func clientsWait(_ error: Errno, now: UInt64)

  /// A descriptor given to `Server.watch` is ready. `now` is monotonic nanoseconds.
  func ready(_ token: UInt32, _ interest: Poller.Interest, now: UInt64)

  /// When `deadlineReached` is due in monotonic nanoseconds; `UInt64.max` for never. Asked at the
  /// end of each turn.
  func nextDeadline() -> UInt64
  func deadlineReached(now: UInt64)
}

extension Responder {
  /// As long as the server's limits allow.
  public func bodyLimit(of request: Request, head: RawSpan) -> Int { .max }
  /// None is.
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
  /// Never.
  public func nextDeadline() -> UInt64 { .max }
  /// Does nothing.
  public func deadlineReached(now: UInt64) {}
}

/// One answer, as the responder is told of it.
public struct Answer: Sendable {
  /// `ResponseWriter.route` as the responder left it, or `noRoute`.
  public let route: UInt32
  /// Of the request; `other` if it was refused before it had one.
  public let method: Request.Method
  /// The code that was sent, 100 to 599.
  public let status: Int
  /// When the request's first byte was read, in monotonic nanoseconds.
  public let arrivedAt: UInt64

  /// The route of a request that was refused before a responder saw it, or that set none.
  public static var noRoute: UInt32 { .max }
}
