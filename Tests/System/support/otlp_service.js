// A service of four processes, each with an SDK of its own, as docs/clients.md has it for Node.
const cluster = require("cluster");
const http = require("http");

if (cluster.isPrimary) {
  let isEnding = false;
  for (let i = 0; i < 4; i++) cluster.fork();
  cluster.on("exit", () => isEnding || cluster.fork());
  process.on("SIGTERM", () => {
    isEnding = true;
    for (const worker of Object.values(cluster.workers)) worker.process.kill("SIGTERM");
  });
} else {
  const { AggregationType, MeterProvider, PeriodicExportingMetricReader } =
    require("@opentelemetry/sdk-metrics");
  const { OTLPMetricExporter } =
    require("@opentelemetry/exporter-metrics-otlp-" + process.env.KIND);
  const { resourceFromAttributes } = require("@opentelemetry/resources");
  const { randomUUID } = require("crypto");
  const provider = new MeterProvider({
    resource: resourceFromAttributes({
      "service.name": process.env.OTEL_SERVICE_NAME, "service.instance.id": randomUUID() }),
    readers: [new PeriodicExportingMetricReader({
      exporter: new OTLPMetricExporter(),
      exportIntervalMillis: Number(process.env.OTEL_METRIC_EXPORT_INTERVAL),
      exportTimeoutMillis: 400 })],
    views: [{ instrumentName: "size",
              aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }] });
  const meter = provider.getMeter("test");
  const served = meter.createCounter("served", { unit: "{request}" });
  const active = meter.createUpDownCounter("in.progress");
  const seconds = meter.createHistogram("http.server.request.duration", {
    unit: "s", advice: { explicitBucketBoundaries: [0.005, 0.05, 0.5] } });
  const size = meter.createHistogram("size", { unit: "By" });
  meter.createObservableCounter("system.boots").addCallback((result) => result.observe(7));

  let count = 0;
  const server = http.createServer((request, answer) => {
    active.add(1);
    served.add(1, { route: "/hello" });
    seconds.record(0.001);
    size.record(count % 17);
    active.add(-1);
    answer.setHeader("Connection", "close");
    answer.end("ok");
    if (++count === Number(process.env.MAX)) end();
  });
  const end = () => server.close(() => provider.shutdown().then(() => process.exit(0)));
  process.on("SIGTERM", end);
  server.listen(Number(process.env.PORT), "127.0.0.1");
}
