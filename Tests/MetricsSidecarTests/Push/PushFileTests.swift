import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct PushFileTests {
  private func open(_ path: String) throws -> PushFile {
    try PushFile(try MappedFile(path: path, limit: 64 << 20))
  }

  private func text(_ file: PushFile, _ key: String) -> String {
    String(copying: file.group(ByteKey(Array(key.utf8))))
  }

  private func replace(_ file: PushFile, _ key: String, _ text: String) throws {
    var group = ByteBuffer()
    group.append(text)
    try file.replace(ByteKey(Array(key.utf8)), with: group)
  }

  @Test func `killed after any store, a group is as it was or as it is`() throws {
    let path = NSTemporaryDirectory() + "push-\(UUID().uuidString.prefix(8))"
    let copy = path + "-copy"
    defer {
      try? FileManager.default.removeItem(atPath: path)
      try? FileManager.default.removeItem(atPath: copy)
    }
    let file = try open(path)
    var expected: [String: [String]] = [:]
    var checks = 0
    file.afterStore = {
      checks += 1
      guard checks % 7 == 0 || checks < 50 else { return }
      try? FileManager.default.removeItem(atPath: copy)
      try? FileManager.default.copyItem(atPath: path, toPath: copy)
      guard let again = try? self.open(copy) else {
        Issue.record("not opened after store \(checks)")
        return
      }
      for (key, texts) in expected {
        #expect(texts.contains(self.text(again, key)), "store \(checks), \(key)")
      }
    }
    for round in 0..<400 {
      let key = "k\(round % 5)"
      let before = expected[key]?.last ?? ""
      if round % 17 == 16 {
        expected[key] = [before, ""]
        file.remove(ByteKey(Array(key.utf8)))
        expected[key] = [""]
      } else {
        let now = String(repeating: "\(round),", count: 1 + round * 37 % 2000)
        expected[key] = [before, now]
        try replace(file, key, now)
        expected[key] = [now]
      }
      for (key, texts) in expected { #expect(text(file, key) == texts[0]) }
    }
    #expect(checks > 800)
  }

  @Test func `a file does not grow without end`() throws {
    let path = NSTemporaryDirectory() + "push-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = try open(path)
    for round in 0..<20_000 {
      try replace(file, "k\(round % 10)", String(repeating: "x", count: 999))
    }
    let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    #expect(size < 1 << 20)
  }

  @Test func `groups move to another region beside pushes, and none is lost`() throws {
    let path = NSTemporaryDirectory() + "push-\(UUID().uuidString.prefix(8))"
    let copy = path + "-copy"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = try open(path)
    var expected: [String: String] = [:]
    var moves: Set<UInt32> = []
    var partlyMoved = 0
    for round in 0..<6000 {
      let key = "k\(round * 7 % 400)"
      if round % 23 == 22 {
        file.remove(ByteKey(Array(key.utf8)))
        expected[key] = nil
      } else {
        expected[key] = String(repeating: "\(round),", count: 1 + round * 37 % 200)
        try replace(file, key, expected[key]!)
      }
      if let move = file.move {
        moves.insert(file.moveCount)
        if move.next < move.last { partlyMoved += 1 }
      }
      // Killed now, in the midst of a move too.
      guard round % 500 == 499 || file.move != nil && round % 7 == 0 else { continue }
      try FileManager.default.copyItem(atPath: path, toPath: copy)
      defer { try? FileManager.default.removeItem(atPath: copy) }
      let again = try open(copy)
      #expect(again.keys.count == expected.count && file.keys.count == expected.count)
      let isWhole = expected.allSatisfy { self.text(file, $0) == $1 && self.text(again, $0) == $1 }
      #expect(isWhole, "round \(round)")
    }
    #expect(moves.count > 5 && partlyMoved > 5, "\(moves.count) moves, \(partlyMoved) in parts")
  }

  @Test func `damage anywhere in use is found`() throws {
    let path = NSTemporaryDirectory() + "push-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    do {
      let file = try open(path)
      for round in 0..<5 { try replace(file, "key\(round)", "value \(round)") }
    }
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    for at in [0, 9, 64, 68, 72, 76, 83, 4096, 4100, 4104, 4108, 4113, 4118, 4200] {
      var bent = whole
      bent[at] ^= 0x41
      try bent.write(to: URL(fileURLWithPath: path))
      #expect(throws: PushFile.Failure.self, "byte \(at)") { try open(path) }
    }
    try whole.write(to: URL(fileURLWithPath: path))
    #expect(text(try open(path), "key3") == "value 3")
  }

  @Test(arguments: [0..<4096, 0..<8, 0..<(1 << 19)])
  func `zeros where it had something are damage, and no new file`(_ range: Range<Int>) throws {
    let path = NSTemporaryDirectory() + "push-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    do { try replace(try open(path), "key", "value") }
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    let zeros = range.clamped(to: 0..<bytes.count)
    bytes.replaceSubrange(zeros, with: Data(count: zeros.count))
    try bytes.write(to: URL(fileURLWithPath: path))
    #expect(throws: PushFile.Failure.self) { try open(path) }
  }

  @Test func `a file that was left half made, without its name, is made`() throws {
    let path = NSTemporaryDirectory() + "push-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    do { _ = try open(path) }
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes.replaceSubrange(0..<8, with: Data(count: 8))
    try bytes.write(to: URL(fileURLWithPath: path))
    #expect(try open(path).keys.isEmpty)
  }

  @Test func `a lower limit keeps all groups, and the file does not grow`() throws {
    let path = NSTemporaryDirectory() + "push-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    do {
      let file = try open(path)
      for round in 0..<20 { try replace(file, "k\(round)", String(repeating: "x", count: 99_999)) }
    }
    let size = try Data(contentsOf: URL(fileURLWithPath: path)).count
    let file = try PushFile(try MappedFile(path: path, limit: 1 << 20))
    #expect(file.keys.count == 20)
    var refused = 0
    for round in 0..<50 {
      do { try replace(file, "new\(round)", String(repeating: "x", count: 99_999)) } catch {
        refused += 1
      }
    }
    #expect(refused > 20)
    #expect(text(file, "k7").utf8.count == 99_999)
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count == size)
  }

  @Test func `a file that cannot grow takes small groups again and again`() throws {
    let path = NSTemporaryDirectory() + "push-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    // Two of the smallest regions, and not a page more.
    let limit = 4096 + 2 * (256 << 10)
    let open = { try PushFile(try MappedFile(path: path, limit: limit)) }
    for start in stride(from: 0, to: 3000, by: 500) {
      let file = try open()
      for round in start..<start + 500 {
        try replace(file, "k\(round % 3)", String(repeating: "\(round % 10)", count: 30_000))
      }
    }
    let file = try open()
    // More than fits beside them is refused, and they go on.
    #expect(throws: Errno.self) { try replace(file, "big", String(repeating: "x", count: 200_000)) }
    try replace(file, "k1", "small")
    #expect(text(file, "k1") == "small")
    #expect(text(file, "k2") == String(repeating: "9", count: 30_000))
    // The limit is no trouble of the disk.
    #expect(file.retryGrowth() == nil)
  }

  @Test func `a full file refuses and keeps what it has`() throws {
    let path = NSTemporaryDirectory() + "push-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = try PushFile(try MappedFile(path: path, limit: 512 << 10))
    try replace(file, "a", "kept")
    #expect(throws: Errno.self) { try replace(file, "b", String(repeating: "x", count: 400 << 10)) }
    #expect(text(file, "a") == "kept")
    try replace(file, "a", "new")
    #expect(text(file, "a") == "new")
  }
}
