import SidecarPlatform

/// Listeners whose clients cannot be accepted: no descriptors are left, or no places.
extension Server {
  /// Makes room for one more: from the longest idle one, or else from the spare descriptor.
  func makeRoom(_ now: UInt64) -> Bool { closeIdlest(now) || spare.lend() }

  /// Waiting clients stay in the kernel until something is closed, or for a moment, since other
  /// processes may hold the missing descriptors. If epoll kept reporting them, the loop would spin.
  func pause(_ listener: Int32, data: UInt64, until time: UInt64) {
    resumeAt = min(resumeAt, time)
    if !paused.contains(where: { $0.raw == listener }) { paused.append((listener, data)) }
    do throws(Errno) { try poller.modify(listener, [], data: data) } catch {}
  }

  /// Reports waiting clients again.
  func resumeListeners() {
    resumeAt = .max
    spare.takeBack()
    for (listener, data) in paused {
      do throws(Errno) { try poller.modify(listener, .readable, data: data) } catch {}
    }
    paused.removeAll(keepingCapacity: true)
  }

  /// Something was closed: a client that waits for a descriptor can have it.
  public func descriptorIsFree() {
    if spare.isLent || resumeAt != .max { resumeAt = 0 }
  }
}
