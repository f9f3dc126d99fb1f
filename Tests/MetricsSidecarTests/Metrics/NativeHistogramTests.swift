import Foundation
import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct NativeHistogramTests {
  private func fixture(_ members: String = "") throws -> Fixture {
    try Fixture(
      rules: """
        {"families": [
          {"name": "size_bytes", "type": "histogram", "native": true\(members),
           "events": [{"event": "size"}]}]}
        """)
  }

  @Test func `in text it has +Inf, count and sum, and the buckets that a rule gives`() throws {
    let plain = try fixture()
    plain.apply("size", "h", 3)
    plain.apply("size", "h", -5)
    #expect(
      plain.page == """
        # TYPE size_bytes histogram
        size_bytes_bucket{le="+Inf"} 2.0
        size_bytes_count 2.0
        size_bytes_sum -2.0

        """)
    let both = try fixture(#", "buckets": [1, 4]"#)
    both.apply("size", "h", 3)
    both.apply("size", "h", 4.5)
    #expect(both.value(#"size_bytes_bucket{le="1.0"}"#) == 0)
    #expect(both.value(#"size_bytes_bucket{le="4.0"}"#) == 1)
    #expect(both.value(#"size_bytes_bucket{le="+Inf"}"#) == 2)
  }

  @Test func `in protobuf it has spans and deltas`() throws {
    let fixture = try fixture(#", "bucket_factor": 2, "zero_threshold": 0.25"#)
    for (value, count) in [(5.0, 5), (8, 1), (16, 2), (100, 2), (0.2, 3), (-1, 1)] {
      for _ in 0..<count { fixture.apply("size", "h", value) }
    }
    // Buckets 3, 4 and 7 with 6, 2 and 2; bucket 0 below zero with 1.
    let expected: [UInt8] = [
      5 << 3, 0, 6 << 3 | 1, 0, 0, 0, 0, 0, 0, 0xd0, 0x3f, 7 << 3, 3,
      0x4a, 4, 8, 0, 16, 1, 0x50, 2,
      0x62, 4, 8, 6, 16, 2, 0x62, 4, 8, 4, 16, 1, 0x68, 12, 0x68, 7, 0x68, 0,
    ]
    let bytes = fixture.protobuf
    #expect(bytes.count > expected.count)
    #expect(
      bytes.indices.contains { bytes[$0...].starts(with: expected) },
      "\(bytes.map { String($0, radix: 16) }.joined(separator: " "))")
  }

  @Test func `a table of buckets filled from its start is put in order, and no count lost`() throws
  {
    let fixture = try fixture()
    let values = (0..<40).map { pow(1.2, Double($0)) }
    for value in values { fixture.apply("size", "h", value) }
    let state = fixture.registry.state
    let control = fixture.registry.families[0].series[0].headCell + 5
    let table = control + 1...control + 201
    let words = table.map { state.value($0) }.filter { $0 != 0 }
    #expect(words.count == 40 && table.last { state.value($0) != 0 }! > control + 80)
    let expected = fixture.protobuf

    // As earlier versions had it.
    for cell in table {
      let place = cell - control - 1
      state.store(cell, place < words.count ? words[place] : 0)
    }
    state.store(control, state.value(control) & 0xff_ffff)
    #expect(fixture.protobuf == expected)
    for value in values { fixture.apply("size", "h", value) }
    #expect(fixture.value("size_bytes_count") == 80)
    #expect(table.map { state.value($0) }.filter { $0 != 0 }.count == 40)
  }

  @Test func `its count is what its buckets hold, also where they are full`() throws {
    let fixture = try fixture(#", "bucket_factor": 2, "zero_threshold": 0.25"#)
    fixture.apply("size", "h", 2, weight: 1e15)
    fixture.apply("size", "h", 0, weight: 5)
    // The bucket holds 2^43 - 1: with the zeros 2^43 + 4, in protobuf's varint.
    let expected: [UInt8] = [1 << 3, 0x84, 0x80, 0x80, 0x80, 0x80, 0x80, 2, 2 << 3 | 1]
    let bytes = fixture.protobuf
    #expect(
      bytes.indices.contains { bytes[$0...].starts(with: expected) },
      "\(bytes.map { String($0, radix: 16) }.joined(separator: " "))")
  }

  @Test func `without samples an empty span or the threshold says that it is native`() throws {
    let bytes = try fixture(#", "zero_threshold": 0"#).protobuf
    #expect(bytes.indices.contains { bytes[$0...].starts(with: [0x62, 4, 8, 0, 16, 0]) })
  }

  @Test func `resolution falls where buckets run out, and every sample stays in its bucket`() throws
  {
    let fixture = try fixture(#", "bucket_factor": 1.01, "max_buckets": 40"#)
    var dice = Dice(9)
    var values: [Double] = []
    var lastSchema = 8
    for round in 0..<4000 {
      let value = exp(Double.random(in: -1...1, using: &dice) * Double(round) / 50)
      values.append(round % 3 == 0 ? -value : value)
      fixture.apply("size", "h", values[round])
      guard round % 500 == 499 else { continue }
      let family = fixture.registry.families[0]
      let snapshot = Snapshot(fixture.registry, filter: NameFilter())
      var buckets = SortedBuckets()
      buckets.add(
        snapshot.values(snapshot.parts[0], 0), control: NativeHistogramCells.control - 1,
        capacity: NativeHistogramCells.capacity(family.options))
      buckets.sort()
      #expect(buckets.count <= 40)
      #expect(buckets.schema <= lastSchema)
      lastSchema = buckets.schema
      var counts: [Int: UInt64] = [:]
      for value in values {
        let index = ExponentialScale.index(of: value.magnitude, schema: buckets.schema)
        counts[value < 0 ? -10_000 - index : index, default: 0] += 1
      }
      for position in 0..<buckets.count {
        let bucket = buckets[position]
        let key = bucket.sign < 0 ? -10_000 - bucket.index : bucket.index
        #expect(counts.removeValue(forKey: key) == bucket.count)
      }
      #expect(counts.isEmpty)
    }
    #expect(lastSchema < 0)
  }

  @Test func `rates weigh exactly in the long run, and counts stay whole`() throws {
    let fixture = try fixture(#", "buckets": [1]"#)
    for _ in 0..<3000 { fixture.apply("size", "h", 0.5, weight: 1 / 0.3) }
    #expect(fixture.value("size_bytes_count") == 10_000)
    #expect(fixture.value(#"size_bytes_bucket{le="1.0"}"#) == 10_000)
  }

  @Test func `it survives a restart, and an uncommitted sample does not`() throws {
    let fixture = try fixture()
    for value in 1...500 { fixture.apply("size", "h", Double(value)) }
    fixture.registry.commit()
    let page = fixture.protobuf
    for value in 501...3000 { fixture.apply("size", "h", Double(value) * 1e9) }
    try fixture.reopen()
    #expect(fixture.protobuf == page)
  }
}
