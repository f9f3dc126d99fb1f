import SidecarPlatform

extension Commands {
  /// The commands of `metrics-sidecar`.
  static let sidecar = Commands(
    "metrics-sidecar", prefix: Settings.prefix,
    "takes events over Unix sockets, serves them to Prometheus.",
    [
      Command("serve", "", Settings.table, "take events and serve /metrics", serve),
      Command("emit", "LINE…", Settings.flags("statsd-socket"), "send events to a sidecar", emit),
      Command("check-rules", "FILE", [], "tell every mistake of a rules file", checkRules),
      Command(
        "healthcheck", "", Settings.flags("listen"), "exit 0 when the sidecar is ready", healthcheck
      ),
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
    Each LINE is NAME:VALUE|TYPE[|#TAG:VALUE,…] in StatsD's or DogStatsD's words; all go in one datagram.

    Example:
      metrics-sidecar emit 'jobs.done:1|c|#queue:mail' 'queue.length:7|g'

    Exit codes:
      0  the kernel has taken them; a line that the sidecar refuses is counted there
      1  nothing listens on the socket, or its queue stays full for a second
      2  a wrong flag, or a line without a name, a value or a type: nothing is sent

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
