import SidecarEvents
import SidecarHTTP
import SidecarPlatform

/// The flags of `metrics-sidecar`: one table, from which parser, help and environment follow.
struct Settings: Sendable {
  static let prefix = "METRICS_SIDECAR"

  static let table: [Option] = [
    Option("listen", "HOST:PORT", "0.0.0.0:8000", "Where /metrics is served."),
    Option(
      "allowed-hosts", "NAMES", "",
      "Names by which browsers may read, separated by commas, besides numeric addresses and "
        + "localhost. *: any. Scrapers and other programs may use any name."),
    Option(
      "events-socket", "PATH", "/run/metrics/events.sock",
      "Stream socket for frames with acknowledgements, or plain lines. @NAME: one without a file. "
        + "Empty: none."),
    Option(
      "statsd-socket", "PATH", "/run/metrics/statsd.sock",
      "Datagram socket for StatsD and DogStatsD clients. @NAME: one without a file. Empty: none."),
    Option(
      "statsd-udp", "HOST:PORT", "", "StatsD and DogStatsD over UDP, such as 127.0.0.1:8125."),
    Option("statsd-tcp", "HOST:PORT", "", "StatsD lines over TCP, such as 127.0.0.1:8125."),
    Option(
      "spectator-socket", "PATH", "",
      "Datagram socket for Netflix's spectator clients. Empty: none."),
    Option("parse-librato-tags", nil, "true", "Read name#tag=value:1|c as tags."),
    Option("parse-influxdb-tags", nil, "true", "Read name,tag=value:1|c as tags."),
    Option("parse-signalfx-tags", nil, "true", "Read name[tag=value]:1|c as tags."),
    Option(
      "gauge-minus", "auto|step|value", "auto",
      "What level:-5|g means: a step down on UDP, TCP and plain lines, and the value -5 on Unix "
        + "datagrams and in frames (auto), or the same everywhere."),
    Option(
      "utf8-names", nil, "false",
      "Offer names as clients wrote them (http.requests) to scrapers that ask for UTF-8."),
    Option(
      "created-lines", nil, "false",
      "Write each series' start time as a _created line in OpenMetrics. A Prometheus that does not "
        + "read them as start times stores them as extra series."),
    Option(
      "supervise", nil, "false",
      "A parent keeps the sockets open and starts another worker when one is killed."),
    Option(
      "linger", "TIME", "0",
      "After SIGTERM, how long to wait at most until clients have left and the last events are "
        + "scraped. A second SIGTERM ends it at once. 0: not at all."),
    Option("socket-mode", "MODE", "0660", "Permissions of the Unix sockets, in octal."),
    Option(
      "socket-group", "GID", "",
      "Group of the Unix sockets, by number. Empty: the process's own."),
    Option(
      "receive-buffer", "SIZE", "4MiB",
      "What the kernel may hold for the UDP socket; net.core.rmem_max bounds it."),
    Option(
      "state", "FILE", "/var/lib/metrics-sidecar/state",
      "The memory-mapped file that survives a kill. Falls back to a file beside the events socket "
        + "when its folder cannot be written."),
    Option("state-size", "SIZE", "256MiB", "The most the state file may grow to."),
    Option(
      "max-damaged-files", "N", "3",
      "Damaged state files kept under another name; the oldest makes room."),
    Option(
      "rules", "FILE", "",
      "Rules that turn events into families (JSON), read again on SIGHUP and POST /-/reload. "
        + "Empty: every event has its own name."),
    Option("max-series", "N", "10000", "Series kept; beyond it new ones are refused and counted."),
    Option(
      "max-exposition-size", "SIZE", "0",
      "Text of all series' lines; beyond it new series and pushes are refused and counted. "
        + "0: 1KiB for each of --max-series, at least 1MiB."),
    Option("max-family-series", "N", "0", "Series kept of one family; 0: as many as of all."),
    Option("max-families", "N", "5000", "Families; beyond it events without a rule make none."),
    Option(
      "series-ttl", "TIME", "0",
      "How long a series outlives its last event, unless its rule says otherwise. 0: forever."),
    Option(
      "session-ttl", "TIME", "0",
      "How long a session outlives its last frame and its connection. 0: until it makes room."),
    Option("max-sessions", "N", "4096", "Sessions remembered; the longest silent one makes room."),
    Option("max-connections", "N", "1024", "Clients of the events socket at once."),
    Option("max-tcp-connections", "N", "256", "Clients of --statsd-tcp at once."),
    Option("max-frame-size", "SIZE", "1MiB", "The longest frame on the events socket."),
    Option("max-datagram-size", "SIZE", "64KiB", "The longest datagram on Unix sockets and UDP."),
    Option("max-line-length", "SIZE", "8KiB", "The longest line of one event."),
    Option("max-labels", "N", "32", "The most labels of a series."),
    Option("max-name-length", "SIZE", "256", "The longest name of an event or a tag."),
    Option("max-label-value-length", "SIZE", "1KiB", "The longest value of a tag."),
    Option(
      "max-gauge-clients", "N", "32", "Clients that report one series of a gauge with \"merge\"."),
    Option("max-exemplars", "N", "10000", "Exemplars kept, the last one of a counter or bucket."),
    Option(
      "history", "SIZE", "256KiB",
      "Values of earlier scrapes, for the plots of the page: about an hour. 0: none."),
    Option("max-http-connections", "N", "256", "HTTP connections at once."),
    Option(
      "max-unread-pages", "SIZE", "16MiB",
      "The part of --max-client-memory for expositions that are not read yet, or two expositions "
        + "if that is more."),
    Option(
      "max-client-memory", "SIZE", "24MiB",
      "What all clients together may hold: unfinished requests and frames, answers and expositions "
        + "that nobody has read yet."),
    Option(
      "otlp", "HOST:PORT", "",
      "Take metrics of OpenTelemetry SDKs: OTLP/HTTP at /v1/metrics, such as localhost:4318."),
    Option(
      "otlp-resource-labels", "NAMES", "",
      "Attributes of the resource that become labels of each series, with commas between them, "
        + "such as service.namespace."),
    Option(
      "otlp-scope-labels", nil, "false",
      "Have name, version and attributes of the scope as labels of each series."),
    Option(
      "max-otlp-size", "SIZE", "4MiB",
      "The longest body of a request of OTLP, before and after it is decompressed."),
    Option(
      "max-otlp-streams", "N", "40000",
      "Writers of cumulative series that are remembered; one silent for ten minutes makes room."),
    Option("push", nil, "false", "Accept pushes as Pushgateway does, at /metrics/job/…"),
    Option("push-admin", nil, "false", "Allow PUT /api/v1/admin/wipe, which deletes all groups."),
    Option(
      "push-ttl", "TIME", "0",
      "How long a group outlives its last push, unless the push says otherwise. 0: forever."),
    Option(
      "push-aggregate", nil, "false",
      "Add pushes up, as ?mode=aggregate does, unless the push says otherwise."),
    Option(
      "push-gauges", "last|sum|max", "last", "How gauges are merged in pushes that are added up."),
    Option(
      "push-auth", "FILE", "",
      "Who may push: a file of lines from hash-password. Empty: everybody."),
    Option(
      "max-push-size", "SIZE", "1MiB",
      "The longest body of a push, before and after it is "
        + "decompressed."),
    Option("max-push-groups", "N", "10000", "Groups kept."),
    Option("max-push-series", "N", "100000", "Series kept over all groups."),
    Option(
      "max-push-group-size", "SIZE", "8MiB",
      "The most bytes of one group, with the labels of its path in each series."),
    Option("log-format", "text|json", "text", "How log lines look."),
    Option("log-level", "LEVEL", "info", "debug, info, warning or error."),
  ]

  var listen = NetworkAddress(host: "0.0.0.0", port: 8000)
  var browsers = BrowserGuard()
  var eventsSocket = ""
  var statsdSocket = ""
  var statsdUDP: NetworkAddress?
  var statsdTCP: NetworkAddress?
  var spectatorSocket = ""
  var dialects = TagDialects()
  var gaugeMinus = GaugeMinus.auto
  var hasUTF8Names = false
  var hasCreatedLines = false
  var supervises = false
  var lingerNanoseconds: UInt64 = 0
  var receiveBufferByteCount = 4 << 20
  var socketMode: UInt32 = 0o660
  var socketGroup: Int64 = -1
  var state = ""
  var rules = ""
  var limits = Limits()
  var push = PushSettings()
  var otlp = OTLPSettings()
  var log = Log()

  init(_ options: Options) throws(Options.Mistake) {
    listen = try options.address("listen")
    browsers = BrowserGuard(allowing: options.text("allowed-hosts"))
    eventsSocket = options.text("events-socket")
    statsdSocket = options.text("statsd-socket")
    statsdUDP = try Self.optionalAddress(options, "statsd-udp")
    statsdTCP = try Self.optionalAddress(options, "statsd-tcp")
    spectatorSocket = options.text("spectator-socket")
    if try options.flag("parse-librato-tags") { dialects.insert(.librato) }
    if try options.flag("parse-influxdb-tags") { dialects.insert(.influxDB) }
    if try options.flag("parse-signalfx-tags") { dialects.insert(.signalFX) }
    guard let minus = GaugeMinus(name: options.text("gauge-minus")) else {
      throw options.mistake("gauge-minus", "is auto, step or value")
    }
    gaugeMinus = minus
    hasUTF8Names = try options.flag("utf8-names")
    hasCreatedLines = try options.flag("created-lines")
    supervises = try options.flag("supervise")
    lingerNanoseconds = UInt64(try options.milliseconds("linger", in: 0...3_600_000)) * 1_000_000
    receiveBufferByteCount = try options.byteCount("receive-buffer", in: 4096...(1 << 30))
    guard let mode = UInt32(options.text("socket-mode"), radix: 8), mode <= 0o777 else {
      throw options.mistake("socket-mode", "takes permissions in octal such as 0660")
    }
    socketMode = mode
    if options.text("socket-group") != "" {
      socketGroup = Int64(try options.number("socket-group", in: 0...0x7fff_ffff))
    }
    state = options.text("state")
    rules = options.text("rules")
    limits.series = try options.number("max-series", in: 1...10_000_000)
    limits.expositionByteCount = try options.byteCount("max-exposition-size", in: 0...(1 << 30))
    if limits.expositionByteCount == 0 {
      limits.expositionByteCount = min(max(limits.series, 1024), 1 << 20) << 10
    }
    let familySeries = try options.number("max-family-series", in: 0...10_000_000)
    limits.familySeries = familySeries == 0 ? limits.series : familySeries
    limits.seriesTimeToLive = try Self.timeToLive(options, "series-ttl")
    limits.sessionTimeToLive = try Self.timeToLive(options, "session-ttl")
    limits.families = try options.number("max-families", in: 1...65_000)
    limits.nameByteCount = try options.byteCount("max-name-length", in: 16...65_536)
    limits.labelValueByteCount = try options.byteCount(
      "max-label-value-length", in: 16...65_536)
    limits.sessions = try options.number("max-sessions", in: 1...1_000_000)
    limits.connections = try options.number("max-connections", in: 1...100_000)
    limits.tcpConnections = try options.number("max-tcp-connections", in: 1...100_000)
    limits.frameByteCount = try options.byteCount("max-frame-size", in: 256...(64 << 20))
    limits.datagramByteCount = try options.byteCount("max-datagram-size", in: 256...65_536)
    limits.lineByteCount = try options.byteCount("max-line-length", in: 64...(1 << 20))
    limits.labels = try options.number("max-labels", in: 1...256)
    limits.stateByteCount = try options.byteCount("state-size", in: (1 << 20)...(1 << 30))
    limits.damagedFiles = try options.number("max-damaged-files", in: 0...1000)
    limits.exemplars = try options.number("max-exemplars", in: 0...1_000_000)
    limits.historyByteCount = try options.byteCount("history", in: 0...(64 << 20))
    limits.gaugeClients = try options.number("max-gauge-clients", in: 1...10_000)
    limits.unreadPageByteCount = try options.byteCount(
      "max-unread-pages", in: (1 << 20)...(1 << 30))
    limits.clientMemoryByteCount = try options.byteCount(
      "max-client-memory", in: (1 << 20)...(1 << 30))
    guard limits.frameByteCount * 2 <= limits.clientMemoryByteCount else {
      throw options.mistake("max-frame-size", "is at most half of --max-client-memory")
    }
    limits.httpConnections = try options.number("max-http-connections", in: 1...100_000)
    push = try PushSettings(options, labels: limits.labels)
    otlp = try OTLPSettings(options, &limits)
    push.limits.expositionByteCount = limits.expositionByteCount
    log = try Self.log(options)
  }

  /// In nanoseconds: 0, or from a second to a year.
  private static func timeToLive(
    _ options: Options, _ name: String
  ) throws(Options.Mistake) -> UInt64 {
    let milliseconds = try options.milliseconds(name, in: 0...366 * 86_400_000)
    if milliseconds > 0, milliseconds < 1000 {
      throw options.mistake(name, "is at least 1s, or 0 for no end")
    }
    return UInt64(milliseconds) * 1_000_000
  }

  private static func optionalAddress(
    _ options: Options, _ name: String
  ) throws(Options.Mistake) -> NetworkAddress? {
    options.text(name).isEmpty ? nil : try options.address(name)
  }

  private static func log(_ options: Options) throws(Options.Mistake) -> Log {
    let format: Log.Format
    switch options.text("log-format") {
    case "text": format = .text
    case "json": format = .json
    default:
      throw options.mistake("log-format", "is text or json")
    }
    guard let level = Log.Level(name: options.text("log-level")) else {
      throw options.mistake("log-level", "is debug, info, warning or error")
    }
    return Log(minimum: level, format: format)
  }
}
