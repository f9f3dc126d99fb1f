import CSidecarLinux

/// The user's terminal.
public enum Terminal {
  /// Columns and rows of standard output; `nil` if it is not a terminal.
  public static var size: (columns: Int, rows: Int)? {
    let size = cl_terminal_size(1)
    if size < 0 { return nil }
    // Some terminals report none.
    let columns = Int(size >> 16)
    let rows = Int(size & 0xffff)
    return (columns > 0 ? columns : 80, rows > 0 ? rows : 24)
  }

  /// Whether to use colours: on a terminal that supports them, unless `NO_COLOR` is set.
  public static var hasColours: Bool {
    size != nil && (Process.environment("NO_COLOR") ?? "").isEmpty
      && Process.environment("TERM") != "dumb"
  }

  /// Takes over the whole screen; keys arrive without Enter. `false` if standard input is not a
  /// terminal.
  public static func beginScreen() -> Bool {
    guard cl_screen_begin() == 0 else { return false }
    Process.write("\u{1B}[?1049h\u{1B}[?25l")
    return true
  }

  /// Restores the terminal.
  public static func endScreen() {
    Process.write("\u{1B}[?25h\u{1B}[?1049l")
    cl_screen_end()
  }

  /// The next key within that time: its byte, or `j`, `k`, `J`, `K` for down, up, page down and
  /// page up. 0 if there was none, or if the size has changed; `nil` if a signal asks to stop.
  public static func key(withinMilliseconds timeout: Int) -> UInt8? {
    let key = cl_screen_key(Int32(timeout))
    return key < 0 ? nil : UInt8(truncatingIfNeeded: key)
  }
}
