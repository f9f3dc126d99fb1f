import SidecarPlatform

/// The families of a rules file by name, and its scales, while it is parsed.
struct FamilyIndex {
  private var scales = Scales()
  /// Steps that the regular expressions of the file may still take.
  var regexSteps = 100_000
  private var places: [[UInt8]: Int] = [:]
  /// Those whose lines are `…_sum`, `…_count` and such.
  private var withSuffixes: [[UInt8]: Int] = [:]

  /// Whether another scale fits: beyond the limit values would not be scaled.
  mutating func hasRoom(forScale scale: Double) -> Bool {
    scale == 1 || scales.number(of: scale) > 0
  }

  /// Gives a further entry of a name, which will be at `place`, the number of its form, or the
  /// earlier entry that has the same; `false` if the name has too many forms.
  mutating func number(_ family: inout FamilyRule, at place: Int) -> Bool {
    let name = Array(family.name.utf8) + [0]
    let text = family.formText
    family.sameAs = places[name + text]
    if family.sameAs != nil { return true }
    var form = unsafe Digest.checksum(text.span.bytes) % 255 + 1
    for _ in 0..<Self.formLimit {
      let number = name + [UInt8(form)]
      if places[number] == nil {
        places[number] = place
        places[name + text] = place
        family.form = UInt8(form)
        return true
      }
      form = form % 255 + 1
    }
    return false
  }

  static let formLimit = 200

  /// The index of a family's first entry.
  func first(_ name: [UInt8]) -> Int? { places[name] }

  mutating func insert(_ family: FamilyRule, at place: Int) {
    guard !family.name.isEmpty else { return }
    places[Array(family.name.utf8)] = place
    if family.kind?.hasSuffixes == true { withSuffixes[Array(family.name.utf8)] = place }
  }

  /// A family's name must not be the name of another family's line: Prometheus would refuse a whole
  /// scrape with both. Returns both names if this family clashes with another.
  func clash(of family: FamilyRule) -> (name: String, family: String)? {
    let name = Array(family.name.utf8)
    let other = SampleNames.clash(name, family.kind.map(FamilyType.init(_:)) ?? .untyped) { other in
      withSuffixes[other] != nil ? .histogram : places[other] != nil ? .untyped : nil
    }
    guard let other else { return nil }
    let otherName = String(decoding: other, as: UTF8.self)
    return other.count > name.count ? (otherName, family.name) : (family.name, otherName)
  }
}
