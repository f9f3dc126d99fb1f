import CLinux

/// A socket that outlives the process that opened it, with all that clients have sent to it: a message
/// carries it in a pair of sockets that processes forked later share, and there the kernel keeps it.
/// Those look at the message without taking it, so it is there for the next one as well.
public final class ParkedSocket {
  private let source: Descriptor
  private let target: Descriptor

  /// Nothing is parked yet.
  public init() throws(Errno) {
    var ends: (Int32, Int32) = (-1, -1)
    _ = try unsafe SystemCall.check(cl_socket_pair(&ends.0, &ends.1))
    source = Descriptor(owning: ends.0)
    target = Descriptor(owning: ends.1)
  }

  /// Parks `socket`, bound to the file `identity`, in place of the one before.
  public func park(_ socket: Int32, _ identity: FileIdentity) {
    var (device, number) = (identity.device, identity.number)
    let before = unsafe cl_receive_descriptor(target.raw, 0, &device, &number)
    if before >= 0 { _ = cl_close(before) }
    _ = cl_send_descriptor(source.raw, socket, identity.device, identity.number)
  }

  /// The socket that is parked, and into `identity` its file; `nil` if there is none.
  public func look(_ identity: inout FileIdentity) -> Descriptor? {
    let found = unsafe cl_receive_descriptor(target.raw, 1, &identity.device, &identity.number)
    return found >= 0 ? Descriptor(owning: found) : nil
  }
}
