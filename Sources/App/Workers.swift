import SidecarPlatform

/// The threads beside the main one.
enum Workers {
  private final class List {
    var threads: [UInt64] = []
  }

  // Sound: only the main thread starts and joins.
  nonisolated(unsafe) private static let list = List()

  static func start(_ body: @escaping @Sendable () -> Void) throws(Errno) {
    let thread = try Thread(body)
    unsafe list.threads.append(thread.detachHandle())
  }

  /// Waits until all threads have returned.
  static func join() {
    for handle in unsafe list.threads { Thread.join(handle) }
    unsafe list.threads = []
  }
}
