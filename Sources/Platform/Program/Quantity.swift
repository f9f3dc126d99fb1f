/// Sizes and times as people write them.
public enum Quantity {
  /// `64KiB`, `64K` and `65536` are the same; units are powers of 1024.
  public static func bytes(_ text: String) -> Int? {
    let (digits, unit) = split(text)
    guard let number = Int(digits), number >= 0 else { return nil }
    let factor: Int
    switch unit {
    case "", "B": factor = 1
    case "K", "Ki", "KiB", "k": factor = 1 << 10
    case "M", "Mi", "MiB", "m": factor = 1 << 20
    case "G", "Gi", "GiB", "g": factor = 1 << 30
    default: return nil
    }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : product
  }

  /// `250ms`, `10s`, `5m`, `1h`, `7d`, `1h30m`; a bare number is seconds. `nil` beyond 1,000 years.
  public static func milliseconds(_ text: String) -> Int64? {
    var rest = text
    var sum: Int64 = 0
    repeat {
      let (digits, tail) = split(rest)
      guard let number = Int64(digits), number >= 0 else { return nil }
      let bytes = Array(tail.utf8)
      let end = bytes.firstIndex { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
      let factor: Int64
      switch String(decoding: bytes[..<(end ?? bytes.count)], as: UTF8.self) {
      case "ms": factor = 1
      case "s": factor = 1000
      case "" where rest == text: factor = 1000
      case "m": factor = 60_000
      case "h": factor = 3_600_000
      case "d": factor = 86_400_000
      default: return nil
      }
      guard number <= 31_557_600_000_000 / factor else { return nil }
      sum += number * factor
      rest = String(decoding: bytes[(end ?? bytes.count)...], as: UTF8.self)
    } while !rest.isEmpty
    return sum <= 31_557_600_000_000 ? sum : nil
  }

  /// A time as users write it: `250ms`, `10s`, `7d`.
  public static func text(_ milliseconds: Int64) -> String {
    let isDays = milliseconds % 86_400_000 == 0 && milliseconds > 0
    let isSeconds = milliseconds % 1000 == 0
    let number = milliseconds / (isDays ? 86_400_000 : isSeconds ? 1000 : 1)
    return number.description + (isDays ? "d" : isSeconds ? "s" : "ms")
  }

  private static func split(_ text: String) -> (digits: String, unit: String) {
    let bytes = Array(text.utf8)
    let end = bytes.firstIndex { $0 < UInt8(ascii: "0") || $0 > UInt8(ascii: "9") } ?? bytes.count
    return (
      String(decoding: bytes[..<end], as: UTF8.self), String(decoding: bytes[end...], as: UTF8.self)
    )
  }
}

/// A host and a port: `0.0.0.0:8081`, `[::1]:8081`, `:8081` for all addresses.
public struct NetworkAddress: Equatable, Sendable {
  /// In numbers, or `localhost`; without brackets.
  public let host: String
  /// 0 stands for any free port.
  public let port: UInt16

  /// Stores both unchanged.
  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// Reads the forms above; `nil` for any other. Whether such a host exists is not checked.
  public init?(_ text: String) {
    let bytes = Array(text.utf8)
    guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")),
      let port = UInt16(String(decoding: bytes[(colon + 1)...], as: UTF8.self))
    else { return nil }
    var host = bytes[..<colon]
    if host.first == UInt8(ascii: "["), host.last == UInt8(ascii: "]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(UInt8(ascii: ":")) {
      return nil
    }
    self.host = host.isEmpty ? "0.0.0.0" : String(decoding: host, as: UTF8.self)
    self.port = port
  }

  /// As in a URL: `0.0.0.0:8081`, `[::]:8081`.
  public var description: String {
    host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}
