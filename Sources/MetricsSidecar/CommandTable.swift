import SidecarPlatform

extension Commands {
  /// The commands of `metrics-sidecar`.
  static let sidecar = Commands(
    "metrics-sidecar", prefix: Settings.prefix,
    "accepts events over Unix sockets, serves them to Prometheus.",
    [
      Command("serve", "", Settings.table, "accept events and serve /metrics", serve),
      Command("emit", "LINE…", emitFlags, "send events to a sidecar", emit),
      Command("run", "COMMAND…", runFlags, "run a job and report how it went", run),
      Command("copy", "FILE", [], "put this program at FILE, for other images to run", copy),
      Command(
        "check-rules", "FILE",
        [Option("test", "FILE", "", "Cases: lines, and what the page has after them.")],
        "report every mistake of a rules file", checkRules),
      Command(
        "healthcheck", "", Settings.flags("listen"), "exit 0 when the sidecar is ready", healthcheck
      ),
      Command("tail", "", Settings.flags("listen") + tailFlags, "follow incoming events", tail),
      Command(
        "top", "",
        Settings.flags("listen") + [
          Option("once", nil, "false", "Write one table and end.")
        ], "show which families cost the most", top),
      Command("sleep", "SECONDS", [], "wait: a preStop hook for images without a shell", sleep),
      Command("hash-password", "NAME", [], "write a line for --push-auth", hashPassword),
    ])

  private static let serve = """
    SIGTERM ends it, SIGHUP makes it read its rules and passwords again.

    Example:
      metrics-sidecar --statsd-udp 127.0.0.1:8125 --rules rules.json

    Exit codes:
      0  ended by a signal
      1  something was in the way: an address in use, a folder that cannot be written
      2  a wrong flag or variable, or rules that cannot be read or have a mistake

    """

  private static let emit = """
    Each LINE is NAME:VALUE|TYPE[|#TAG:VALUE,…] as in StatsD or DogStatsD; - reads them from
    standard input. emit sends them as datagrams; with --wait or --once KEY in a session over the
    events socket, and waits for the acknowledgement. If you do not know whether a try has counted,
    try again with the same KEY: --once "invoice-$ID".

    Example:
      metrics-sidecar emit 'jobs.done:1|c|#queue:mail' 'queue.length:7|g'

    Exit codes:
      0  the kernel has taken them; with --wait or --once the sidecar has counted them, for good
      1  nothing listens, its queue stays full for a second, or no acknowledgement comes within 10 s
      2  a wrong flag, or a line that is not an event: standard error says why, nothing is sent

    """

  private static let emitFlags: [Option] =
    Settings.flags("statsd-socket") + Settings.flags("events-socket") + [
      Option(
        "once", "KEY", "",
        "Count these lines once, however often you send them with this KEY (up to 255 bytes): as "
          + "long as the sidecar remembers it among its --max-sessions."),
      Option("wait", nil, "false", "Wait until the sidecar has counted them."),
    ]

  private static let runFlags: [Option] =
    [Option("name", "NAME", "", "The job's name, the label job_name.")]
    + Settings.flags("statsd-socket")

  private static let run = """
    Write -- before the command. Its streams, signals and exit code pass through. When it has ended,
    run sends these events, each with the tag job_name:

      job.runs                             1, with the tag result: success or failure
      job.duration_seconds                 how long it took
      job.exit_code                        128 plus the signal's number if a signal has killed it
      job.last_success_timestamp_seconds   if the exit code was 0

    If no sidecar listens, the command runs all the same, with a line on standard error. The exit
    code is 126 if the command cannot be run, 127 if it does not exist.

    Example:
      metrics-sidecar run --name backup -- pg_dump --file /backup/dump app

    Exit codes:
      0  the command has ended with 0; its other codes pass through, too
      2  a wrong flag, or no -- before the command: nothing runs

    """

  private static let copy = """
    For an init container that puts the program into a volume. It is static and runs in any image.

    Example:
      metrics-sidecar copy /tools/metrics-sidecar

    Exit codes:
      0  FILE is this program
      1  FILE cannot be written
      2  a wrong flag, or no file

    """

  private static let checkRules = """
    With --test, it also runs each case of FILE: a title after ==, lines, a line --, and the
    exposition after them.

    Example:
      metrics-sidecar check-rules rules.json --test rules.test

    Exit codes:
      0  the rules are good; standard output says how many there are
      1  a file cannot be read, the rules have mistakes (one per line), or a case differs
      2  a wrong flag, or no file

    """

  private static let healthcheck = """
    Asks GET /-/ready of the sidecar that serves on --listen. For a HEALTHCHECK or a probe.

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
    Shows each line that arrives and why it did not count, up to a thousand a second; it says how
    many more there were. Into a file or a pipe it writes TIME SOCKET ok|REASON LINE, and its own
    remarks after a #.

    Example:
      metrics-sidecar tail --rejected --name 'orders.*'

    Exit codes:
      0  never: a signal ends it
      1  nothing answers at the start
      2  a wrong flag or variable

    """

  private static let top = """
    Lists families by their series, with events a second, bytes in an exposition, and the tag with
    the most values. Into a file or a pipe it writes one table and ends, as with --once.

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
