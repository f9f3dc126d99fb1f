// swift-tools-version: 6.3
//
// Services of your own that count exactly once. `count-jobs` depends on the product `SidecarEvents`
// alone. `orders` is a Hummingbird service and `every-kind` a program whose metrics are
// swift-metrics'; `Sources/SidecarMetrics` is the backend that they have, one file to copy.
import PackageDescription

let package = Package(
  name: "examples",
  dependencies: [
    // In your package: .package(url: "https://…/metrics-sidecar", from: "0.1.0")
    .package(name: "metrics-sidecar", path: ".."),
    .package(url: "https://github.com/apple/swift-metrics.git", from: "2.9.0"),
    .package(
      url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.20.0", traits: []),
  ],
  targets: [
    .executableTarget(
      name: "count-jobs",
      dependencies: [.product(name: "SidecarEvents", package: "metrics-sidecar")],
      path: "Sources/CountJobs"),
    .target(
      name: "SidecarMetrics",
      dependencies: [
        .product(name: "SidecarEvents", package: "metrics-sidecar"),
        .product(name: "CoreMetrics", package: "swift-metrics"),
      ]),
    .executableTarget(
      name: "every-kind",
      dependencies: ["SidecarMetrics", .product(name: "Metrics", package: "swift-metrics")],
      path: "Sources/EveryKind"),
    .executableTarget(
      name: "orders",
      dependencies: [
        "SidecarMetrics", .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "Hummingbird", package: "hummingbird"),
      ],
      path: "Sources/Orders"),
  ],
  swiftLanguageModes: [.v6]
)
