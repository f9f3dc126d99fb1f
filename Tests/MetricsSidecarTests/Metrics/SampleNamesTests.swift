import Testing

@testable import MetricsSidecar

@Suite struct SampleNamesTests {
  private typealias Types = [String: FamilyType]

  private func clash(
    _ name: String, _ type: FamilyType, _ types: Types, isPushed: Bool = false
  ) -> String? {
    let find = { (name: [UInt8]) in types[String(decoding: name, as: UTF8.self)] }
    let found =
      isPushed
      ? SampleNames.pushedClash(Array(name.utf8), type, find)
      : SampleNames.clash(Array(name.utf8), type, find)
    return found.map { String(decoding: $0, as: UTF8.self) }
  }

  @Test(arguments: [
    ("a_count", FamilyType.gauge, "a", FamilyType.histogram, true, true),
    ("a_bucket", .counter, "a", .histogram, true, true),
    ("a_bucket", .counter, "a", .summary, true, false),
    ("a_created", .gauge, "a", .summary, true, false),
    ("a_count", .gauge, "a", .counter, false, false),
    ("a", .histogram, "a_sum", .gauge, true, true),
    ("a", .summary, "a_bucket", .gauge, true, false),
    ("a", .counter, "a_sum", .gauge, false, false),
    ("_sum", .gauge, "", .histogram, false, false),
    ("a_total", .counter, "a", .histogram, false, false),
  ])
  func `a family clashes with one of which it is called a sample`(
    _ name: String, _ type: FamilyType, _ other: String, _ otherType: FamilyType,
    _ isClash: Bool, _ isPushedClash: Bool
  ) {
    #expect(clash(name, type, [other: otherType]) == (isClash ? other : nil))
    #expect(
      clash(name, type, [other: otherType], isPushed: true) == (isPushedClash ? other : nil))
  }

  @Test(
    arguments: [
      ("a_total", "", "a"), ("a", "", nil), ("_total", "", nil), ("a_total", "a", nil),
      ("a_total", "a_created", nil), ("a_created_total", "a_total", nil),
      ("h_count_total", "h", nil), ("h_other_total", "h", "h_other"),
    ] as [(String, String, String?)])
  func `OpenMetrics has a short name for a counter where no other family takes it`(
    _ name: String, _ other: String, _ short: String?
  ) {
    let isOther = { (name: [UInt8]) in other == String(decoding: name, as: UTF8.self) }
    let found = SampleNames.short(Array(name.utf8), isFamily: isOther, hasSamples: isOther)
    #expect(found.map { String(decoding: $0, as: UTF8.self) } == short)
  }

  @Test func `a name means its own family and those that have such a sample`() {
    func meant(_ name: String) -> Set<String> {
      Set(
        SampleNames.families(meantBy: Array(name.utf8)).map { String(decoding: $0, as: UTF8.self) })
    }
    #expect(meant("a") == ["a", "a_total"])
    #expect(meant("a_total") == ["a_total", "a_total_total", "a"])
    #expect(meant("h_bucket") == ["h_bucket", "h_bucket_total", "h"])
    #expect(meant("c_created") == ["c_created", "c_created_total", "c", "c_total"])
  }
}
