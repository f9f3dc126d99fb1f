import SidecarPlatform

/// Bytes as the key of a dictionary, hashed once, by the secret of this process.
struct ByteKey: Hashable {
  let bytes: [UInt8]
  private let hash: UInt64

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    hash = unsafe HashKey.process.hash(bytes.span.bytes)
  }

  init() { self.init([]) }

  static func == (left: ByteKey, right: ByteKey) -> Bool {
    left.hash == right.hash && left.bytes == right.bytes
  }

  func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}
