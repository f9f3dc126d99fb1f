// swift-tools-version: 6.3
//
// One source, two builds:
//   swift build             the normal form: tests, sanitizers, coverage, debugging
//   EMBEDDED=1 swift build  the release form: Embedded Swift, static, under a megabyte (`make dist`)
import PackageDescription

let isEmbedded = Context.environment["EMBEDDED"] == "1"

/// For a target whose most code is not run for each event; functions that are say
/// `@_optimize(speed)`. One pass is left out: the compiler (6.3) takes the stores of an array literal
/// for dead where only its span is read.
let forSize = ["-Osize", "-Xllvm", "-sil-disable-pass=dead-store-elimination"]

func swiftSettings(optimised flags: [String] = ["-O"]) -> [SwiftSetting] {
  [.enableExperimentalFeature("Lifetimes"), .strictMemorySafety()]
    + (isEmbedded
      ? [.enableExperimentalFeature("Embedded"), .unsafeFlags(["-wmo"] + flags)] : [])
}

// Planned faults exist in debug builds only; a release build has no trace of them.
let cSettings: [CSetting] = [.define("CLINUX_FAULTS", .when(configuration: .debug))]

let libraries: [Target] = [
  .target(
    name: "CLinux", cSettings: cSettings,
    // The release form is linked with musl, which has the mathematics in its one library.
    linkerSettings: isEmbedded ? [] : [.linkedLibrary("m")]),
  .target(name: "Platform", dependencies: ["CLinux"], swiftSettings: swiftSettings()),
  .target(name: "HTTP", dependencies: ["Platform"], swiftSettings: swiftSettings()),
  .target(name: "Events", dependencies: ["CLinux", "Platform"], swiftSettings: swiftSettings()),
]

let programs: [Target] = [
  .executableTarget(
    name: "App", dependencies: ["Platform", "HTTP", "Events"], swiftSettings: swiftSettings()),
  .executableTarget(
    name: "MetricsSidecar", dependencies: ["CLinux", "Platform", "HTTP", "Events"],
    exclude: [
      "README.md", "Page/page.html", "Page/page.css", "Page/store.js", "Page/format.js",
      "Page/list.js", "Page/detail.js", "Page/main.js",
    ],
    swiftSettings: swiftSettings(optimised: forSize)),
]

let tests: [Target] =
  isEmbedded
  ? []
  : [
    // Reads Tests/Corpus and bends it, for the fuzz suites of the others.
    .target(name: "FuzzSupport", path: "Tests/FuzzSupport", exclude: ["README.md"]),
    .target(name: "CCanary", path: "Tests/CCanary"),
    .testTarget(name: "FuzzSupportTests", dependencies: ["FuzzSupport", "CCanary"]),
    .testTarget(name: "PlatformTests", dependencies: ["Platform"]),
    .testTarget(name: "HTTPTests", dependencies: ["HTTP", "FuzzSupport"]),
    .testTarget(name: "EventsTests", dependencies: ["Events", "FuzzSupport"]),
    .testTarget(name: "AppTests", dependencies: ["App"]),
    .testTarget(name: "MetricsSidecarTests", dependencies: ["MetricsSidecar", "FuzzSupport"]),
    .testTarget(
      name: "SimulationTests", dependencies: ["Events", "MetricsSidecar", "FuzzSupport"]),
  ]

let package = Package(
  name: "metrics-sidecar",
  products: [
    .executable(name: "simple-server", targets: ["App"]),
    .executable(name: "metrics-sidecar", targets: ["MetricsSidecar"]),
    .library(name: "Events", targets: ["Events"]),
  ],
  dependencies: [],
  targets: libraries + programs + tests,
  swiftLanguageModes: [.v6]
)
