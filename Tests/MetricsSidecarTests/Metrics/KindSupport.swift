import SidecarPlatform

@testable import MetricsSidecar

extension Fixture {
  /// Sets the registry's clock, in milliseconds of Unix time.
  func time(_ milliseconds: UInt64) { registry.testTime = 1_800_000_000_000 + milliseconds }

  /// A member of a set.
  func see(_ name: String, _ member: String, tags: String = "") {
    let line = Array("\(name):\(member)|s\(tags.isEmpty ? "" : "|#" + tags)".utf8)
    let processor = LineProcessor(registry: registry, limits: limits)
    processor.line(line.span.bytes, .statsd)
  }

  /// Reports of one connection or session, or of none.
  func from(_ owner: UInt64, container: UInt64 = 0, _ body: () -> Void) {
    registry.owners.current = owner
    registry.owners.container = container
    body()
    registry.owners.current = 0
    registry.owners.container = 0
  }

  var protobuf: [UInt8] {
    let writer = ExpositionWriter(
      Snapshot(registry, filter: NameFilter()), shape: ExpositionShape(format: .protobuf),
      filter: NameFilter())
    var page = ByteBuffer()
    while !writer.write(into: &page, byteCount: 1 << 20) {}
    return page.array
  }
}
