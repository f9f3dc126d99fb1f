import SidecarPlatform

/// What follows the families of events on a page, some bytes a call: what the sidecar says of itself,
/// with pushed series of its own families among it, and what else was pushed.
final class PageTail {
  private let snapshot: Snapshot
  /// `nil` where the lines are written as they are.
  private let families: TextFamilies?
  private let filter: NameFilter
  /// Lines that `families` has not told again yet.
  private var lines = ByteBuffer(capacity: 16)
  /// How far the sidecar's own text is, and which cut in it comes next.
  private var at = 0
  private var cut = 0
  /// The next pushed name.
  private var name = 0

  init(_ snapshot: Snapshot, _ shape: PageShape, _ filter: NameFilter, _ names: NameWriter?) {
    self.snapshot = snapshot
    self.filter = filter
    families =
      shape.format == .text004 && filter.names.isEmpty
      ? nil : TextFamilies(shape.format, filter, others: snapshot.familyNames, names: names)
  }

  /// The family being written, in protobuf.
  var frame: FamilyFrame { families?.frame ?? FamilyFrame() }

  func taken(_ byteCount: Int) { families?.taken(byteCount) }

  /// Appends lines until the page has about `end` bytes; whether that is all.
  func write(to page: inout ByteBuffer, end: Int) -> Bool {
    guard let families else { return writeLines(to: &page, end: end) }
    // Written twice, half as much is a slice.
    let isComplete = writeLines(to: &lines, end: max(1, (end - page.count) / 2))
    families.beginSlice()
    families.append(lines.bytes, to: &page)
    lines.removeAll()
    if isComplete { families.endFamily(&page) }
    return isComplete
  }

  private func writeLines(to lines: inout ByteBuffer, end: Int) -> Bool {
    let own = snapshot.selfText
    guard let pushed = snapshot.pushed else {
      lines.append(own)
      return true
    }
    while cut < pushed.cuts.count {
      let next = pushed.cuts[cut]
      unsafe lines.append(own.span.bytes.extracting(at..<next.at))
      at = next.at
      if next.name < 0 {
        pushed.hidden.append(to: &lines)
      } else if !pushed.text.write(next.name, hasHead: false, to: &lines, end: end) {
        return false
      }
      cut += 1
    }
    unsafe lines.append(own.span.bytes.extracting(at..<own.count))
    at = own.count
    // Names that are not on the page cost time, too.
    var left = 4096
    while name < pushed.text.nameCount {
      if lines.count >= end || left == 0 { return false }
      left -= 1
      if pushed.isShown(name), filter.includes(pushed.text.text(of: name)),
        !pushed.text.write(name, hasHead: true, to: &lines, end: end)
      {
        return false
      }
      name += 1
    }
    return pushed.text.writeTimes(to: &lines, end: end)
  }
}
