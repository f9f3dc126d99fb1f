import Foundation
import SidecarPlatform
import SidecarRules
import Testing

@testable import MetricsSidecar

@Suite struct OwnMetricTests {
  private func families(_ change: (inout SelfMetrics) -> Void = { _ in }) throws -> [String] {
    let fixture = try Fixture()
    var own = SelfMetrics()
    change(&own)
    let processor = LineProcessor(registry: fixture.registry, limits: Limits())
    return OwnMetric.families(OwnMoment(own, processor, nil)).map {
      String(decoding: $0.name, as: UTF8.self)
    }
  }

  @Test func `docs list the table as it is`() throws {
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let docs = try String(
      contentsOf: root.appendingPathComponent("docs/exposition.md"), encoding: .utf8)
    let rows = OwnMetric.table.map { "| `\($0.name)` | \($0.type.text) | \($0.help) |\n" }
    #expect(docs.contains("| | | |\n|---|---|---|\n" + rows.joined() + "\n"))
  }

  @Test func `each name is there once, reserved, and as Prometheus wants its type`() {
    var names: Set<String> = []
    for row in OwnMetric.table {
      #expect(names.insert(row.name.description).inserted)
      #expect(Names.isReserved(row.name.bytes))
      #expect((row.type == .counter) == row.name.description.hasSuffix("_total"))
    }
  }

  @Test func `a metric is shown where there is what it tells of`() throws {
    let plain = try families()
    #expect(!plain.contains { $0.contains("push") || $0.contains("udp") || $0.contains("worker") })
    #expect(plain.contains("metrics_sidecar_overflowing_family"))
    let more = try families {
      $0.isOpen[IntakeCounts.Source.udp.rawValue] = true
      $0.supervision = (1, 2, 3)
    }
    #expect(
      Set(more).subtracting(plain) == [
        "metrics_sidecar_udp_drops_total", "metrics_sidecar_worker_restarts_total",
        "metrics_sidecar_datagrams_recovered_total", "metrics_sidecar_datagrams_lost_total",
      ])
  }

  @Test func `programs push series of a process's families with their types alone`() throws {
    let registry = try Fixture().registry!
    #expect(registry.type(of: Array("process_open_fds".utf8)) == .gauge)
    #expect(registry.type(of: Array("process_cpu_seconds_total".utf8)) == .counter)
    #expect(registry.type(of: Array("process_other".utf8)) == nil)
    #expect(registry.type(of: Array("metrics_sidecar_series".utf8)) == nil)
  }
}
