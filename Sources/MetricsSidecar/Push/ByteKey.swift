import CSidecarLinux
import SidecarPlatform

/// Bytes as the key of a dictionary, hashed once. The hash differs from run to run, so that nobody
/// can choose keys that meet in one place.
struct ByteKey: Hashable {
  let bytes: [UInt8]
  private let digest: UInt64

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    digest = unsafe Digest.hash(bytes.span.bytes, seed: Self.seed)
  }

  init() { self.init([]) }

  static func == (left: ByteKey, right: ByteKey) -> Bool {
    left.digest == right.digest && left.bytes == right.bytes
  }

  func hash(into hasher: inout Hasher) { hasher.combine(digest) }

  /// Drawn at the start of the process.
  static let seed: UInt64 = {
    var seed: UInt64 = 0
    let result = unsafe withUnsafeMutableBytes(of: &seed) {
      unsafe cl_random($0.baseAddress, $0.count)
    }
    return result < 0 ? Clock.unixNanoseconds : seed
  }()
}
