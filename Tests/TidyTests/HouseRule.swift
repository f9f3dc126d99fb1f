/// The countable rules of the house. Each names what breaks it; a file that has a reason is listed
/// with it in the rule.
enum HouseRule: String, CaseIterable, Sendable {
  case `nothing at the root but the layout`
  case `no file over 300 KB`
  case `no leftovers`
  case `no file of code over 400 lines`
  case `no function over 70 lines`
  case `no line of code over 100 columns`
  case `no file with two public types`
  case `no unclear words in comments and documents`

  /// What breaks the rule in a file, a sentence each.
  func breaches(in file: TrackedFile) -> [String] {
    switch self {
    case .`nothing at the root but the layout`:
      Self.layout.contains(file.root) ? [] : ["\(file.root) is not part of the layout"]
    case .`no file over 300 KB`:
      file.byteCount <= 300_000 ? [] : ["\(file.path) has \(file.byteCount) bytes"]
    case .`no leftovers`:
      Self.isLeftover(file) ? ["\(file.path) is a leftover of a program, a tool or a merge"] : []
    case .`no file of code over 400 lines`:
      // The last line's end is no line.
      file.isCode && file.lines.count > 401
        ? ["\(file.path) has \(file.lines.count - 1) lines"] : []
    case .`no function over 70 lines`:
      file.suffix == "swift" ? Self.longFunctions(file) : []
    case .`no line of code over 100 columns`:
      file.isScript || file.hasComments ? Self.wideLines(file) : []
    case .`no file with two public types`:
      Self.publicTypes(file)
    case .`no unclear words in comments and documents`:
      Self.unclearWords(file)
    }
  }

  private static let layout: Set<Substring> = [
    "Package.swift", "Sources", "Tests", "Benchmarks", "Examples", "Clients", "Scripts", "chart",
    "monitoring", "docs", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
    "Makefile", "Dockerfile.app", "Dockerfile.sidecar", "compose.yaml", "cliff.toml",
    "pyproject.toml",
    ".ci", ".github", ".gitignore", ".gitattributes", ".dockerignore", ".hadolint.yaml",
    ".swift-format", ".editorconfig", ".spi.yml",
  ]

  private static func isLeftover(_ file: TrackedFile) -> Bool {
    file.path.contains(".damaged-") || file.path.contains("__pycache__/")
      || ["orig", "rej", "swp", "profraw", "pyc"].contains(file.suffix)
      || file.name.hasSuffix("~") || [".DS_Store", "core"].contains(file.name)
      || file.isCode && file.lines.contains { $0.hasPrefix("<<<<<<< ") }
  }

  private static func wideLines(_ file: TrackedFile) -> [String] {
    file.lines.indices.filter {
      file.lines[$0].count > 100 && !file.lines[$0].contains("://")
    }.map {
      "\(file.path):\($0 + 1) has \(file.lines[$0].count) columns"
    }
  }

  /// Small types that are read together with the first type of their file.
  private static let filesOfSeveralTypes: Set<Substring> = [
    "ClientMemory.swift", "Clock.swift", "Commands.swift", "Distribution.swift",
    "FamilyType.swift", "Instrument.swift", "Options.swift", "PostponedAnswer.swift",
    "Process.swift", "Quantity.swift", "Responder.swift", "Response.swift", "Session.swift",
    "SocketFile.swift", "SystemCall.swift", "WorkerBoard.swift",
  ]

  private static func publicTypes(_ file: TrackedFile) -> [String] {
    guard file.root == "Sources", file.suffix == "swift", !filesOfSeveralTypes.contains(file.name)
    else { return [] }
    let types = file.lines.compactMap { line -> Substring? in
      let words = line.prefix { !"({:<".contains($0) }.split(separator: " ")
      guard line.first?.isWhitespace == false, !line.hasPrefix("//"),
        words.contains("public") || words.contains("package"),
        let kind = words.firstIndex(where: {
          ["struct", "class", "enum", "protocol", "actor"].contains($0)
        })
      else { return nil }
      return words[(kind + 1)...].first
    }
    return types.count < 2 ? [] : ["\(file.path) has \(types.joined(separator: ", "))"]
  }

  /// Words that have a plainer one, each between blanks.
  private static let unclear = [
    " told ", " whoever ", " for ever ", " anew ", " time of birth ", " times of birth ",
    " what is there already ", " those that there are ", " what one should ", " who is ",
    " who has ", " who waits ", " who takes ",
  ]

  private static func unclearWords(_ file: TrackedFile) -> [String] {
    guard file.isDocument || file.hasComments else { return [] }
    return file.lines.indices.flatMap { number -> [String] in
      let text = file.isDocument ? file.lines[number] : comment(of: file.lines[number])
      guard !text.isEmpty else { return [] }
      let words = " \(text.lowercased().split { !$0.isLetter }.joined(separator: " ")) "
      return unclear.filter(words.contains).map {
        "\(file.path):\(number + 1) says\($0.dropLast())"
      }
    }
  }

  /// The text after `//`, which begins a line or follows a blank.
  private static func comment(of line: Substring) -> Substring {
    var rest = line
    while let slashes = rest.firstRange(of: "//") {
      if slashes.lowerBound == line.startIndex
        || line[line.index(before: slashes.lowerBound)].isWhitespace
      {
        return rest[slashes.upperBound...]
      }
      rest = rest[slashes.upperBound...]
    }
    return ""
  }

  /// A function ends at the first line that has a brace where its own line begins: swift-format
  /// sees to that.
  private static func longFunctions(_ file: TrackedFile) -> [String] {
    var found: [String] = []
    for (start, line) in file.lines.enumerated() where isFunction(line) {
      let end = line.prefix { $0 == " " } + "}"
      guard let length = file.lines[start...].dropFirst().firstIndex(where: { $0.hasPrefix(end) })
      else { continue }
      if length - start >= 70 {
        found.append("\(file.path):\(start + 1) is a function of \(length - start + 1) lines")
      }
    }
    return found
  }

  /// A requirement of a protocol has no body on its line, and is not taken for one that has.
  private static func isFunction(_ line: Substring) -> Bool {
    let words = line.prefix { $0 != "(" && $0 != "<" && $0 != "{" }.split(separator: " ")
    return words.contains { $0 == "func" || $0 == "init" || $0 == "init?" || $0 == "subscript" }
      && !line.drop { $0 == " " }.hasPrefix("//") && (line.hasSuffix("{") || line.hasSuffix("("))
  }
}
