import CSidecarLinux

/// A descriptor in reserve: when no more can be opened, it makes room for one client, so that you
/// can still ask what is wrong.
public struct SpareDescriptor: ~Copyable {
  private var kept = Descriptor(owning: -1)

  /// Opens it; if no descriptor is left, `takeBack` tries again.
  public init() { takeBack() }

  /// Whether the reserve is empty.
  public var isLent: Bool { kept.raw < 0 }

  /// Closes it so that another can be opened; returns whether there was one.
  public mutating func lend() -> Bool {
    if isLent { return false }
    kept = Descriptor(owning: -1)
    return true
  }

  /// Opens it again, if it is lent and there is room.
  public mutating func takeBack() {
    guard isLent else { return }
    // This kind of descriptor needs neither a file nor an address.
    let raw = cl_poll_create()
    if raw >= 0 { kept = Descriptor(owning: raw) }
  }
}
