import Testing

@testable import SidecarEvents

/// `name{tag=value,…}`, or `-` if the name has no tags.
private func outcome(_ name: String, _ dialects: TagDialects = .all) -> String {
  let bytes = Array(name.utf8)
  guard let split = dialects.split(bytes[...]) else { return "-" }
  func text(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: Array(bytes), as: UTF8.self)
  }
  let tags = split.tags.map { "\(text($0.name))=\(text($0.value))" }
  return "\(text(split.name)){\(tags.joined(separator: ","))}"
}

@Suite struct TagDialectsTests {
  @Test(arguments: [
    ("a", "-"), ("a.b-c", "-"),
    ("a#t=v", "a{t=v}"), ("a#t=v,u=w", "a{t=v,u=w}"), ("a#", "a{}"),
    ("a,t=v", "a{t=v}"), ("a,t=v,u=w", "a{t=v,u=w}"), ("a,t=v=w", "a{t=v=w}"),
    ("a[t=v]", "a{t=v}"), ("a[t=v,u=w].b", "a.b{t=v,u=w}"), ("[t=v]a", "a{t=v}"),
    ("a[]", "a{}"),
    ("a[t=v],u=w", "a,u=w{t=v}"), ("a#t=v#u=w", "a{t=v#u=w}"),
    ("a[t=v", "-"), ("a]t=v", "-"), ("a]t=v[", "-"), ("a[t=v,u=w", "-"),
    ("a,t", "a{}"), ("a,=v", "a{}"), ("a,t=", "a{}"), ("a,,t=v,", "a{t=v}"),
    ("#t=v", "{t=v}"),
  ])
  func `tags in a name are read as statsd_exporter reads them`(_ name: String, _ expected: String) {
    #expect(outcome(name) == expected)
  }

  @Test(arguments: [
    ("a#t=v", TagDialects.librato), ("a,t=v", .influxDB), ("a[t=v]", .signalFX),
  ])
  func `each dialect can be switched off`(_ name: String, _ dialect: TagDialects) {
    #expect(outcome(name, dialect) == "a{t=v}")
    #expect(outcome(name, TagDialects.all.subtracting(dialect)) == "-")
    #expect(outcome(name, []) == "-")
  }
}
