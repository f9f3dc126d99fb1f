import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct BootMarkTests {
  private static let first = BootIdentity(high: 1, low: 2)
  private static let second = BootIdentity(high: 1, low: 3)

  /// A file that is written under one boot, ends in some way, and is opened under another.
  struct Life: CustomTestStringConvertible {
    let written: BootIdentity
    let opened: BootIdentity
    let endsInOrder: Bool
    let isTrusted: Bool
    var testDescription: String {
      "\(written.low), \(endsInOrder ? "ended" : "killed"), \(opened.low)"
    }
  }

  private static let lives = [
    Life(written: first, opened: first, endsInOrder: false, isTrusted: true),
    Life(written: first, opened: second, endsInOrder: false, isTrusted: false),
    Life(written: first, opened: second, endsInOrder: true, isTrusted: true),
    Life(written: .unknown, opened: second, endsInOrder: false, isTrusted: true),
    Life(written: first, opened: .unknown, endsInOrder: false, isTrusted: true),
  ]

  private func path() -> String { NSTemporaryDirectory() + "boot-\(UUID().uuidString.prefix(8))" }

  @Test(arguments: lives)
  func `a state file of another start of the machine is trusted if its owner ended in order`(
    _ life: Life
  ) throws {
    let path = path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    func open(_ boot: BootIdentity) throws -> Registry {
      let state = try StateFile(try MappedFile(path: path, limit: 1 << 20), boot: boot)
      return Registry(state: state, rules: Rules(), limits: Limits())
    }
    do {
      let registry = try open(life.written)
      let name = Array("a".utf8)
      let tags: [UInt8] = []
      let event = Event(
        name: name.span.bytes, .counter, tags: tags.span.bytes, .lines, EventValue(number: 1))
      _ = registry.apply(event) { EventDescription(line: $0, .all) }
      registry.commit()
      if life.endsInOrder { registry.state.endInOrder() }
    }
    var again = try? open(life.opened)
    #expect((again != nil) == life.isTrusted)
    #expect(again.map { $0.seriesCount } == (life.isTrusted ? 1 : nil))
    again = nil
    guard life.isTrusted, life.opened != .unknown else { return }
    // It is in use now: a process killed under this boot leaves no trusted file to the next one.
    #expect(throws: StateFile.OpenFailure.self) { try open(BootIdentity(high: 9, low: 9)) }
  }

  @Test func `a change after the end in order takes the mark away`() throws {
    let path = path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    do {
      let state = try StateFile(
        try MappedFile(path: path, limit: 1 << 20), boot: Self.first)
      state.endInOrder()
      state.store(StateFile.usedCell, state.value(StateFile.usedCell))
      state.commit()
    }
    #expect(throws: StateFile.OpenFailure.self) {
      try StateFile(try MappedFile(path: path, limit: 1 << 20), boot: Self.second)
    }
  }

  @Test(arguments: lives)
  func `so is a file of pushed groups`(_ life: Life) throws {
    let path = path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    func open(_ boot: BootIdentity) throws -> PushFile {
      try PushFile(try MappedFile(path: path, limit: 1 << 20), boot: boot)
    }
    do {
      let file = try open(life.written)
      var group = ByteBuffer()
      group.append("text")
      try file.replace(ByteKey([1]), with: group)
      if life.endsInOrder { file.endInOrder() }
    }
    let again = try? open(life.opened)
    #expect((again != nil) == life.isTrusted)
    #expect(again.map { $0.keys.count } == (life.isTrusted ? 1 : nil))
  }
}
