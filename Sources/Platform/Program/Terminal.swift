import CSidecarLinux

/// The terminal that a person looks at.
public enum Terminal {
  /// Columns and rows of standard output; `nil` where it is no terminal.
  public static var size: (columns: Int, rows: Int)? {
    let size = cl_terminal_size(1)
    if size < 0 { return nil }
    // Some say nothing.
    let columns = Int(size >> 16)
    let rows = Int(size & 0xffff)
    return (columns > 0 ? columns : 80, rows > 0 ? rows : 24)
  }

  /// Whether colours are wanted: a terminal that knows them, and nobody has set `NO_COLOR`.
  public static var hasColours: Bool {
    size != nil && (Process.environment("NO_COLOR") ?? "").isEmpty
      && Process.environment("TERM") != "dumb"
  }

  /// Takes the whole screen; keys come without Enter. `false` where standard input is no terminal.
  public static func beginScreen() -> Bool {
    guard cl_screen_begin() == 0 else { return false }
    Process.write("\u{1B}[?1049h\u{1B}[?25l")
    return true
  }

  /// Gives the terminal back as it was.
  public static func endScreen() {
    Process.write("\u{1B}[?25h\u{1B}[?1049l")
    cl_screen_end()
  }

  /// The next key within that time: its byte, or `j`, `k`, `J`, `K` for down, up and a page of each.
  /// 0 without one, or when the size has changed; `nil` when a signal asks to stop.
  public static func key(withinMilliseconds timeout: Int) -> UInt8? {
    let key = cl_screen_key(Int32(timeout))
    return key < 0 ? nil : UInt8(truncatingIfNeeded: key)
  }
}
