import SidecarPlatform

/// A native histogram's buckets in the text that `TextFamilies` makes protobuf of: the fields of the
/// message in hexadecimal digits.
///
///     #N0280030…    counts are whole      #N1280030…    counts are floats
struct NativeLine {
  private(set) var isFloat = false
  /// Empty where there is no native histogram.
  private(set) var fields: [UInt8] = []

  /// What tells such a line from other comments, behind its `#`.
  static let mark = UInt8(ascii: "N")

  init() {}

  init(_ line: RawSpan) {
    guard line.byteCount > 3 else { return }
    isFloat = line.at(2) == UInt8(ascii: "1")
    for index in 0..<(line.byteCount - 3) / 2 {
      let high = line.at(3 + 2 * index).hexDigit ?? 0
      let low = line.at(4 + 2 * index).hexDigit ?? 0
      fields.append(high << 4 | low)
    }
  }

  static func append(_ native: NativeHistogram, _ count: Double, to page: inout ByteBuffer) {
    let isFloat = native.isFloat(count: count)
    var fields = ByteBuffer(capacity: 256)
    native.appendFields(isFloat: isFloat, to: &fields)
    page.append("#N")
    page.append(isFloat ? UInt8(ascii: "1") : UInt8(ascii: "0"))
    for index in 0..<fields.count {
      let byte = fields.bytes.at(index)
      for digit in [byte >> 4, byte & 15] {
        page.append(digit < 10 ? digit + UInt8(ascii: "0") : digit - 10 + UInt8(ascii: "a"))
      }
    }
    page.append("\n")
  }
}
