import CSidecarLinux
import SidecarPlatform

/// `metrics-sidecar hash-password NAME`: the line of a password file.
enum HashPassword {
  private static let limit = 1024

  /// Reads the password from standard input, up to the end of the line.
  static func run(_ name: String) -> ExitCode {
    guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: ":")), !name.utf8.contains(10) else {
      Process.write("metrics-sidecar: a name for a password is not empty and has no colon\n", to: 2)
      return .usage
    }
    var password = read()
    if password.last == 10 { password.removeLast() }
    if password.last == 13 { password.removeLast() }
    guard !password.isEmpty, password.count <= limit else {
      Process.write(
        "metrics-sidecar: write the password to standard input, up to 1024 bytes\n", to: 2)
      return .failure
    }
    Process.write(PushAuth.line(name: name, password: password) + "\n")
    return .success
  }

  private static func read() -> [UInt8] {
    var input = ByteBuffer(capacity: 2048)
    while input.count <= limit, input.bytes.byteCount == 0 || !input.endsWithNewline {
      var count: Int64 = 0
      unsafe input.appendUnsafe(capacity: 1024) { memory in
        count = unsafe cl_read(0, memory.baseAddress, memory.count)
        return max(0, Int(count))
      }
      if count <= 0 { break }
    }
    return input.array
  }
}

extension ByteBuffer {
  fileprivate var endsWithNewline: Bool { bytes.at(count - 1) == 10 }
}
