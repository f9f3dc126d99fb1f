// every-kind SOCKET: one metric of each kind that swift-metrics has.
import Metrics
import SidecarEvents
import SidecarMetrics

let client = SessionClient(
  path: CommandLine.arguments.dropFirst().first ?? "/run/metrics/events.sock")
MetricsSystem.bootstrap(SidecarMetrics(client))

Counter(label: "jobs.done", dimensions: [("queue", "mail")]).increment(by: 3)
FloatingPointCounter(label: "cpu.seconds").increment(by: 0.25)
Meter(label: "connections").set(4)
Meter(label: "connections").decrement(by: 1)
Gauge(label: "temperature").record(-1.5)
Recorder(label: "answer.bytes").record(512)
Timer(label: "job.duration").recordMilliseconds(250)

print(client.close() ? "all is counted" : "the sidecar did not come")
