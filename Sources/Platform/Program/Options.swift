/// One table of flags: the parser, `--help`, the environment and "did you mean" follow from it.
///
/// A value comes from the flag, else from the environment variable, else from the default. The
/// variable of `--max-series` in a program with the prefix `METRICS_SIDECAR` is
/// `METRICS_SIDECAR_MAX_SERIES`.
public struct Option: Sendable {
  /// Without the dashes: `max-series`.
  public let name: String
  /// The placeholder for the value in `--help`; `nil` makes it a switch without a value.
  public let placeholder: String?
  /// The default as a user would write it; empty for none.
  public let standard: String
  /// Sentences for `--help`.
  public let help: String

  /// A row of a table; see the properties.
  public init(_ name: String, _ placeholder: String?, _ standard: String, _ help: String) {
    self.name = name
    self.placeholder = placeholder
    self.standard = standard
    self.help = help
  }

  @inline(never)
  func variable(prefix: String) -> String {
    var bytes = Array(prefix.utf8) + [UInt8(ascii: "_")]
    for byte in name.utf8 {
      switch byte {
      case UInt8(ascii: "-"): bytes.append(UInt8(ascii: "_"))
      case UInt8(ascii: "a")...UInt8(ascii: "z"): bytes.append(byte - 32)
      default: bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// The result of parsing the command line and the environment.
public struct Options: Sendable {
  /// A sentence for the user: what was wrong, and what to do.
  public struct Mistake: Error, Sendable {
    /// Without the program's name before it and without a newline.
    public let message: String
    /// For mistakes that only the program can detect.
    public init(_ message: String) { self.message = message }
  }

  /// A warning for each variable that is nearly one of the table's. Others with the prefix may be
  /// Kubernetes's own, such as METRICS_SIDECAR_SERVICE_HOST of a service with the program's name.
  public static func misspelled(
    _ table: [Option], prefix: String, among given: [String]? = nil
  ) -> [String] {
    var known: [String] = []
    for option in table { known.append(option.variable(prefix: "")) }
    var warnings: [String] = []
    for name in given ?? Process.environment(behind: prefix) {
      if let near = Spelling.closest(to: name, among: known), near != name {
        warnings.append(joined(prefix, name, " is no setting: did you mean ", prefix, near, "?"))
      }
    }
    return warnings
  }

  private let table: [Option]
  private var values: [String]
  /// For each row, whether its value comes from the environment.
  private var isVariable: [Bool]
  private let prefix: String
  private let command: String
  /// Arguments that are not flags, in order.
  public private(set) var operands: [String] = []
  /// `--help` was given: the other arguments do not matter.
  public private(set) var wantsHelp = false
  /// `--version` was given.
  public private(set) var wantsVersion = false

  /// Parses `arguments` by `table`. `--name value` and `--name=value` are the same; `--` ends
  /// flags. `command` is what the user types before `--help`.
  public init(
    _ table: [Option], prefix: String, arguments: [String],
    environment: (String) -> String? = Process.environment, command: String
  ) throws(Mistake) {
    self.table = table
    self.prefix = prefix
    self.command = command
    values = []
    isVariable = []
    for option in table {
      let found = environment(option.variable(prefix: prefix))
      values.append(found ?? option.standard)
      isVariable.append(found != nil)
    }
    var index = 0
    var flagsEnded = false
    while index < arguments.count {
      let argument = arguments[index]
      index += 1
      let bytes = Array(argument.utf8)
      if flagsEnded || bytes.first != UInt8(ascii: "-") || bytes.count == 1 {
        operands.append(argument)
        continue
      }
      switch argument {
      case "--": flagsEnded = true
      case "--help", "-h": wantsHelp = true
      case "--version", "-V": wantsVersion = true
      default: try take(bytes, arguments, &index)
      }
    }
  }

  private mutating func take(
    _ bytes: [UInt8], _ arguments: [String], _ index: inout Int
  ) throws(Mistake) {
    let equals = bytes.firstIndex(of: UInt8(ascii: "="))
    let nameBytes = bytes[..<(equals ?? bytes.count)].drop { $0 == UInt8(ascii: "-") }
    let name = String(decoding: nameBytes, as: UTF8.self)
    guard bytes.count > 2, bytes[1] == UInt8(ascii: "-"), let row = row(of: name) else {
      throw Mistake(unknown(String(decoding: bytes, as: UTF8.self), name))
    }
    isVariable[row] = false
    if table[row].placeholder == nil {
      if let equals {
        values[row] = String(decoding: bytes[(equals + 1)...], as: UTF8.self)
        _ = try flag(name)
      } else {
        values[row] = "true"
      }
    } else if let equals {
      values[row] = String(decoding: bytes[(equals + 1)...], as: UTF8.self)
    } else if index < arguments.count {
      values[row] = arguments[index]
      index += 1
    } else {
      throw Mistake(
        joined("--", name, " needs a value: --", name, " ", table[row].placeholder ?? ""))
    }
  }

  private func row(of name: String) -> Int? { table.firstIndex { $0.name == name } }

  private func unknown(_ argument: String, _ name: String) -> String {
    let names = table.map { $0.name } + ["help", "version"]
    if let close = Spelling.closest(to: name, among: names) {
      return joined("unknown flag ", argument, ": did you mean --", close, "?")
    }
    return joined("unknown flag ", argument, ": '", command, " --help' lists the flags")
  }

  /// The error for a wrong value: `expected` says what it should be. Names what the user wrote, the
  /// flag or its variable.
  public func mistake(_ name: String, _ expected: String) -> Mistake {
    var source = "--" + name
    if let row = row(of: name), isVariable[row] { source = table[row].variable(prefix: prefix) }
    return Mistake(joined(source, " ", expected, ", not '", text(name), "'"))
  }

  /// The text of a flag in the table.
  public func text(_ name: String) -> String {
    guard let row = row(of: name) else { preconditionFailure("a flag that is not in the table") }
    return values[row]
  }

  /// Whether a switch is on: by the flag, or by `1` or `true` in the environment.
  public func flag(_ name: String) throws(Mistake) -> Bool {
    switch text(name) {
    case "true", "1", "yes", "on": return true
    case "false", "0", "no", "off", "": return false
    default: throw mistake(name, "is a switch: true or false")
    }
  }

  /// A whole number within `range`.
  public func number(_ name: String, in range: ClosedRange<Int>) throws(Mistake) -> Int {
    guard let value = Int(text(name)), range.contains(value) else {
      throw mistake(
        name,
        joined(
          "takes a whole number from ", range.lowerBound.description, " to ",
          range.upperBound.description))
    }
    return value
  }

  /// A number of bytes: `65536`, `64KiB`, `64K`, `1MiB`, `2G`.
  public func byteCount(_ name: String, in range: ClosedRange<Int>) throws(Mistake) -> Int {
    guard let value = Quantity.bytes(text(name)), range.contains(value) else {
      throw mistake(
        name,
        joined(
          "takes a size such as 65536, 64KiB or 1MiB, from ", range.lowerBound.description, " to ",
          range.upperBound.description, " bytes"))
    }
    return value
  }

  /// A length of time in milliseconds: `250ms`, `10s`, `5m`, `1h`, `7d`.
  public func milliseconds(_ name: String, in range: ClosedRange<Int64>) throws(Mistake) -> Int64 {
    guard let value = Quantity.milliseconds(text(name)), range.contains(value) else {
      throw mistake(
        name,
        joined(
          "takes a time such as 250ms, 10s, 5m or 1h, from ", Quantity.text(range.lowerBound),
          " to ",
          Quantity.text(range.upperBound)))
    }
    return value
  }

  /// An address to listen on: `0.0.0.0:8081`, `[::]:8081`, `:8081`.
  public func address(_ name: String) throws(Mistake) -> NetworkAddress {
    guard let address = NetworkAddress(text(name)) else {
      throw mistake(name, "takes HOST:PORT such as 0.0.0.0:8000")
    }
    return address
  }

  /// The flags as `--help` lists them, each with its variable and default.
  public static func help(_ table: [Option], prefix: String) -> String {
    var text = ""
    for option in table {
      text += joined(
        "  --", option.name, option.placeholder == nil ? "" : " ", option.placeholder ?? "",
        "\n      ", option.help, "\n      [", option.variable(prefix: prefix), ", default: ",
        option.standard == "" ? "none" : option.standard, "]\n")
    }
    return text + "  --help\n      Show this text.\n  --version\n      Show the version.\n"
  }
}
