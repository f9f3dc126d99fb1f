import Foundation
import Testing

/// A file that git tracks, as a rule of the house looks at it.
struct TrackedFile: Sendable, CustomTestStringConvertible {
  let path: String
  let byteCount: Int
  /// Its lines without their ends; none where it is not text.
  let lines: [Substring]

  init(_ path: String, byteCount: Int, text: String) {
    self.path = path
    self.byteCount = byteCount
    lines = text.split(separator: "\n", omittingEmptySubsequences: false)
  }

  init(_ path: String, text: String = "") {
    self.init(path, byteCount: text.utf8.count, text: text)
  }

  var testDescription: String { path }

  /// The folder or file at the root that holds it.
  var root: Substring { path.prefix { $0 != "/" } }

  var name: Substring {
    path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...]
  }

  /// What follows the last dot of its name.
  var suffix: Substring { name.lastIndex(of: ".").map { name[name.index(after: $0)...] } ?? "" }

  /// `Clients` holds packages for other languages, which have rules of their own.
  var isCode: Bool {
    isScript || ["swift", "c", "h", "go", "js", "css", "html", "lua"].contains(suffix)
  }

  var isDocument: Bool {
    ["md", "gotmpl"].contains(suffix) && name != "CHANGELOG.md"
  }

  /// Whether it is Swift or C, whose comments begin with `//`.
  var hasComments: Bool { root != "Clients" && ["swift", "c", "h"].contains(suffix) }

  /// In Python, or without a suffix and with `#!` in its first line.
  var isScript: Bool {
    root != "Clients"
      && (suffix == "py" || suffix.isEmpty && lines.first?.hasPrefix("#!") == true)
  }
}

/// The repository that this file belongs to.
enum Tree {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// An archive of the sources has no list of tracked files.
  static let isCheckout = FileManager.default.fileExists(
    atPath: root.appending(path: ".git").path())

  static func trackedFiles() throws -> [TrackedFile] {
    try trackedPaths().compactMap { path in
      // One that is deleted and not committed yet is gone.
      guard let data = FileManager.default.contents(atPath: root.appending(path: path).path())
      else {
        return nil
      }
      return TrackedFile(
        path, byteCount: data.count, text: String(data: data, encoding: .utf8) ?? "")
    }
  }

  /// Somebody else may own the checkout, as in a container of a pipeline: git asks for
  /// `safe.directory`.
  private static func trackedPaths() throws -> [String] {
    let git = Process()
    git.executableURL = URL(filePath: "/usr/bin/env")
    git.arguments = ["git", "-c", "safe.directory=*", "-C", root.path(), "ls-files", "-z"]
    let output = Pipe()
    git.standardOutput = output
    try git.run()
    let names = output.fileHandleForReading.readDataToEndOfFile()
    git.waitUntilExit()
    return names.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
  }
}
