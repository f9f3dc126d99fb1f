/// Writes one line per event, for people or as JSON, to standard output.
///
///     [2026-01-31 09:44:22 +0000] [1] [INFO] Running on http://0.0.0.0:8081 (CTRL + C to quit)
///     {"time":"2026-01-31T09:44:22Z","pid":1,"level":"info","message":"Running on …"}
public struct Log: Sendable {
  /// The severity of a line, in ascending order.
  public enum Level: Int, Sendable, Comparable {
    case debug, info, warning, error

    /// Whether `a` is less severe.
    public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }

    /// The level with this lowercase name; `nil` for any other word.
    public init?(name: String) {
      switch name {
      case "debug": self = .debug
      case "info": self = .info
      case "warning": self = .warning
      case "error": self = .error
      default: return nil
      }
    }

    var name: String {
      switch self {
      case .debug: "debug"
      case .info: "info"
      case .warning: "warning"
      case .error: "error"
      }
    }

    var capitals: String {
      switch self {
      case .debug: "DEBUG"
      case .info: "INFO"
      case .warning: "WARNING"
      case .error: "ERROR"
      }
    }
  }

  /// For people, or one JSON object per line.
  public enum Format: Sendable { case text, json }

  /// Lines below this level are not written.
  public var minimum: Level
  /// The format of the lines.
  public var format: Format

  /// Writes to standard output.
  public init(minimum: Level = .info, format: Format = .text) {
    self.minimum = minimum
    self.format = format
  }

  /// Details that help to find a mistake.
  public func debug(_ message: @autoclosure () -> String) { write(.debug, message) }
  /// Normal operation.
  public func info(_ message: @autoclosure () -> String) { write(.info, message) }
  /// Something works, but not as intended.
  public func warning(_ message: @autoclosure () -> String) { write(.warning, message) }
  /// Something does not work.
  public func error(_ message: @autoclosure () -> String) { write(.error, message) }

  private func write(_ level: Level, _ message: () -> String) {
    guard level >= minimum else { return }
    write(level, message())
  }

  /// Writes a line whatever its level is.
  public func write(_ level: Level, _ message: String) {
    Process.write(line(level, message, unixSeconds: Clock.unixSeconds, processID: Process.id))
  }

  /// The line as it is written, with its newline.
  func line(_ level: Level, _ message: String, unixSeconds: Int64, processID: Int) -> String {
    let time = CivilTime(unixSeconds: unixSeconds)
    let date = "\(time.year)-\(pad(time.month))-\(pad(time.day))"
    let clock = "\(pad(time.hour)):\(pad(time.minute)):\(pad(time.second))"
    switch format {
    case .text:
      return "[\(date) \(clock) +0000] [\(processID)] [\(level.capitals)] \(message)\n"
    case .json:
      return "{\"time\":\"\(date)T\(clock)Z\",\"pid\":\(processID),\"level\":\"\(level.name)\","
        + "\"message\":\"\(escaped(message))\"}\n"
    }
  }

  private func pad(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

  private func escaped(_ text: String) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case UInt8(ascii: "\n"): bytes += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
      case 0..<32:
        let digits = Array("0123456789abcdef".utf8)
        bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
