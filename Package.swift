// swift-tools-version: 6.3
//
// One source, two builds:
//   swift build             the normal form: tests, sanitizers, coverage, debugging
//   EMBEDDED=1 swift build  the release form: Embedded Swift, static, under 1 MiB (`make dist`)
import PackageDescription

let isEmbedded = Context.environment["EMBEDDED"] == "1"

/// For size, of all code that is not run for each event or each byte of a request; functions that
/// are say `@_optimize(speed)`. Instructions that stand in several places are moved to one routine.
/// Passes that write code twice for speed are left out, as is one with a fault: the compiler (6.3)
/// takes the stores of an array literal for dead where only its span is read.
let forSize =
  ["-Osize", "-Xllvm", "-enable-machine-outliner=always", "-Xllvm", "-sink-common-insts"]
  + [
    "dead-store-elimination", "array-property-opts", "closure-specialize", "early-inline",
    "loop-rotate", "loop-unroll",
  ].flatMap { ["-Xllvm", "-sil-disable-pass=\($0)"] }

let swiftSettings: [SwiftSetting] =
  [.enableExperimentalFeature("Lifetimes"), .strictMemorySafety()]
  + (isEmbedded
    ? [.enableExperimentalFeature("Embedded"), .unsafeFlags(["-wmo"] + forSize)] : [])

// Planned faults exist in debug builds only; a release build has no trace of them.
let cSettings: [CSetting] =
  [.define("CLINUX_FAULTS", .when(configuration: .debug))]
  + (isEmbedded ? [.define("CLINUX_WITHOUT_UNICODE_TABLES")] : [])

// Folders have the short names; modules have a prefix, so that a package with a target `App` or
// `HTTP` of its own can depend on this one.
let libraries: [Target] = [
  .target(
    name: "CSidecarLinux", path: "Sources/CLinux", cSettings: cSettings,
    // The release form is linked with musl, which has the mathematics in its one library.
    linkerSettings: isEmbedded ? [] : [.linkedLibrary("m")]),
  .target(
    name: "SidecarPlatform", dependencies: ["CSidecarLinux"], path: "Sources/Platform",
    swiftSettings: swiftSettings),
  .target(
    name: "SidecarHTTP", dependencies: ["SidecarPlatform"], path: "Sources/HTTP",
    swiftSettings: swiftSettings),
  // What a rules file is made of: JSON, names, patterns, templates.
  .target(
    name: "SidecarRules", dependencies: ["SidecarPlatform"], path: "Sources/Rules",
    swiftSettings: swiftSettings),
  .target(
    name: "SidecarEvents", dependencies: ["CSidecarLinux", "SidecarPlatform"],
    path: "Sources/Events",
    // What programs of others use, which no program here does.
    exclude: isEmbedded ? ["Client"] : [], swiftSettings: swiftSettings),
]

let programs: [Target] = [
  // The browser's page, by #embed; Scripts/page writes it.
  .target(
    name: "CSidecarDashboard", path: "Sources/CDashboard",
    exclude: ["page.html.gz", "policy.txt"]),
  .executableTarget(
    name: "SidecarApp", dependencies: ["SidecarPlatform", "SidecarHTTP", "SidecarEvents"],
    path: "Sources/App", swiftSettings: swiftSettings),
  .executableTarget(
    name: "MetricsSidecar",
    dependencies: [
      "CSidecarLinux", "CSidecarDashboard", "SidecarPlatform", "SidecarHTTP", "SidecarEvents",
      "SidecarRules",
    ],
    exclude: [
      "README.md", "Dashboard/page.html", "Dashboard/page.css", "Dashboard/store.js",
      "Dashboard/format.js", "Dashboard/list.js", "Dashboard/detail.js", "Dashboard/main.js",
    ],
    swiftSettings: swiftSettings),
  .executableTarget(
    name: "SidecarConvertRules", dependencies: ["SidecarPlatform", "SidecarRules"],
    path: "Sources/ConvertRules", swiftSettings: swiftSettings),
]

/// The tests in Tests/`folder`.
func test(_ folder: String, of modules: Target.Dependency...) -> Target {
  let name = folder.hasPrefix("MetricsSidecar") ? folder : "Sidecar" + folder
  return .testTarget(name: name, dependencies: modules, path: "Tests/" + folder)
}

let tests: [Target] =
  isEmbedded
  ? []
  : [
    // Reads Tests/Corpus and bends it, for the fuzz suites of the others.
    .target(name: "SidecarFuzzSupport", path: "Tests/FuzzSupport", exclude: ["README.md"]),
    .target(name: "CSidecarCanary", path: "Tests/CCanary"),
    test("FuzzSupportTests", of: "SidecarFuzzSupport", "CSidecarCanary"),
    // The countable rules of the house, looked for in every tracked file.
    test("TidyTests"),
    test("PlatformTests", of: "SidecarPlatform", "SidecarFuzzSupport"),
    test("HTTPTests", of: "SidecarHTTP", "SidecarFuzzSupport"),
    test("EventsTests", of: "SidecarEvents", "SidecarFuzzSupport"),
    test("AppTests", of: "SidecarApp"),
    test("RulesTests", of: "SidecarRules", "SidecarFuzzSupport"),
    test(
      "MetricsSidecarTests", of: "MetricsSidecar", "SidecarConvertRules", "SidecarFuzzSupport"),
    test("SimulationTests", of: "SidecarEvents", "MetricsSidecar", "SidecarFuzzSupport"),
  ]

let package = Package(
  name: "metrics-sidecar",
  products: [
    .executable(name: "simple-server", targets: ["SidecarApp"]),
    .executable(name: "metrics-sidecar", targets: ["MetricsSidecar"]),
    .executable(name: "convert-rules", targets: ["SidecarConvertRules"]),
    .library(name: "SidecarEvents", targets: ["SidecarEvents"]),
  ],
  dependencies: [],
  targets: libraries + programs + tests,
  swiftLanguageModes: [.v6]
)
