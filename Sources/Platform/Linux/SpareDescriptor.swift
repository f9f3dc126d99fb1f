import CSidecarLinux

/// A descriptor in reserve: when no more may be open, it makes room for one client, so that somebody
/// can still ask what is wrong.
public struct SpareDescriptor: ~Copyable {
  private var kept = Descriptor(owning: -1)

  /// Opens it; where there is none left, `takeBack` tries again.
  public init() { takeBack() }

  /// Whether there is none now.
  public var isLent: Bool { kept.raw < 0 }

  /// Closes it, for another to be opened; whether there was one.
  public mutating func lend() -> Bool {
    if isLent { return false }
    kept = Descriptor(owning: -1)
    return true
  }

  /// Opens it again, if it is lent and there is room.
  public mutating func takeBack() {
    guard isLent else { return }
    // Of all descriptors, this one needs neither a file nor an address.
    let raw = cl_poll_create()
    if raw >= 0 { kept = Descriptor(owning: raw) }
  }
}
