// swift-tools-version: 6.3
//
// A service of your own that counts exactly once: it depends on the product `SidecarEvents` alone.
import PackageDescription

let package = Package(
  name: "examples",
  dependencies: [
    // In your package: .package(url: "https://…/metrics-sidecar", from: "0.1.0")
    .package(name: "metrics-sidecar", path: "..")
  ],
  targets: [
    .executableTarget(
      name: "count-jobs",
      dependencies: [.product(name: "SidecarEvents", package: "metrics-sidecar")],
      path: "Sources/CountJobs")
  ],
  swiftLanguageModes: [.v6]
)
