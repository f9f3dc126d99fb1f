import CSidecarLinux

/// The one way into the kernel. CLinux answers with a result or a negative error number; here that
/// becomes a typed error, or an `IOResult` where "not now" and "closed" are ordinary answers.
public enum SystemCall {
  /// The result of a call that returns a count or a descriptor, or throws the kernel's error.
  @inline(__always)
  static func check(_ result: Int32) throws(Errno) -> Int32 {
    if result < 0 { throw Errno(-result) }
    return result
  }

  @inline(__always)
  static func check(_ result: Int64) throws(Errno) -> Int64 {
    if result < 0 { throw Errno(Int32(-result)) }
    return result
  }
}

/// The result of a read or a write on a non-blocking descriptor.
public enum IOResult: Equatable, Sendable {
  /// This many bytes were moved, at least one.
  case bytes(Int)
  /// Nothing could be moved now; the poller says when to try again.
  case wouldBlock
  /// The peer has closed its side.
  case closed
  case failed(Errno)

  @inline(__always)
  init(_ result: Int64, wanted: Int) {
    if result > 0 {
      self = .bytes(Int(result))
    } else if result == 0 {
      self = wanted == 0 ? .bytes(0) : .closed
    } else {
      let code = Errno(Int32(-result))
      switch code {
      case .wouldBlock: self = .wouldBlock
      case .brokenPipe, .connectionReset: self = .closed
      default: self = .failed(code)
      }
    }
  }
}
