import CSidecarLinux
import SidecarPlatform

/// The boot of the machine under which a file was written. A killed process leaves its file
/// complete, in the kernel's memory. A machine that crashes leaves what has reached the disk by
/// then: pages from different times, each of which may look valid. So a file from another boot is
/// trusted only if its owner exited cleanly, with everything on disk.
///
///      0  16  the machine's boot id, zeros where it is not known
///     16   4  checksum of that and of the file's own summary of its content: its owner exited
///             cleanly, and nothing has changed it since. Anything else: it is in use, or its owner
///             was killed
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

  /// Whether the file survived the machine's restarts. If either boot is unknown, assumes so.
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

  /// The owner exits cleanly, and all of the file is on disk.
  func end(_ content: UInt32) { unsafe cl_store_32(mark + 16, checksum(content)) }
}
