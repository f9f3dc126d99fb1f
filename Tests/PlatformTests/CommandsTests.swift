import Testing

@testable import SidecarPlatform

private let listen = Option("listen", "HOST:PORT", "0.0.0.0:80", "Where to serve.")
private let tool = Commands(
  "tool", prefix: "TOOL", "does things.",
  [
    Command(
      "serve", "", [listen, Option("push", nil, "false", "Take pushes.")], "serve things", "s\n"),
    Command("emit", "LINE…", [Option("socket", "PATH", "s", "Where to.")], "send", "An example.\n"),
    Command("check", "FILE", [], "check a file", "c\n"),
    Command("ready", "", [listen], "ask", "r\n"),
  ])

/// What a command line comes to, in a word: the command, its operands and its flag's value; the
/// first line of a text; or `!` and the mistake.
private func outcome(_ line: String, _ environment: [String: String] = [:]) -> String {
  let arguments = line.split(separator: " ").map(String.init)
  do throws(Options.Mistake) {
    switch try tool.read(arguments, environment: { environment[$0] }) {
    case .text(let text): return String(text.prefix { $0 != "\n" })
    case .run(let name, let options):
      let value =
        name == "emit" ? options.text("socket") : name == "check" ? "" : options.text("listen")
      return ([name] + options.operands + [value]).joined(separator: " ")
    }
  } catch { return "!" + error.message }
}

@Suite struct CommandsTests {
  @Test(arguments: [
    ("", "serve 0.0.0.0:80"),
    ("--push", "serve 0.0.0.0:80"),
    ("serve --listen :1", "serve :1"),
    ("--listen serve", "serve serve"),
    ("--listen=:1 ready", "ready :1"),
    ("--listen :1 ready", "ready :1"),
    ("emit a b", "emit a b s"),
    ("emit a --socket x", "emit a x"),
    ("--socket x emit a", "emit a x"),
    ("emit -- --socket", "emit --socket s"),
    ("check f", "check f "),
  ])
  func `a command is found wherever it stands`(_ line: String, _ expected: String) {
    #expect(outcome(line) == expected)
  }

  @Test(arguments: [
    ("--help", "tool: does things."),
    ("help", "tool: does things."),
    ("-h --push", "tool: does things."),
    ("serve --help", "tool serve [flags]: serve things"),
    ("emit --help", "tool emit LINE… [flags]: send"),
    ("--help emit", "tool emit LINE… [flags]: send"),
    ("help check", "tool check FILE: check a file"),
    ("--version", "tool \(Version.number)"),
    ("check -V", "tool \(Version.number)"),
  ])
  func `help and the version need nothing else`(_ line: String, _ expected: String) {
    #expect(outcome(line) == expected)
  }

  @Test(arguments: [
    ("emitt a", "unknown command emitt: did you mean emit?"),
    ("help emitt", "unknown command emitt: did you mean emit?"),
    ("quit", "unknown command quit: 'tool --help' lists the commands"),
    ("--bogus x emit", "unknown flag --bogus: 'tool --help' lists the flags"),
    ("emit a --push", "unknown flag --push: 'tool emit --help' lists the flags"),
    ("--push emit a", "unknown flag --push: 'tool emit --help' lists the flags"),
    ("emit a --sockt x", "unknown flag --sockt: did you mean --socket?"),
    ("emit", "emit needs a LINE…: 'tool emit --help' shows an example"),
    ("check", "check needs a FILE: 'tool check --help' shows an example"),
    ("check a b", "check takes one FILE, not 'b' too"),
    ("ready a", "ready takes flags only, not 'a'"),
    ("-- emit", "serve takes flags only, not 'emit'"),
  ])
  func `a wrong command line is answered with what to do`(_ line: String, _ expected: String) {
    #expect(outcome(line) == "!" + expected)
  }

  @Test func `a command's help has its own flags, an example, and no others`() throws {
    guard case .text(let text) = try tool.read(["emit", "--help"], environment: { _ in nil }) else {
      Issue.record("no text")
      return
    }
    #expect(text.contains("An example."))
    #expect(text.contains("[TOOL_SOCKET, default: s]"))
    #expect(!text.contains("--push"))
  }

  @Test func `a wrong variable of another command's flag is no mistake`() {
    #expect(outcome("emit a", ["TOOL_PUSH": "maybe", "TOOL_LISTEN": "x"]) == "emit a s")
  }
}
