import CSidecarCanary
import Foundation
import Testing

@testable import SidecarFuzzSupport

/// Whether the build has the sanitizers, as `make fuzz` says.
private let isSanitized = ProcessInfo.processInfo.environment["FUZZ_SANITIZED"] != nil

@Suite struct CanaryTests {
  @Test(.enabled(if: isSanitized))
  func `undefined arithmetic in C ends the process`() async {
    await #expect(processExitsWith: .signal(SIGILL)) { _ = canary_overflow(1) }
  }

  @Test(.enabled(if: isSanitized))
  func `a read beyond an allocation ends the process`() async {
    await #expect(processExitsWith: .failure) { _ = canary_read_beyond(16) }
  }

  @Test(.enabled(if: isSanitized))
  func `a number too large in Swift ends the process`() async {
    await #expect(processExitsWith: .failure) {
      var number = Int32.max
      for _ in 0..<ProcessInfo.processInfo.arguments.count { number += 1 }
      print(number)
    }
  }

  @Test func `the same seed bends the same way`() {
    let fuzzer = Fuzzer("accept")
    var (first, second) = (Dice(7), Dice(7))
    for _ in 0..<100 { #expect(fuzzer.bent(&first) == fuzzer.bent(&second)) }
  }

  @Test func `every folder of the corpus is read by a suite`() throws {
    let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let files = FileManager.default
    let parsers = try files.contentsOfDirectory(atPath: tests.appending(path: "Corpus").path())
    var sources = ""
    for case let path as String in try #require(files.enumerator(atPath: tests.path()))
    where path.hasSuffix("Tests.swift") {
      sources += try String(contentsOf: tests.appending(path: path), encoding: .utf8)
    }
    var inputCount = 0
    for parser in parsers {
      #expect(sources.contains("\"\(parser)\""), "nobody reads Tests/Corpus/\(parser)")
      inputCount += Corpus(parser).inputs.count
    }
    #expect(inputCount > 200)
  }
}
