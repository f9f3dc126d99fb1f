/// One command of a program, such as `emit`: its operands and flags, and the text of its own
/// `--help`.
public struct Command: Sendable {
  /// As it is typed.
  public let name: String
  /// The name of its operand in help and errors: `FILE`; `LINE…` for one or more, empty for none.
  public let operand: String
  /// The flags it accepts; others are mistakes.
  public let flags: [Option]
  /// What it does, in the list of commands and at the head of its help.
  public let summary: String
  /// The rest of its help: an example and the meaning of its exit codes.
  public let details: String

  /// A row of a table; see the properties.
  public init(
    _ name: String, _ operand: String, _ flags: [Option], _ summary: String, _ details: String
  ) {
    self.name = name
    self.operand = operand
    self.flags = flags
    self.summary = summary
    self.details = details
  }
}

/// The commands of a program: one table, from which dispatch, help and "did you mean" follow.
public struct Commands: Sendable {
  /// What a command line asks for.
  public enum Request: Sendable {
    /// To print this: help or the version.
    case text(String)
    /// To run the command with this name. The number of operands is right.
    case run(String, Options)
  }

  private let program: String
  private let prefix: String
  private let summary: String
  private let table: [Command]

  /// The first command of `table` is the default. `prefix` begins the variables of the flags.
  public init(_ program: String, prefix: String, _ summary: String, _ table: [Command]) {
    self.program = program
    self.prefix = prefix
    self.summary = summary
    self.table = table
  }

  /// Finds the command, which may follow flags, and parses the rest by its flags.
  public func read(
    _ arguments: [String], environment: (String) -> String? = Process.environment
  ) throws(Options.Mistake) -> Request {
    let position = commandPosition(arguments)
    var rest: [String] = []
    for index in 0..<arguments.count where index != position { rest.append(arguments[index]) }
    var row = 0
    var isNamed = position != nil
    if let position {
      var name = arguments[position]
      if name == "help" {
        guard let topic = rest.first else { return .text(help()) }
        name = topic
        rest = ["--help"]
      }
      row = try find(name)
      isNamed = true
    }
    let options = try Options(
      table[row].flags, prefix: prefix, arguments: rest, environment: environment,
      command: isNamed ? joined(program, " ", table[row].name) : program)
    if options.wantsHelp { return .text(isNamed ? help(of: row) : help()) }
    if options.wantsVersion { return .text(joined(program, " ", Version.number, "\n")) }
    try check(options.operands, row)
    return .run(table[row].name, options)
  }

  /// The position of the first word that is neither a flag nor a flag's value. None after a flag
  /// that no command has, since the next word may be its value.
  private func commandPosition(_ arguments: [String]) -> Int? {
    var index = 0
    while index < arguments.count {
      let argument = arguments[index]
      let bytes = Array(argument.utf8)
      guard bytes.count > 1, bytes[0] == UInt8(ascii: "-") else { return index }
      index += 1
      switch argument {
      case "--": return nil
      case "--help", "-h", "--version", "-V": break
      default:
        switch takesNextWord(bytes) {
        case nil: return nil
        case let takes?: index += takes ? 1 : 0
        }
      }
    }
    return nil
  }

  /// Whether the value of a flag is the next argument; `nil` if no command has such a flag.
  private func takesNextWord(_ argument: [UInt8]) -> Bool? {
    let end = argument.firstIndex(of: UInt8(ascii: "=")) ?? argument.count
    let name = String(decoding: argument[min(2, end)..<end], as: UTF8.self)
    for command in table {
      for option in command.flags where option.name == name {
        return end == argument.count && option.placeholder != nil
      }
    }
    return nil
  }

  private func find(_ name: String) throws(Options.Mistake) -> Int {
    var names: [String] = []
    for row in 0..<table.count {
      if table[row].name == name { return row }
      names.append(table[row].name)
    }
    if let near = Spelling.closest(to: name, among: names) {
      throw Options.Mistake(joined("unknown command ", name, ": did you mean ", near, "?"))
    }
    throw Options.Mistake(
      joined("unknown command ", name, ": '", program, " --help' lists the commands"))
  }

  private func check(_ operands: [String], _ row: Int) throws(Options.Mistake) {
    let name = table[row].name
    let operand = table[row].operand
    if operands.isEmpty, !operand.isEmpty {
      throw Options.Mistake(
        joined(name, " needs a ", operand, ": '", program, " ", name, " --help' shows an example"))
    }
    if operand.isEmpty, let first = operands.first {
      throw Options.Mistake(joined(name, " takes flags only, not '", first, "'"))
    }
    if operands.count > 1, !table[row].isList {
      throw Options.Mistake(
        joined(name, " takes one ", operand, ", not '", operands[1], "' too"))
    }
  }

  /// What the program does, its commands, and the flags of the first one.
  private func help() -> String {
    var text = joined(program, ": ", summary, "\n\nUsage:\n")
    for row in 0..<table.count {
      var line = joined(
        "  ", program, " ", row == 0 ? joined("[", table[0].name, "] [flags]") : table[row].usage)
      // `…` has three bytes in one column.
      let width = table[row].isList ? 43 : 41
      repeat { line += " " } while line.utf8.count < width
      text += joined(line, table[row].summary, "\n")
    }
    return joined(
      text, "\n'", program,
      " COMMAND --help' has a command's flags, an example and its exit codes."
        + "\n\nFlags of ", table[0].name, ", each with its environment variable:\n\n",
      Options.help(table[0].flags, prefix: prefix))
  }

  private func help(of row: Int) -> String {
    joined(
      program, " ", table[row].usage, ": ", table[row].summary, "\n\n", table[row].details,
      "\nFlags:\n\n", Options.help(table[row].flags, prefix: prefix))
  }
}

extension Command {
  fileprivate var usage: String {
    joined(name, operand.isEmpty ? "" : " ", operand, flags.isEmpty ? "" : " [flags]")
  }

  /// Whether it accepts more than one operand: its name ends with `…`.
  fileprivate var isList: Bool { Array(operand.utf8).last == 0xa6 }
}
