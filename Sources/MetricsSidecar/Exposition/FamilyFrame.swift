import SidecarPlatform

/// A protobuf family on its way to a page: its length stands before it and is known last, when some
/// of the page may have been taken out.
struct FamilyFrame {
  /// Where it starts, from the page's first byte: below 0 once its start has been taken out.
  private var start = 0
  private(set) var isOpen = false
  /// A length that this slice has made known and that stands `before` bytes in front of the page's
  /// first.
  private(set) var lateLength: (before: Int, byteCount: Int)?

  mutating func begin(
    _ name: [UInt8], _ type: FamilyType, help: [UInt8], to page: inout ByteBuffer
  ) {
    isOpen = true
    start = ProtobufFormat.beginFamily(name, type, help: help, to: &page)
  }

  mutating func end(_ page: inout ByteBuffer) {
    isOpen = false
    if start >= 0 { return ProtobufFormat.endMessage(from: start, in: &page) }
    lateLength = (-start, page.count - start - ProtobufFormat.lengthByteCount)
  }

  /// All of the page, so many bytes, has been taken out.
  mutating func taken(_ byteCount: Int) { start -= byteCount }

  /// Another slice of the page begins.
  mutating func beginSlice() { lateLength = nil }
}
