import CSidecarLinux
import SidecarPlatform

/// Free records by their length. The lists are rebuilt when a file is opened.
struct FreeRecords {
  static let listCount = 256
  /// The first unit of each list; 0 is none. The last list has all longer records.
  var first = [UInt32](repeating: 0, count: listCount)
  /// Units freed since neighbours were last joined.
  var unitsSinceJoin: UInt32 = 0
  /// Records out of use that may still be read.
  var releasedCount = 0

  static func list(_ units: UInt32) -> Int { min(Int(units), listCount - 1) }
}
