/// A name, or a glob: `*` matches any text. With a separator between the parts of names, `*`
/// matches text within one part, and `**` any text.
///
/// What must stay true: matching takes at most the product of both lengths in steps, whatever the
/// pattern: of all stars before the last `**`, none is tried again.
package struct Pattern: Equatable, Sendable {
  private static let star = UInt8(ascii: "*")

  /// As written.
  private let bytes: [UInt8]
  /// The byte that `*` does not match; 0 if it matches everything.
  private let separator: UInt8
  /// The number of captures of a match.
  package let starCount: Int
  /// The bytes before the first star, and after the last.
  package let prefixCount: Int
  package let suffixCount: Int

  package init(_ text: String, separator: UInt8 = 0) {
    bytes = Array(text.utf8)
    self.separator = separator
    let stars = bytes.indices.filter { [bytes] in bytes[$0] == Self.star }
    var count = 0
    var end = -1
    // `**` is one star, and so is `***`.
    for index in stars {
      if index != end { count += 1 }
      end = index + 1
    }
    starCount = count
    prefixCount = stars.first ?? bytes.count
    suffixCount = stars.isEmpty ? 0 : bytes.count - end
  }

  package var isExact: Bool { starCount == 0 }
  package var prefix: ArraySlice<UInt8> { bytes[..<prefixCount] }
  package var suffix: ArraySlice<UInt8> { bytes[(bytes.count - suffixCount)...] }

  /// The steps that all rules together may take for one event, some 30 ms of work: three
  /// quarters of what the largest expression can take for a name of the default limit.
  package static let workLimit = 2_000_000

  package func matches(_ text: ArraySlice<UInt8>) -> Bool { captures(text) != nil }

  package func captures(_ text: ArraySlice<UInt8>) -> [ArraySlice<UInt8>]? {
    var work = 0
    return captures(text, &work)
  }

  /// What each star stands for, the first as little as it can; `nil` where the pattern does not
  /// match, or where `work`, to which each step adds some, is above `workLimit` now.
  package func captures(
    _ text: ArraySlice<UInt8>, _ work: inout Int
  ) -> [ArraySlice<UInt8>]? {
    work += 8 + prefixCount
    guard text.count >= prefixCount + suffixCount, text.starts(with: prefix) else { return nil }
    if isExact { return text.count == prefixCount ? [] : nil }
    guard text.suffix(suffixCount).elementsEqual(suffix) else { return nil }
    var captures: [Range<Int>] = []
    var bounded = Place()
    var free = Place()
    var at = 0
    var index = text.startIndex
    while at < bytes.count || index < text.endIndex {
      work += 2
      if work > Self.workLimit { return nil }
      if at < bytes.count, bytes[at] == Self.star {
        let start = at
        while at < bytes.count, bytes[at] == Self.star { at += 1 }
        captures.append(index..<index)
        let place = Place(pattern: at, text: index, captureCount: captures.count)
        if separator == 0 || at - start > 1 {
          free = place
          bounded = Place()
        } else {
          bounded = place
        }
      } else if at < bytes.count, index < text.endIndex, bytes[at] == text[index] {
        at += 1
        index += 1
      } else if bounded.captureCount > 0, bounded.text < text.endIndex,
        text[bounded.text] != separator
      {
        bounded.takeMore(&captures, &at, &index)
      } else if free.captureCount > 0, free.text < text.endIndex {
        bounded = Place()
        free.takeMore(&captures, &at, &index)
      } else {
        return nil
      }
    }
    return captures.map { text[$0] }
  }

  /// After a star, where it can match one more byte.
  private struct Place {
    var pattern = 0
    var text = 0
    /// Up to this star's offset; 0 for none.
    var captureCount = 0

    mutating func takeMore(_ captures: inout [Range<Int>], _ at: inout Int, _ index: inout Int) {
      text += 1
      captures.removeLast(captures.count - captureCount)
      captures[captureCount - 1] = captures[captureCount - 1].lowerBound..<text
      at = pattern
      index = text
    }
  }
}
