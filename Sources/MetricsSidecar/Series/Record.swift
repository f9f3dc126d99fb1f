/// The position of one series or session in the state file: the number of its first unit of 32
/// bytes.
///
///       0   2  units: the record's length    2   2  checksum of the units and the place
///       4   4  bit 0: in use; bit 1: in use before the transaction below; bits 2…31: checksum of
///              both, the place and the transaction
///       8   4  the transaction that changed bit 0 last
///      12   4  checksum of bytes 16..<32, the place and the key
///      16   4  shape: which buckets         20   6  when it was made, in Unix milliseconds
///      26   2  bytes of the key             28   2  bytes of the name at the key's start
///      30   1  kind                         31   1  form: see `Registry+Forms`
///      32   …  the cells with its values, 32 bytes each
///       …   …  the key, filled up to a multiple of 32
///
/// In a record that is not in use only bytes 0..<12 are defined; while the process lives, bytes
/// 12..<16 are the next free record of that length.
struct Record: Equatable {
  /// The content of a record; the numbers are part of the file's format.
  enum Kind: Equatable {
    case series(MetricType)
    case session
    /// How a client wrote a name; see `OriginalNames`.
    case spelling
    /// A client's declaration of a family; see `Declaration`.
    case declaration
    /// How far a writer of OTLP has been counted; see `Streams`.
    case stream
    /// Digests of requests and of former streams, and their secrets; see `Streams`.
    case memory

    init?(rawValue: UInt8) {
      switch rawValue {
      case 9: self = .session
      case 10: self = .spelling
      case 11: self = .declaration
      case 12: self = .stream
      case 13: self = .memory
      default:
        guard let type = MetricType(rawValue: rawValue) else { return nil }
        self = .series(type)
      }
    }

    var rawValue: UInt8 {
      switch self {
      case .series(let type): type.rawValue
      case .session: 9
      case .spelling: 10
      case .declaration: 11
      case .stream: 12
      case .memory: 13
      }
    }
  }

  let unit: UInt32

  /// The offset from the start of the file.
  var offset: Int { Int(unit) * StateFile.cellByteCount }
  /// The head, numbered like a cell: the values are in the cells from `headCell + 1` on. Every
  /// event of a series stores into that one, so that its transaction identifies the last event.
  var headCell: Int { Int(unit) }
}
