import Testing

@testable import SidecarPlatform

private let table = [
  Option("listen", "ADDR", "0.0.0.0:8000", "Where to serve."),
  Option("max-series", "N", "10000", "Most series."),
  Option("state-size", "SIZE", "64MiB", "Most bytes."),
  Option("grace", "TIME", "10s", "How long."),
  Option("push", nil, "false", "Push API."),
]

private func parse(_ arguments: [String], environment: [String: String] = [:]) throws(Options
  .Mistake)
  -> Options
{
  try Options(
    table, prefix: "TOOL", arguments: arguments, environment: { environment[$0] }, command: "tool")
}

private func message(_ body: () throws(Options.Mistake) -> Void) -> String {
  do throws(Options.Mistake) { try body() } catch { return error.message }
  return ""
}

@Suite struct OptionsTests {
  @Test func `a flag wins over the environment, which wins over the default`() throws {
    #expect(try parse([]).text("listen") == "0.0.0.0:8000")
    let environment = ["TOOL_MAX_SERIES": "5"]
    #expect(try parse([], environment: environment).number("max-series", in: 1...100) == 5)
    #expect(
      try parse(["--max-series=6"], environment: environment).number("max-series", in: 1...9) == 6)
  }

  @Test func `both spellings of a value are the same`() throws {
    #expect(try parse(["--max-series", "7"]).text("max-series") == "7")
    #expect(try parse(["--max-series=7"]).text("max-series") == "7")
    #expect(try parse(["--push"]).flag("push"))
    #expect(try parse(["--", "--push"]).operands == ["--push"])
  }

  @Test(arguments: [
    (["--max-serie", "1"], "unknown flag --max-serie: did you mean --max-series?"),
    (["--zzzzzzz"], "unknown flag --zzzzzzz: 'tool --help' lists the flags"),
    (["-x"], "unknown flag -x: 'tool --help' lists the flags"),
    (["--listen"], "--listen needs a value: --listen ADDR"),
    (["--push=maybe"], "--push is a switch: true or false, not 'maybe'"),
  ])
  func `a wrong flag is answered with what to do`(_ arguments: [String], _ expected: String) {
    #expect(message { () throws(Options.Mistake) in _ = try parse(arguments) } == expected)
  }

  @Test func `a mistake names what was written, the flag or the variable`() {
    let environment = ["TOOL_MAX_SERIES": "many"]
    func number(_ arguments: [String]) -> String {
      message { () throws(Options.Mistake) in
        _ = try parse(arguments, environment: environment).number("max-series", in: 1...9)
      }
    }
    #expect(number([]) == "TOOL_MAX_SERIES takes a whole number from 1 to 9, not 'many'")
    #expect(number(["--max-series=0"]) == "--max-series takes a whole number from 1 to 9, not '0'")
  }

  @Test(
    arguments: [
      ("0", nil), ("1", 1), ("64KiB", 65536), ("2M", 2 << 20), ("1x", nil), ("-1", nil), ("", nil),
      ("99999999999999999999", nil),
    ] as [(String, Int?)])
  func `sizes are read as people write them`(_ text: String, _ expected: Int?) throws {
    let options = try parse(["--state-size=\(text)"])
    #expect((try? options.byteCount("state-size", in: 1...(1 << 30))) == expected)
  }

  @Test(
    arguments: [
      ("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("3", 3000), ("1m30s", 90_000), ("1d", nil),
      ("1m30", nil), ("s", nil), ("", nil), ("99999999999999999d", nil), ("5m99999999999d", nil),
    ] as [(String, Int64?)])
  func `times are read as people write them`(_ text: String, _ expected: Int64?) throws {
    let options = try parse(["--grace=\(text)"])
    #expect((try? options.milliseconds("grace", in: 1...1_000_000)) == expected)
  }

  @Test(
    arguments: [
      ("0.0.0.0:8000", NetworkAddress(host: "0.0.0.0", port: 8000)),
      (":8000", NetworkAddress(host: "0.0.0.0", port: 8000)),
      ("[::1]:80", NetworkAddress(host: "::1", port: 80)),
      ("::1:80", nil), ("host", nil), ("host:70000", nil), ("host:", nil),
    ] as [(String, NetworkAddress?)])
  func `an address is a host and a port`(_ text: String, _ expected: NetworkAddress?) {
    #expect(NetworkAddress(text) == expected)
  }

  @Test func `a variable that is nearly a setting's is told, others are left alone`() {
    let names = ["_MAX_SERIE", "_MAX_SERIES", "_PORT", "_SERVICE_HOST", "_", "", "_LISTENS"]
    #expect(
      Options.misspelled(table, prefix: "TOOL", among: names) == [
        "TOOL_MAX_SERIE is no setting: did you mean TOOL_MAX_SERIES?",
        "TOOL_LISTENS is no setting: did you mean TOOL_LISTEN?",
      ])
  }

  @Test func `variables are found by their prefix`() {
    #expect(Process.environment(behind: "PAT").contains("H"))
    #expect(Process.environment(behind: "NO_SUCH_PREFIX").isEmpty)
  }

  @Test func `help names the variable and the default of each flag`() {
    let help = Options.help(table, prefix: "TOOL")
    #expect(help.contains("--max-series N\n"))
    #expect(help.contains("[TOOL_MAX_SERIES, default: 10000]"))
  }
}
