import SidecarPlatform

/// `simple-server stress`: uses up processor time and memory inside its own container, for a
/// bounded time, to show the autoscaler and the alerts at work.
enum Stress {
  static let table: [Option] = [
    Option("cpu", "N", "1", "Threads that compute without pause."),
    Option("memory", "SIZE", "0", "Memory to touch and hold: 256MiB."),
    Option("duration", "TIME", "60s", "How long: 30s, 5m; an hour at most."),
  ]

  static func run(_ options: Options) throws(Options.Mistake) {
    let threads = try options.number("cpu", in: 0...256)
    let byteCount = try options.byteCount("memory", in: 0...(1 << 30))
    let milliseconds = try options.milliseconds("duration", in: 1...3_600_000)
    let end = Clock.monotonicNanoseconds + UInt64(milliseconds) * 1_000_000
    Process.write(
      "Stressing: \(threads) threads, \(byteCount) bytes, for \(milliseconds / 1000) s "
        + "(CTRL + C to stop)\n")
    // Touched a page at a time, so that it counts as resident.
    var memory = [UInt8]()
    if byteCount > 0 {
      memory = [UInt8](repeating: 1, count: byteCount)
      var index = 0
      while index < byteCount {
        memory[index] = 2
        index += 4096
      }
    }
    for _ in 0..<threads {
      do throws(Errno) { _ = try Thread { burn(until: end) } } catch {
        Process.write("simple-server stress: cannot start a thread: \(error.description)\n", to: 2)
        Process.exit(.failure)
      }
    }
    while Clock.monotonicNanoseconds < end {
      Process.sleep(
        milliseconds: min(100, Int((end - Clock.monotonicNanoseconds) / 1_000_000) + 1))
    }
    if byteCount > 0, memory[byteCount - 1] == 255 { Process.write("") }
    Process.write("Done\n")
  }

  private static func burn(until end: UInt64) {
    var state: UInt64 = 1
    while Clock.monotonicNanoseconds < end {
      for _ in 0..<100_000 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
      }
    }
    // Used, so that the loop above is not optimised away.
    if state == 0 { Process.write("") }
  }
}
