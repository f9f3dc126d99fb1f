import SidecarPlatform

/// `metrics-sidecar copy FILE`: copies this program to where a container of another image can run
/// it, such as into a volume. Its own image has no `cp`.
enum CopyCommand {
  static func run(_ path: String) -> ExitCode {
    let new = path + ".new"
    do throws(Errno) {
      var program = ByteBuffer()
      try Files.read("/proc/self/exe", limit: 64 << 20, into: &program)
      Files.remove(new)
      try Files.write(program.bytes, toNew: new, mode: 0o755)
      try Files.rename(new, to: path)
    } catch {
      Files.remove(new)
      Process.write(
        joined("metrics-sidecar copy: cannot write ", path, ": ", error.description, "\n"), to: 2)
      return .failure
    }
    return .success
  }
}
