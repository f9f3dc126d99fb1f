import SidecarPlatform

/// A pushed native histogram in the protobuf format and in Pushgateway's API.
extension NativeHistogram {
  /// Whether the count, or that of a bucket, is impossible in an integer histogram.
  func isFloat(count: Double) -> Bool {
    !count.isWhole || !zeroCount.isWhole || !below.counts.allSatisfy { $0.isWhole }
      || !above.counts.allSatisfy { $0.isWhole }
  }

  /// The fields of a `Histogram` message except its count, sum and classic buckets.
  func appendFields(isFloat: Bool, to page: inout ByteBuffer) {
    page.append(5 << 3)
    ProtobufFields.zigzag(Int64(schema), to: &page)
    ProtobufFields.double(6, zeroThreshold, to: &page)
    if isFloat {
      ProtobufFields.double(8, zeroCount, to: &page)
    } else {
      page.append(7 << 3)
      ProtobufFields.varint(ProtobufFields.whole(zeroCount), to: &page)
    }
    below.appendFields(9, isFloat, to: &page)
    above.appendFields(12, isFloat, to: &page)
  }

  /// `[[BOUNDARIES,"LOWER","UPPER","COUNT"],…]` for the buckets with samples, in ascending order.
  /// The boundaries mean: 0 `(]`, 1 `[)`, 3 `[]`.
  func appendJSON(to page: inout ByteBuffer) {
    var rows: [(boundaries: UInt8, lower: Double, upper: Double, count: Double)] = []
    below.forEach { index, count in
      let (small, large) = (bound(index - 1), bound(index))
      if count > 0 { rows.append((1, -large, -small, count)) }
    }
    rows.reverse()
    if zeroCount > 0 { rows.append((3, -zeroThreshold, zeroThreshold, zeroCount)) }
    above.forEach { index, count in
      if count > 0 { rows.append((0, bound(index - 1), bound(index), count)) }
    }
    page.append("[")
    for (place, row) in rows.enumerated() {
      page.append(place > 0 ? ",[" : "[")
      page.append(UInt8(ascii: "0") + row.boundaries)
      for number in [row.lower, row.upper, row.count] {
        page.append(",\"")
        JSONText.append(number: number, to: &page)
        page.append("\"")
      }
      page.append("]")
    }
    page.append("]")
  }

  private func bound(_ index: Int) -> Double {
    ExponentialScale.upperBound(of: index, schema: schema)
  }
}

extension NativeHistogram.Side {
  /// Spans in `field`; then differences in the next field, or counts in the one after that.
  fileprivate func appendFields(_ field: UInt8, _ isFloat: Bool, to page: inout ByteBuffer) {
    for span in spans {
      ProtobufFields.span(field, offset: span.offset, length: span.length, to: &page)
    }
    var last: Int64 = 0
    for count in counts {
      if isFloat {
        ProtobufFields.double(field + 2, count, to: &page)
      } else {
        let whole = Int64(clamping: ProtobufFields.whole(count))
        page.append((field + 1) << 3)
        ProtobufFields.zigzag(whole - last, to: &page)
        last = whole
      }
    }
  }
}

extension Double {
  /// Whether it is a count that fits a UInt64 and that a Double represents exactly.
  var isWhole: Bool { self >= 0 && self <= 0x1p53 && rounded(.towardZero) == self }
}
