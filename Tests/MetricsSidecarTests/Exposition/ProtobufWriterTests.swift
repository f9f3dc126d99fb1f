import SidecarFuzzSupport
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct ProtobufWriterTests {
  /// Counters and gauges whose labels have all lengths, and values of all bytes.
  private func filled(_ seed: UInt64) throws -> Fixture {
    let fixture = try Fixture()
    var dice = Dice(seed)
    for _ in 0..<60 {
      let tags = (0..<Int.random(in: 0..<5, using: &dice)).map { number in
        let length = Int.random(in: 0...Int.random(in: 1...150, using: &dice), using: &dice)
        let text = String((0..<length).map { _ in "ab\"\\ü=}{".randomElement(using: &dice)! })
        return "k\(number):\(text)"
      }
      fixture.apply(
        ["c", "g"].randomElement(using: &dice)!, "c", 3, tags: tags.joined(separator: ","))
      fixture.apply("level", "g", 0.5, tags: tags.joined(separator: ","))
    }
    fixture.registry.commit()
    return fixture
  }

  @Test(arguments: 1...20) func `a number written at once is the one written field by field`(
    _ seed: UInt64
  ) throws {
    let fixture = try filled(seed)
    let snapshot = Snapshot(fixture.registry, filter: NameFilter())
    for part in snapshot.parts {
      let head = FamilyHead(part.family.name, FamilyType(part.family.kind), help: [])
      let layout = ProtobufNumber(head.name.count, field: head.type == .counter ? 3 : 2)
      for record in part.series {
        var fast = ByteBuffer()
        var fields = ByteBuffer()
        let state = snapshot.state
        guard layout.append(state.key(record), 3, 0, to: &fast) else { continue }
        let writer = ProtobufWriter(nil)
        writer.take(head)
        writer.number(Labels.inside(state.key(record), head.name.count), 3, to: &fields)
        #expect(fast.array == fields.array)
        #expect(layout.byteCount(state.key(record), 0) == fast.count)
      }
    }
  }

  @Test(arguments: 1...20) func `a family's length is that of its bytes, in any slices`(
    _ seed: UInt64
  ) throws {
    let fixture = try filled(seed)
    for slice in [1, 700, 1 << 20] {
      let writer = ExpositionWriter(
        Snapshot(fixture.registry, filter: NameFilter()), shape: ExpositionShape(format: .protobuf),
        filter: NameFilter())
      var page = ByteBuffer()
      while !writer.write(into: &page, byteCount: slice) {}
      var at = 0
      var count = 0
      while at < page.count {
        var length = 0
        for index in 0..<5 { length |= Int(page.bytes.at(at + index) & 0x7f) << (7 * index) }
        at += 5 + length
        count += 1
      }
      #expect(at == page.count && count == 3)
    }
  }

  @Test func `exemplars that change while a family is written leave its length true`() throws {
    let fixture = try Fixture(
      rules: #"""
        {"families": [
          {"name": "jobs_total", "type": "counter", "labels": ["queue"], "exemplar": "trace_id",
           "events": [{"event": "jobs"}]}]}
        """#)
    for number in 0..<50 {
      fixture.apply("jobs", "c", 1, tags: "queue:q\(number),trace_id:t\(number)")
    }
    func page(_ slice: Int, between: () -> Void) -> [UInt8] {
      let writer = ExpositionWriter(
        Snapshot(fixture.registry, filter: NameFilter()), shape: ExpositionShape(format: .protobuf),
        filter: NameFilter())
      var page = ByteBuffer()
      while !writer.write(into: &page, byteCount: slice) { between() }
      return page.array
    }
    let whole = page(1 << 20) {}
    var number = 0
    // What changes before the family is measured is shown, and only then.
    let during = page(1) {
      number += 1
      if number < 60 { return }
      fixture.apply("jobs", "c", 0, tags: "queue:q\(number % 50),trace_id:longer-\(number)")
    }
    #expect(during == whole)
  }
}
