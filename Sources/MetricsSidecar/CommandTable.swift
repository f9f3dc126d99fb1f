import SidecarPlatform

extension Commands {
  /// The commands of `metrics-sidecar`.
  static let sidecar = Commands(
    "metrics-sidecar", prefix: Settings.prefix,
    "takes events over Unix sockets, serves them to Prometheus.",
    [
      Command("serve", "", Settings.table, "take events and serve /metrics", serve),
      Command("emit", "LINE…", emitFlags, "send events to a sidecar", emit),
      Command("run", "COMMAND…", runFlags, "run a job and report how it went", run),
      Command("copy", "FILE", [], "put this program at FILE, for other images to run", copy),
      Command("check-rules", "FILE", [], "tell every mistake of a rules file", checkRules),
      Command(
        "healthcheck", "", Settings.flags("listen"), "exit 0 when the sidecar is ready", healthcheck
      ),
      Command("tail", "", Settings.flags("listen") + tailFlags, "follow events as they come", tail),
      Command(
        "top", "",
        Settings.flags("listen") + [
          Option("once", nil, "false", "Write one table and end.")
        ], "show which families cost most", top),
      Command("sleep", "SECONDS", [], "wait: a preStop hook for images without a shell", sleep),
      Command("hash-password", "NAME", [], "write a line for --push-auth", hashPassword),
    ])

  private static let serve = """
    SIGTERM ends it, SIGHUP has it read its rules and passwords again.

    Example:
      metrics-sidecar --statsd-udp 127.0.0.1:8125 --rules rules.json

    Exit codes:
      0  ended by a signal
      1  something was in the way: an address in use, a folder that cannot be written
      2  a wrong flag or variable, or rules that cannot be read or have a mistake

    """

  private static let emit = """
    Each LINE is NAME:VALUE|TYPE[|#TAG:VALUE,…] in StatsD's or DogStatsD's words; - reads them from
    standard input. They go in datagrams; with --wait or --once KEY as a session over the events socket,
    until it has acknowledged them. Whoever does not know whether a try has counted tries again with the
    same KEY: --once "invoice-$ID".

    Example:
      metrics-sidecar emit 'jobs.done:1|c|#queue:mail' 'queue.length:7|g'

    Exit codes:
      0  the kernel has taken them; with --wait or --once the sidecar has counted them, for good
      1  nothing listens, its queue stays full for a second, or no acknowledgement comes within 10 s
      2  a wrong flag, or a line that is no event: which and why is told, and nothing is sent

    """

  private static let emitFlags: [Option] =
    Settings.flags("statsd-socket") + Settings.flags("events-socket") + [
      Option(
        "once", "KEY", "",
        "Count these lines once, however often they are sent with this KEY (up to 255 bytes): as long as "
          + "the sidecar remembers it among its --max-sessions."),
      Option("wait", nil, "false", "Wait until the sidecar has counted them."),
    ]

  private static let runFlags: [Option] =
    [Option("name", "NAME", "", "The job's name, the label job_name.")]
    + Settings.flags("statsd-socket")

  private static let run = """
    Write -- before the command. Its streams, signals and exit code pass through. When it has ended, these
    events are sent, each with the tag job_name:

      job.runs                             1, with the tag result: success or failure
      job.duration_seconds                 how long it took
      job.exit_code                        of one that a signal has killed 128 and the signal's number
      job.last_success_timestamp_seconds   where the exit code was 0

    Where no sidecar listens, the command runs all the same, with a line on standard error. A command
    that cannot be run has the exit code 126, one that is not there 127.

    Example:
      metrics-sidecar run --name backup -- pg_dump --file /backup/dump app

    Exit codes:
      0  the command has ended with 0; its other codes pass through, too
      2  a wrong flag, or no -- before the command: nothing runs

    """

  private static let copy = """
    For an init container that puts it into a volume. It is static, so any image can run it.

    Example:
      metrics-sidecar copy /tools/metrics-sidecar

    Exit codes:
      0  FILE is this program
      1  FILE cannot be written
      2  a wrong flag, or no file

    """

  private static let checkRules = """
    Example:
      metrics-sidecar check-rules rules.json

    Exit codes:
      0  the rules are good; how many there are is told
      1  the file cannot be read, or has mistakes: a line each, with line, column and reason
      2  a wrong flag, or no file

    """

  private static let healthcheck = """
    Asks GET /-/ready of the sidecar that serves on --listen. For a container's HEALTHCHECK or a probe.

    Example:
      metrics-sidecar healthcheck --listen 127.0.0.1:8000

    Exit codes:
      0  it is ready
      1  it is not, or nothing answers within two seconds
      2  a wrong flag or variable

    """

  private static let tailFlags = [
    Option("rejected", nil, "false", "Only what was refused or looks like a mistake."),
    Option("name", "GLOB", "*", "Only events with such a name."),
  ]

  private static let tail = """
    Shows each line that comes, and why one did not count, up to a thousand a second; it says how many
    more came. Into a file or a pipe it writes TIME SOCKET ok|REASON LINE, and # before what it says.

    Example:
      metrics-sidecar tail --rejected --name 'orders.*'

    Exit codes:
      0  never: a signal ends it
      1  nothing answers at the start
      2  a wrong flag or variable

    """

  private static let top = """
    Families by their series, with events a second, bytes on the page, and the tag that has the most
    values. Into a file or a pipe it writes one table and ends, as with --once.

    Example:
      metrics-sidecar top --once

    Exit codes:
      0  the table is written, or q or Ctrl-C has ended it
      1  nothing answers
      2  a wrong flag or variable

    """

  private static let sleep = """
    From 0 to 3600 seconds.

    Example:
      metrics-sidecar sleep 5

    Exit codes:
      0  the time has passed
      2  no such number

    """

  private static let hashPassword = """
    Reads the password from standard input, up to the end of the line.

    Example:
      echo "$PASSWORD" | metrics-sidecar hash-password backup >> passwords

    Exit codes:
      0  the line is written to standard output
      1  no password, or one of more than 1024 bytes
      2  a wrong flag, or a name that is missing or has a colon in it

    """
}

extension Settings {
  /// The row of the table with this name, as a table.
  static func flags(_ name: String) -> [Option] { table.filter { $0.name == name } }
}
