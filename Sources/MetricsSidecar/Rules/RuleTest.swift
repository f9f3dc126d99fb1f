import SidecarEvents
import SidecarPlatform
import SidecarRules

/// `check-rules --test FILE`: lines, and the exposition after them, case by case.
///
///     == Mail that was sent
///     jobs.done:2|c|#queue:mail
///     jobs.nothing
///     --
///     jobs_done_total{queue="mail"} 2.0
///     ! no_value jobs.nothing
///
/// Each case goes through the sidecar's own intake, registry and writer, in memory. It lists all
/// lines that changed, and refused lines with their reason; it may list unchanged lines. `...`
/// allows more changes.
struct RuleTest: ~Copyable {
  private let path: String
  private let rules: Rules
  /// The differences, for people; empty if there are none.
  private(set) var told = ByteBuffer(capacity: 1024)
  private(set) var caseCount = 0
  // The current case.
  private var name: [UInt8] = []
  private var sent: [[UInt8]] = []
  private var expected: [[UInt8]] = []
  /// The line number of each of `expected`.
  private var places: [Int] = []
  /// The line number of its `--`; 0 before that.
  private var mark = 0

  /// Runs all cases of `text`, the content of the file at `path`.
  init(_ text: RawSpan, _ path: String, _ rules: Rules) throws(RuleLoading.Failure) {
    self.path = path
    self.rules = rules
    for (index, line) in Self.lines(text).enumerated() {
      unsafe try take(line, line.span.bytes, index + 1)
    }
    try finish()
    if caseCount == 0 { tell(0, [], expected: "a case: lines, --, and the page") }
  }

  /// Without trailing blanks, CR and LF.
  private static func lines(_ text: RawSpan) -> [[UInt8]] {
    var lines: [[UInt8]] = []
    var start = 0
    while start < text.byteCount {
      let next = text.index(of: "\n", from: start)
      var end = next
      while end > start, text.at(end - 1) == 13 || text.at(end - 1) == 32 { end -= 1 }
      lines.append(SeriesKey.array(text.extracting(start..<end)))
      start = next + 1
    }
    return lines
  }

  private mutating func take(
    _ line: [UInt8], _ text: RawSpan, _ number: Int
  ) throws(RuleLoading.Failure) {
    if text.starts(with: "==") {
      try finish()
      name = SeriesKey.array(text.extracting(2...))
    } else if mark == 0, text.starts(with: "--") {
      mark = number
    } else if line.isEmpty
      || line[0] == UInt8(ascii: "#") && !text.starts(with: "# TYPE ")
        && !text.starts(with: "# HELP ")
    {
      return
    } else if mark > 0 {
      expected.append(line)
      places.append(number)
    } else {
      sent.append(line)
    }
  }

  /// Evaluates the case that ends here.
  private mutating func finish() throws(RuleLoading.Failure) {
    if mark > 0 || !sent.isEmpty {
      caseCount += 1
      try run()
    }
    sent = []
    expected = []
    places = []
    mark = 0
  }

  private mutating func run() throws(RuleLoading.Failure) {
    let processor = try makeProcessor()
    let before = Self.page(processor)
    var changed: [[UInt8]] = []
    for line in sent {
      let count = processor.refusals.count
      unsafe processor.lines(line.span.bytes, from: 0, .statsd)
      processor.registry.commit()
      if processor.refusals.count == count { continue }
      processor.refusals.with(age: 0) { entry, _ in
        var note = ByteBuffer(capacity: 256)
        note.append(RefusalWords.isCounted(entry.reason) ? "? " : "! ")
        note.append(entry.reason)
        note.append(" ")
        note.append(line)
        changed.append(note.array)
      }
    }
    let page = Self.page(processor)
    // Unchanged lines have the same order.
    var next = 0
    for line in page {
      var at = next
      while at < before.count, before[at] != line { at += 1 }
      if at < before.count {
        next = at + 1
      } else if line[0] != UInt8(ascii: "#") {
        changed.append(line)
      }
    }
    compare(&changed, page)
  }

  private func makeProcessor() throws(RuleLoading.Failure) -> LineProcessor {
    let limits = Limits()
    do throws(MappedFile.Failure) {
      let file = try MappedFile(inMemory: limits.stateByteCount)
      do throws(StateFile.OpenFailure) {
        let registry = Registry(state: try StateFile(file), rules: rules, limits: limits)
        return LineProcessor(registry: registry, limits: limits)
      } catch {}
    } catch {}
    throw RuleLoading.Failure("no memory for a case")
  }

  private static func page(_ processor: LineProcessor) -> [[UInt8]] {
    var page = ByteBuffer(capacity: 4096)
    ExpositionWriter.append(processor.registry, to: &page)
    return lines(page.bytes)
  }

  // MARK: Differences

  private mutating func compare(_ changed: inout [[UInt8]], _ page: [[UInt8]]) {
    var isOpenEnded = false
    for (index, line) in expected.enumerated() {
      if unsafe line.span.bytes.isEqual(to: "...") {
        isOpenEnded = true
      } else if Self.take(from: &changed, where: { $0 == line }) == nil, !page.contains(line) {
        let other = Self.take(from: &changed) { Self.isSameSeries($0, line) }
        tell(places[index], other ?? Array("no such line".utf8), expected: "", line)
      }
    }
    if mark == 0 { tell(0, [], expected: "a line -- and what the page has then") }
    for line in changed where !isOpenEnded { tell(mark, line, expected: "no such line, or ...") }
  }

  private static func take(
    from lines: inout [[UInt8]], where isMeant: ([UInt8]) -> Bool
  ) -> [UInt8]? {
    for index in lines.indices where isMeant(lines[index]) { return lines.remove(at: index) }
    return nil
  }

  /// Whether two samples differ only in their value. Refused lines never match.
  private static func isSameSeries(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    var end = a.count
    while end > 2, a[end - 1] != 32 { end -= 1 }
    if end == 2 || end > b.count { return false }
    for index in 0..<b.count where index < end ? a[index] != b[index] : b[index] == 32 {
      return false
    }
    return true
  }

  private mutating func tell(
    _ line: Int, _ actual: [UInt8], expected: StaticString, _ text: [UInt8] = []
  ) {
    told.append(line > 0 ? joined(path, ": line ", line.description, ":") : joined(path, ":"))
    told.append(name)
    told.append("\n  expected  ")
    told.append(expected)
    told.append(text)
    if !actual.isEmpty {
      told.append("\n  actual    ")
      told.append(actual)
    }
    told.append("\n")
  }
}

extension RuleLoading {
  /// `check-rules`: reports every mistake, one per line, or the number of rules; then the
  /// differences in the cases of `test`, if there is one.
  static func check(_ path: String, test: String) -> ExitCode {
    do throws(Failure) {
      var text = ByteBuffer()
      try read(path, "rules", into: &text)
      let rules = try parse(text.array, path)
      Process.write(
        joined(
          path, ": good; families: ", rules.families.count.description, ", events: ",
          rules.rules.count.description, "\n"))
      if test.isEmpty { return .success }
      text.removeAll()
      try read(test, "test", into: &text)
      let result = try RuleTest(text.bytes, test, rules)
      Process.write(result.told.bytes, to: 2)
      if !result.told.isEmpty { return .failure }
      Process.write(joined(test, ": good; cases: ", result.caseCount.description, "\n"))
      return .success
    } catch {
      Process.write(error.lines, to: 2)
      return .failure
    }
  }
}
