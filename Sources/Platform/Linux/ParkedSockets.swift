import CSidecarLinux

/// Sockets that outlive the process that opened them, with all that clients have sent to them: a
/// message carries each one into a socket pair that processes forked later share, and the kernel
/// keeps it there. Those processes look at the messages without receiving them, so the next one
/// finds them as well.
public final class ParkedSockets {
  private let source: Descriptor
  private let target: Descriptor
  /// Whether the kernel lets us look beyond the first message. If not, only one is kept.
  private let holdsMany: Bool
  private var hasLooked = false

  /// Nothing is parked yet.
  public init() throws(Errno) {
    var ends: (Int32, Int32) = (-1, -1)
    _ = try unsafe SystemCall.check(cl_socket_pair(&ends.0, &ends.1))
    source = Descriptor(owning: ends.0)
    target = Descriptor(owning: ends.1)
    holdsMany = cl_look_from_first(ends.1) == 0
  }

  /// Parks `socket`, bound to the file `identity`: after the earlier ones, or in place of the
  /// previous one.
  public func park(_ socket: Int32, _ identity: FileIdentity, isOnly: Bool = false) {
    var (device, number) = (identity.device, identity.number)
    if isOnly || !holdsMany {
      let before = unsafe cl_receive_descriptor(target.raw, 0, &device, &number)
      if before >= 0 { _ = cl_close(before) }
    }
    _ = cl_send_descriptor(source.raw, socket, identity.device, identity.number)
  }

  /// The next parked socket, oldest first, with each call of a process, and its file in `identity`;
  /// `nil` if there are no more.
  public func next(_ identity: inout FileIdentity) -> Descriptor? {
    if hasLooked, !holdsMany { return nil }
    if !hasLooked { _ = cl_look_from_first(target.raw) }
    hasLooked = true
    let found = unsafe cl_receive_descriptor(target.raw, 1, &identity.device, &identity.number)
    return found >= 0 ? Descriptor(owning: found) : nil
  }
}
