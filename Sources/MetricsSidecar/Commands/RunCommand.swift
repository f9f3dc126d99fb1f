import SidecarPlatform

/// `metrics-sidecar run --name NAME -- COMMAND…`: runs a job and reports its result.
///
/// What must stay true: the command runs as if started directly. Its arguments, streams and
/// environment are this process's, signals reach it, and its exit code becomes this one's; if no
/// sidecar listens it runs all the same.
enum RunCommand {
  static func run(_ options: Options) throws(Options.Mistake) -> Never {
    let name = options.text("name")
    var isName = !name.isEmpty && name.utf8.count <= 255
    for byte in name.utf8 where byte < 32 || byte == 127 || byte == 0x7c || byte == 0x2c {
      isName = false
    }
    guard isName else {
      throw options.mistake("name", "names the job, in 1 to 255 bytes without , | or line ends")
    }
    let start = Clock.monotonicNanoseconds
    let code: Int32
    do throws(ChildCommand.Failure) {
      code = try ChildCommand.run(operandCount: options.operands.count)
    } catch {
      switch error {
      case .noDashes:
        throw Options.Mistake(
          "run takes its own flags, then --, then the command: "
            + "'metrics-sidecar run --name backup -- COMMAND…'")
      case .notStarted(let reason):
        say(
          joined("cannot start ", options.operands[0], ": ", reason.description))
        // As in a shell.
        code = reason == .noSuchFile ? 127 : 126
      }
    }
    report(name, code, Clock.monotonicNanoseconds - start, options.text("statsd-socket"))
    Process.exit(rawCode: code)
  }

  private static func say(_ text: String) {
    Process.write(joined("metrics-sidecar run: ", text, "\n"), to: 2)
  }

  private static func report(
    _ name: String, _ code: Int32, _ nanoseconds: UInt64, _ path: String
  ) {
    var payload = ByteBuffer()
    payload.append(lines(name, code, nanoseconds / 1000, Clock.unixSeconds))
    if let error = Emit.datagram(payload.bytes, to: path) {
      say(joined("the job is not counted: ", Emit.cannotSend(error, path, "statsd-socket")))
    }
  }

  /// The lines of one datagram.
  static func lines(
    _ name: String, _ code: Int32, _ microseconds: UInt64, _ unixSeconds: Int64
  ) -> String {
    let tag = joined("|#job_name:", name)
    // The fraction's six digits, after a 1 that is removed.
    let fraction = Array((1_000_000 + microseconds % 1_000_000).description.utf8)[1...]
    return joined(
      "job.runs:1|c", tag, code == 0 ? ",result:success" : ",result:failure",
      "\njob.duration_seconds:", (microseconds / 1_000_000).description, ".",
      String(decoding: fraction, as: UTF8.self), "|d", tag,
      "\njob.exit_code:", code.description, "|g", tag,
      code == 0
        ? joined("\njob.last_success_timestamp_seconds:", unixSeconds.description, "|g", tag) : "")
  }
}
