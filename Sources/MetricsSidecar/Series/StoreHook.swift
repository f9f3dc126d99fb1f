/// Where a test can stop: after each single store that recovery has to cope with. In a release build
/// there is nothing here.
enum StoreHook {
  #if DEBUG
    /// Called after every store. Tests of crash safety copy the file's bytes from here.
    nonisolated(unsafe) static var afterStore: (() -> Void)?
  #endif

  @inline(__always)
  static func passed() {
    #if DEBUG
      unsafe afterStore?()
    #endif
  }
}
