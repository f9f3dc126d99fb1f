/// Where one series or session lies in the state file.
///
///       0   4  checksum of bytes 8..<32      4   4  checksum of the key
///       8   4  kind                         12   4  bytes of the key
///      16   4  cells                        20   4  bytes of the name at the key's start
///      24   4  shape: which buckets         28   4  zero
///      32   …  the key, filled up to a multiple of 32
///       …   …  the cells; the first is not 0 while the record is in use: a series has there when
///              it was made, in Unix milliseconds
struct Record: Equatable {
  /// What a record holds; the numbers are part of the file's format.
  enum Kind: UInt8 {
    case counter = 1
    case gauge = 2
    case histogram = 3
    case set = 4
    case summary = 5
    case nativeHistogram = 6
    /// A gauge of several clients.
    case clientGauge = 7
    case session = 9
    /// How a client wrote a name; see `Spellings`.
    case spelling = 10
  }

  static let headByteCount = 32

  // Small, since there is one for each series: 12 bytes.
  private let offset32: UInt32
  private let keyByteCount32: UInt32
  private let cellCount32: UInt32

  /// From the start of the file; a multiple of 32.
  var offset: Int { Int(truncatingIfNeeded: UInt64(offset32) << 5) }
  var keyByteCount: Int { Int(clamping: keyByteCount32) }
  var cellCount: Int { Int(clamping: cellCount32) }

  init(offset: Int, keyByteCount: Int, cellCount: Int) {
    offset32 = UInt32(clamping: offset >> 5)
    keyByteCount32 = UInt32(clamping: keyByteCount)
    cellCount32 = UInt32(clamping: cellCount)
  }

  var keyOffset: Int { offset + Self.headByteCount }
  /// The number of its first cell, which says whether it is in use.
  var firstCell: Int { (keyOffset + ((keyByteCount + 31) & ~31)) / StateFile.cellByteCount }
  var end: Int { (firstCell + cellCount) * StateFile.cellByteCount }
}
