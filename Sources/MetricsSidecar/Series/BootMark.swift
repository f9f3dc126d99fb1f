import CSidecarLinux
import SidecarPlatform

/// Which start of the machine a file was written under. A process that is killed leaves its file whole,
/// in the kernel's memory. A machine that goes down leaves what has come to the disk by then: pages of
/// different times, each of which may look right. So a file of another start is trusted only if its
/// owner ended in order, with everything on the disk.
///
///      0  16  the machine's boot id, zeros where it is not known
///     16   4  checksum of that and of what the file says of its content: its owner ended in order, and
///             nobody has changed it since. Anything else: it is in use, or its owner was killed
@safe
struct BootMark {
  // Sound: points at 20 bytes of a file's header, which is mapped as long as the file is.
  private let mark: UnsafeMutableRawPointer

  init(at mark: UnsafeMutableRawPointer) { unsafe self.mark = mark }

  private var boot: BootIdentity {
    unsafe BootIdentity(
      high: mark.load(as: UInt64.self), low: mark.load(fromByteOffset: 8, as: UInt64.self))
  }

  private func checksum(_ content: UInt32) -> UInt32 {
    let id = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(mark), byteCount: 16)
    return ~(Digest.checksum(id) ^ content &* 0x9e37_79b1)
  }

  /// Whether the file is whole, as far as the machine goes. Where either boot is unknown, it has to be.
  func isTrusted(_ now: BootIdentity, _ content: UInt32) -> Bool {
    let then = boot
    if then == now || then == .unknown || now == .unknown { return true }
    return unsafe mark.load(fromByteOffset: 16, as: UInt32.self) == checksum(content)
  }

  /// From now on the file is in use.
  func begin(_ now: BootIdentity) {
    unsafe cl_store_32(mark + 16, 0)
    unsafe mark.storeBytes(of: now.high, as: UInt64.self)
    unsafe mark.storeBytes(of: now.low, toByteOffset: 8, as: UInt64.self)
  }

  /// The owner ends in order, and all of the file is on the disk.
  func end(_ content: UInt32) { unsafe cl_store_32(mark + 16, checksum(content)) }
}
