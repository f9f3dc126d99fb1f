// orders SOCKET PORT: a Hummingbird service. Its middleware and its own code count by
// swift-metrics; an order is counted before it is answered, so that not even a kill of the service
// loses one.
import Hummingbird
import Metrics
import SidecarEvents
import SidecarMetrics

let arguments = CommandLine.arguments
let client = SessionClient(path: arguments.count > 1 ? arguments[1] : "/run/metrics/events.sock")
let port = arguments.count > 2 ? Int(arguments[2]) ?? 8080 : 8080
client.declare("orders_total", .counter, help: "Orders that were taken")
client.declare("http_server_active_requests", .gauge(merge: .liveSum), help: "Requests in hand")
MetricsSystem.bootstrap(SidecarMetrics(client))

let orders = Counter(label: "orders_total", dimensions: [("kind", "web")])
let router = Router()
router.middlewares.add(MetricsMiddleware())
router.post("/orders") { _, _ in
  orders.increment()
  client.flush()  // the kernel has it, whatever becomes of this process
  return HTTPResponse.Status.created
}

let app = Application(
  router: router, configuration: .init(address: .hostname("127.0.0.1", port: port)))
try await app.runService()  // until SIGTERM or SIGINT, and what is in hand is answered
client.close()
