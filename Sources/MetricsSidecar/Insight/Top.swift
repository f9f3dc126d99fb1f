import SidecarHTTP
import SidecarPlatform

/// `metrics-sidecar top`: which families cost the most, from two scrapes of /metrics. On a terminal
/// a screen that refreshes every two seconds; with `--once`, or into a file, one table.
final class Top {
  private let address: NetworkAddress
  private let hasColours = Terminal.hasColours
  /// `s`, `e` or `b`: the sort order of the rows.
  private var order = UInt8(ascii: "s")
  private var first = 0
  private var families: [TopFamily] = []
  private var page = ByteBuffer(capacity: 1 << 20)
  private var lookedAt: UInt64 = 0

  static func run(_ address: NetworkAddress, isOnce: Bool) -> ExitCode {
    let top = Top(address: address)
    let status = top.look()
    if status != 200 { return Client.complain("top", address, status) }
    if !isOnce, Terminal.size != nil, Terminal.beginScreen() {
      top.follow()
      Terminal.endScreen()
      return .success
    }
    Process.sleep(milliseconds: 1000)
    _ = top.look()
    top.write(rows: .max, columns: Terminal.size?.columns ?? 200, "\n")
    return .success
  }

  private init(address: NetworkAddress) { self.address = address }

  private func follow() {
    var next = Clock.monotonicNanoseconds + 1_000_000_000
    while true {
      let size = Terminal.size ?? (80, 24)
      Process.write("\u{1B}[H")
      write(rows: max(0, size.rows - 4), columns: size.columns, "\u{1B}[K\n")
      Process.write("\u{1B}[Js series  e events  b bytes  ↑↓ move  q quit")
      let now = Clock.monotonicNanoseconds
      guard
        let key = Terminal.key(withinMilliseconds: next > now ? Int((next - now) / 1_000_000) : 0)
      else { return }
      switch key {
      case UInt8(ascii: "s"), UInt8(ascii: "e"), UInt8(ascii: "b"):
        order = key
        first = 0
      case UInt8(ascii: "q"), 27: return
      case UInt8(ascii: "j"): first += 1
      case UInt8(ascii: "k"): first -= 1
      case UInt8(ascii: "J"), 32: first += size.rows - 5
      case UInt8(ascii: "K"): first -= size.rows - 5
      default: break
      }
      first = max(0, min(first, families.count - 1))
      if Clock.monotonicNanoseconds + 1_000_000 >= next {
        _ = look()
        next = Clock.monotonicNanoseconds + 2_000_000_000
      }
    }
  }

  /// Reads the exposition; returns its status.
  private func look() -> Int {
    var status = 0
    do throws(Client.Failure) {
      status = try Client.get("/metrics", at: address, timeoutMilliseconds: 10_000, into: &page)
    } catch { return 0 }
    let new = TopFamily.read(page.bytes)
    guard status == 200, !new.isEmpty else { return status == 200 ? 404 : status }
    let now = Clock.monotonicNanoseconds
    let seconds = Double(now - lookedAt) / 1e9
    for (index, family) in new.enumerated() where lookedAt > 0 {
      // Expositions have families in the same order, unless some came or went.
      var known = index
      if known >= families.count || families[known].name != family.name {
        known = 0
        while known < families.count, families[known].name != family.name { known += 1 }
      }
      let gain = family.total - (known < families.count ? families[known].total : 0)
      family.rate = (gain < 0 ? family.total : gain) / seconds
    }
    lookedAt = now
    families = new
    return status
  }

  // MARK: The table

  private func measure(_ family: TopFamily) -> Double {
    switch order {
    case UInt8(ascii: "e"): family.rate.isNaN ? 0 : family.rate
    case UInt8(ascii: "b"): Double(family.byteCount)
    default: Double(family.seriesCount)
    }
  }

  /// The value of the series whose line begins with this text.
  private func value(_ line: StaticString, _ page: RawSpan) -> Double {
    var start = 0
    while start < page.byteCount {
      let end = page.index(of: "\n", from: start)
      if page.extracting(start..<end).starts(with: line) {
        return Decimal.parse(page.extracting(start + line.utf8CodeUnitCount..<end))
      }
      start = end + 1
    }
    return .nan
  }

  private func write(rows: Int, columns: Int, _ end: StaticString) {
    var text = ByteBuffer(capacity: 16_384)
    var shown: [TopFamily] = []
    var events = Double.nan
    var refused = Double.nan
    var width = 20
    for family in families {
      if !family.isOwn {
        shown.append(family)
        width = max(width, family.name.count)
      } else if family.name == Array("metrics_sidecar_events_total".utf8) {
        events = family.rate
      } else if family.name == Array("metrics_sidecar_events_rejected_total".utf8) {
        refused = family.total
      }
    }
    width = max(20, min(width, columns - 60))
    put(value("metrics_sidecar_series ", page.bytes), &text)
    text.append(" of ")
    put(value("metrics_sidecar_series_limit ", page.bytes), &text)
    text.append(" series in ")
    put(Double(shown.count), &text)
    text.append(" families, ")
    put(events, &text)
    text.append(" events/s, ")
    put(refused, &text)
    text.append(" refused")
    text.append(end)
    if hasColours { text.append("\u{1B}[1m") }
    row(nil, width, columns, &text)
    text.append(hasColours ? "\u{1B}[0m" : "")
    text.append(end)
    var written = 0
    while !shown.isEmpty, written < first + min(rows, families.count) {
      var best = 0
      for index in shown.indices where measure(shown[index]) > measure(shown[best]) { best = index }
      let family = shown.remove(at: best)
      written += 1
      if written <= first { continue }
      let isWide = hasColours && family.widest.count >= 100
      text.append(isWide ? "\u{1B}[33m" : "")
      row(family, width, columns, &text)
      text.append(isWide ? "\u{1B}[0m" : "")
      text.append(end)
    }
    Process.write(text.bytes)
  }

  private static func head(_ cell: Int) -> StaticString {
    switch cell {
    case 0: "FAMILY"
    case 1: "TYPE"
    case 2: "SERIES"
    case 3: "EVENTS/S"
    case 4: "BYTES"
    default: "WIDEST TAG"
    }
  }

  private func put(_ family: TopFamily, _ cell: Int, _ text: inout ByteBuffer) {
    switch cell {
    case 0: text.append(family.name)
    case 1: text.append(family.type)
    case 2: put(Double(family.seriesCount), &text)
    case 3: put(family.rate, &text)
    case 4: put(Double(family.byteCount), &text)
    default:
      let widest = family.widest
      if widest.count == 0 { return text.append("-") }
      text.append(widest.name)
      text.append(" (")
      put(Double(widest.count), &text)
      text.append(widest.count == 1 ? " value)" : " values)")
    }
  }

  /// Six cells of a family, or the heads, numbers to the right, within `columns`. Cells are plain
  /// ASCII.
  @inline(never)
  private func row(
    _ family: TopFamily?, _ nameWidth: Int, _ columns: Int, _ text: inout ByteBuffer
  ) {
    let start = text.count
    for cell in 0..<6 {
      let width = cell == 0 ? nameWidth : cell == 5 ? 0 : 9
      var content = ByteBuffer(capacity: 64)
      if let family { put(family, cell, &content) } else { content.append(Self.head(cell)) }
      if cell == 0, content.count > width { content.truncate(to: width) }
      let blanks = max(0, width - content.count)
      if cell < 2 { text.append(content.bytes) }
      for _ in 0..<blanks + (cell == 0 ? 0 : 1) { text.append(UInt8(ascii: " ")) }
      if cell >= 2 { text.append(content.bytes) }
    }
    text.truncate(to: min(text.count, start + columns))
  }

  /// `1234`, `12.5`; `-` where there is no number.
  private func put(_ value: Double, _ text: inout ByteBuffer) {
    guard value >= 0, value < 1e15 else { return text.append("-") }
    let tenths = UInt64((value * 10).rounded())
    Decimal.append(tenths / 10, to: &text)
    if tenths % 10 == 0 || tenths >= 1000 { return }
    text.append(".")
    Decimal.append(tenths % 10, to: &text)
  }
}
