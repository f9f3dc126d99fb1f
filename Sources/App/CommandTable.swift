import SidecarPlatform

extension Commands {
  /// The commands of `simple-server`.
  static let app = Commands(
    "simple-server", prefix: prefix,
    "an API that counts its requests and does not know what Prometheus is.",
    [
      Command("serve", "", flags, "serve the API", serve),
      Command("healthcheck", "", [flags[0]], "exit 0 when GET /health answers 200", healthcheck),
      Command("stress", "", Stress.table, "burn processor and memory for a while", stress),
      Command("sleep", "SECONDS", [], "wait: a preStop hook for images without a shell", sleep),
    ])

  /// The prefix of the flags' environment variables.
  static let prefix = "SIMPLE_SERVER"

  /// The flags of `serve`.
  static let flags: [Option] = [
    Option("listen", "HOST:PORT", "0.0.0.0:8081", "Where the API is served."),
    Option(
      "events-socket", "PATH", "/run/metrics/events.sock",
      "Where events go; they wait here while nothing listens there. Empty: no events."),
    Option("workers", "N", "0", "Threads, each with its own loop; 0: the processors there are."),
    Option(
      "max-client-memory", "SIZE", "24MiB",
      "What all clients together may hold: unfinished requests, unread answers. Each thread has an "
        + "equal share."),
    Option(
      "swagger-ui", "DIR", SwaggerUI.standardFolder,
      "Folder with swagger-ui.css and swagger-ui-bundle.js (release 5) for /docs. Empty, or not "
        + "there in the default: a CDN's, checked by their hashes."),
    Option(
      "root-path", "PATH", "",
      "Where a proxy shows the API, such as /api; requests may come with or without it."),
  ]

  private static let serve = """
    SIGTERM and SIGINT end it: what is in flight is answered, and its events are sent.

    Example:
      simple-server --listen 127.0.0.1:8081 --events-socket /run/metrics/events.sock

    Exit codes:
      0  ended by a signal
      1  something was in the way: an address in use, files that cannot be read
      2  a wrong flag or variable

    """

  private static let healthcheck = """
    Asks the server that serves on --listen. For a container's HEALTHCHECK or a probe.

    Example:
      simple-server healthcheck --listen 127.0.0.1:8081

    Exit codes:
      0  GET /health answers 200
      1  it answers something else, or nothing within two seconds
      2  a wrong flag or variable

    """

  private static let stress = """
    Inside its own container, to see the autoscaler and the alerts work.

    Example:
      simple-server stress --cpu 2 --memory 24MiB --duration 6m

    Exit codes:
      0  the time has passed
      1  a thread could not be started
      2  a wrong flag or variable

    """

  private static let sleep = """
    From 0 to 3600 seconds.

    Example:
      simple-server sleep 5

    Exit codes:
      0  the time has passed
      2  no such number

    """
}
