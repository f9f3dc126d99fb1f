import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Native histograms in pushes.
@Suite struct NativePushTests {
  /// 12 samples: buckets -3: 1, -2: 2 below 0, 1 near it, and 3: 5, 4: 2, 7: 1 above.
  private static let fields =
    Wire.signed(5, 3) + Wire.double(6, 1e-3) + Wire.number(7, 1) + Wire.span(9, -3, 2)
    + Wire.signed(10, 1) + Wire.signed(10, 1) + Wire.span(12, 3, 2) + Wire.span(12, 2, 1)
    + Wire.signed(13, 5) + Wire.signed(13, -3) + Wire.signed(13, -1)
  private static let head = Wire.number(1, 12) + Wire.double(2, 7.5)
  private static let push = Wire.histogram(head, fields)

  private static let parts = "spans and buckets that do not go together"

  /// What a page's family `h` says, field by field.
  private func native(_ fixture: PushFixture) throws -> (parser: NativeParser, bounds: [Double]) {
    let page = fixture.protobufPage
    let span = page.span.bytes
    var parser = NativeParser()
    var bounds: [Double] = []
    var families = WireReader(span, 0..<page.count)
    while !families.isAtEnd {
      var family = WireReader(span, try families.lengthPrefixed())
      while let field = try family.next() {
        guard field.number == 4 else { continue }
        var metric = WireReader(span, try field.bytes())
        while let field = try metric.next() {
          guard field.number == 7 else { continue }
          var histogram = WireReader(span, try field.bytes())
          while let field = try histogram.next() {
            if field.number == 3 {
              var bucket = WireReader(span, try field.bytes())
              while let part = try bucket.next() {
                if part.number == 2 { bounds.append(try part.double()) }
              }
            }
            if field.number != 2 { try parser.take(field, span) }
          }
        }
      }
    }
    return (parser, bounds)
  }

  @Test func `protobuf has its buckets again, text its count and sum`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j", protobuf: Self.push)
    for _ in 0..<2 {
      #expect(
        fixture.page == """
          # TYPE h histogram
          h_bucket{instance="",job="j",le="+Inf"} 12.0
          h_sum{instance="",job="j"} 7.5
          h_count{instance="",job="j"} 12.0

          """)
      let (parser, bounds) = try native(fixture)
      #expect(parser.count == 12 && !parser.isFloat && bounds == [])
      let found = parser.native
      #expect(found.schema == 3 && found.zeroThreshold == 1e-3 && found.zeroCount == 1)
      #expect(found.below == .init(spans: [.init(offset: -3, length: 2)], counts: [1, 2]))
      #expect(
        found.above
          == .init(
            spans: [.init(offset: 3, length: 2), .init(offset: 2, length: 1)], counts: [5, 2, 1]))
      try fixture.reopen()
    }
  }

  @Test func `classic buckets beside it stay, packed numbers are read`() throws {
    let fixture = try PushFixture()
    let packed = Wire.field(13, [5, -3, -1].flatMap { Wire.varint(Wire.zigzag($0)) })
    try fixture.push(
      "/j",
      protobuf: Wire.histogram(
        Wire.number(1, 8), Wire.double(2, 1), Wire.field(3, Wire.number(1, 6) + Wire.double(2, 2)),
        Wire.signed(5, 0), Wire.span(12, 3, 2), Wire.span(12, 2, 1), packed))
    #expect(fixture.page.contains("h_bucket{instance=\"\",job=\"j\",le=\"2.0\"} 6.0\n"))
    let (parser, bounds) = try native(fixture)
    #expect(parser.native.above.counts == [5, 2, 1] && bounds == [2, .infinity])
  }

  @Test func `one without samples is one still`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j", protobuf: Wire.histogram(Wire.signed(5, 3), Wire.span(12, 0, 0)))
    #expect(fixture.page.contains("h_count{instance=\"\",job=\"j\"} 0.0\n"))
    #expect(try native(fixture).parser.native.above.spans == [.init(offset: 0, length: 0)])
  }

  @Test func `floats stay floats`() throws {
    let fixture = try PushFixture()
    let floats = Wire.field(14, [0.5, 1.25].flatMap { Wire.double(1, $0).dropFirst() })
    try fixture.push(
      "/j",
      protobuf: Wire.histogram(
        Wire.double(4, 2.25), Wire.double(2, 1), Wire.double(8, 0.5), Wire.double(6, 1e-9),
        Wire.signed(5, 1), Wire.span(12, 0, 2), floats))
    #expect(fixture.page.contains("h_count{instance=\"\",job=\"j\"} 2.25\n"))
    let (parser, _) = try native(fixture)
    #expect(parser.isFloat && parser.count == 2.25 && parser.native.zeroCount == 0.5)
    #expect(parser.native.above.counts == [0.5, 1.25])
    // A classic one with counts that are not whole too.
    try fixture.push(
      "/j",
      protobuf: Wire.histogram(
        Wire.double(4, 2.5), Wire.double(2, 1),
        Wire.field(3, Wire.double(4, 1.5) + Wire.double(2, 1))))
    let classic = try native(fixture)
    #expect(classic.parser.count == 2.5 && classic.parser.isFloat && classic.bounds.count == 2)
  }

  @Test func `a gauge histogram is a histogram in text, and another type than one`() throws {
    let fixture = try PushFixture()
    let body = Wire.family("h", 5, [Wire.field(7, Self.head + Self.fields)])
    try fixture.push("/j", protobuf: body)
    try fixture.push("/j", protobuf: body, mode: .aggregate(.last))
    try fixture.reopen()
    #expect(fixture.page.hasPrefix("# TYPE h histogram\nh_bucket{"))
    #expect(fixture.page.contains("h_count{instance=\"\",job=\"j\"} 24.0\n"))
    #expect(try native(fixture).parser.native.above.counts == [10, 4, 2])
    // `type` = 3 is GAUGE_HISTOGRAM.
    #expect(fixture.protobufPage[8...9] == [0x18, 5])
    let refusal = fixture.refusal { try fixture.push("/k", protobuf: Self.push) }
    #expect(
      refusal?.hasSuffix("h is a gauge histogram in another group, not a histogram") == true,
      "\(refusal ?? "taken")")
    #expect(fixture.refusal { try fixture.push("/k", "h_count 1\n") } != nil)
  }

  @Test(arguments: [
    (Wire.histogram(Wire.number(1, 13), fields), "buckets that do not add up to its count"),
    (Wire.histogram(head, fields, Wire.signed(5, 9)), "a schema that is not -4 to 8"),
    (Wire.histogram(head, fields, Wire.signed(5, -5)), "a schema that is not -4 to 8"),
    (Wire.histogram(head, fields, Wire.double(6, -1)), "a zero bucket of a width that cannot be"),
    (Wire.histogram(head, fields, Wire.double(6, .nan)), "a zero bucket of a width that cannot be"),
    (Wire.histogram(head, fields, Wire.signed(13, -7)), parts),
    (Wire.histogram(head, fields, Wire.span(12, 0, 1)), parts),
    (
      Wire.histogram(head, Wire.span(12, 0, 4_000_000_000)),
      parts
    ),
    (
      Wire.histogram(head, fields, Wire.span(12, -2, 1), Wire.signed(13, 0)), "spans that overlap"
    ),
    (
      Wire.histogram(head, Wire.span(12, 1 << 30, 1), Wire.signed(13, 12)),
      parts
    ),
    (
      Wire.histogram(
        head, Wire.span(12, 1 << 25, 1), Wire.signed(13, 6), Wire.span(12, 1 << 25, 1),
        Wire.signed(13, 0)), "a bucket that is too far out"
    ),
    (Wire.histogram(head, Wire.span(12, .min, 1), Wire.signed(13, 12)), parts),
    (Wire.histogram(head, Wire.span(12, .max, 1), Wire.signed(13, 12)), parts),
    (Wire.histogram(head, Wire.span(12, -(1 << 31), 1), Wire.signed(13, 12)), parts),
    (Wire.histogram(head, fields, Wire.span(9, 0, 1), Wire.signed(10, -9)), "a count below 0"),
    (Wire.histogram(head, fields, Wire.double(14, 1)), "buckets with counts and with differences"),
    (
      Wire.histogram(Wire.double(4, 1), Wire.span(12, 0, 1), Wire.double(14, .nan)),
      "a count below 0"
    ),
    (Wire.histogram(Wire.number(1, 1), Wire.signed(13, 1)), parts),
  ])
  func `one that Prometheus would not take is refused and says why`(
    _ body: [UInt8], _ message: String
  ) throws {
    let fixture = try PushFixture()
    for isDryRun in [true, false] {
      let refusal = fixture.refusal { try fixture.push("/j", protobuf: body, isDryRun: isDryRun) }
      let isTold = refusal?.hasSuffix("is a native histogram with " + message)
      #expect(isTold == true, "\(refusal ?? "taken")")
    }
    #expect(fixture.page == "")
  }

  @Test func `samples that are no number are in no bucket`() throws {
    let fixture = try PushFixture()
    try fixture.push(
      "/j", protobuf: Wire.histogram(Wire.number(1, 15), Wire.double(2, .nan), Self.fields))
    #expect(fixture.page.contains("h_count{instance=\"\",job=\"j\"} 15.0\n"))
  }

  @Test func `they add up bucket by bucket`() throws {
    let fixture = try PushFixture()
    let other = Wire.histogram(
      Wire.number(1, 4), Wire.double(2, 1), Wire.signed(5, 3), Wire.double(6, 1e-3),
      Wire.span(12, 4, 1), Wire.span(12, 3, 1), Wire.signed(13, 1), Wire.signed(13, 2))
    try fixture.push("/j", protobuf: Self.push, mode: .aggregate(.last))
    try fixture.push("/j", protobuf: other, mode: .aggregate(.last))
    try fixture.reopen()
    #expect(fixture.page.contains("h_count{instance=\"\",job=\"j\"} 16.0\n"))
    let found = try native(fixture).parser.native
    #expect(found.zeroCount == 1 && found.below.counts == [1, 2])
    #expect(
      found.above
        == .init(
          spans: [.init(offset: 3, length: 2), .init(offset: 2, length: 2)], counts: [5, 3, 1, 3]))
  }

  @Test func `the lower resolution of two is that of their sum, and no sample is lost`() throws {
    let fixture = try PushFixture()
    // Schema 1: bucket 2 of it holds buckets 5 to 8 of schema 3, bucket 1 those of 1 to 4.
    let coarse = Wire.histogram(
      Wire.number(1, 3), Wire.double(2, 1), Wire.signed(5, 1), Wire.double(6, 1e-3),
      Wire.span(12, 2, 1), Wire.signed(13, 3))
    for bodies in [[Self.push, coarse], [coarse, Self.push]] {
      try fixture.push("/j", protobuf: bodies[0])
      try fixture.push("/j", protobuf: bodies[1], mode: .aggregate(.last))
      let (parser, _) = try native(fixture)
      #expect(parser.native.schema == 1 && parser.count == 15)
      #expect(parser.native.below == .init(spans: [.init(offset: 0, length: 1)], counts: [3]))
      #expect(parser.native.above == .init(spans: [.init(offset: 1, length: 2)], counts: [7, 4]))
    }
  }

  @Test func `what cannot be added is an error and changes nothing`() throws {
    let fixture = try PushFixture()
    try fixture.push("/j", protobuf: Self.push)
    let page = fixture.protobufPage
    let wider = Wire.histogram(Self.head, Self.fields, Wire.double(6, 0.5))
    let classic = Wire.histogram(Self.head)
    for (body, message) in [
      (wider, "h has a zero bucket of another width than its group has"),
      (classic, "h is a native histogram in the group but not in the push"),
    ] {
      let refusal = fixture.refusal {
        try fixture.push("/j", protobuf: body, mode: .aggregate(.last))
      }
      #expect(refusal?.hasPrefix(message) == true, "\(refusal ?? "taken")")
      #expect(fixture.protobufPage == page)
    }
    try fixture.push("/k", protobuf: classic)
    let refusal = fixture.refusal {
      try fixture.push("/k", protobuf: Self.push, mode: .aggregate(.last))
    }
    #expect(refusal == "h is a native histogram in the push but not in its group")
  }

  @Test func `adding up does not grow without end: the resolution falls`() throws {
    var sum = NativeHistogram()
    sum.schema = 8
    for part in 0..<40 {
      var other = NativeHistogram()
      other.schema = 8
      other.above = .init(
        spans: [.init(offset: part * 200, length: 200)],
        counts: [Double](repeating: 1, count: 200))
      let isAdded = sum.add(other)
      #expect(isAdded)
    }
    #expect(sum.bucketCount <= NativeHistogram.bucketLimit && sum.schema == 6)
    #expect(sum.above.counts.reduce(0, +) == 8000)
  }

  @Test func `bytes that are cut are no native histogram, and nothing is read beyond them`() {
    var buffer = ByteBuffer()
    var whole = NativeHistogram()
    whole.above = .init(spans: [.init(offset: 1, length: 2)], counts: [1, 2])
    whole.append(to: &buffer)
    #expect(NativeHistogram(buffer.bytes, 0..<buffer.count)?.above == whole.above)
    for count in 0..<buffer.count { #expect(NativeHistogram(buffer.bytes, 0..<count) == nil) }
  }

  @Test func `the query API tells its buckets from below`() throws {
    var native = NativeHistogram()
    native.zeroThreshold = 0.5
    native.zeroCount = 1
    native.below = .init(spans: [.init(offset: 1, length: 2)], counts: [2, 3])
    native.above = .init(spans: [.init(offset: 0, length: 1)], counts: [4])
    var text = ByteBuffer()
    native.appendJSON(to: &text)
    #expect(
      String(decoding: text.array, as: UTF8.self)
        == #"[[1,"-4","-2","3"],[1,"-2","-1","2"],[3,"-0.5","0.5","1"],[0,"0.5","1","4"]]"#)
  }
}
