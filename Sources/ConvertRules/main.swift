import SidecarPlatform
import SidecarRules

// Translates a mapping file of statsd_exporter into a rules file for metrics-sidecar. YAMLReader
// reads it, MappingFile writes the rules and records what they cannot express.

private let help = """
  convert-rules FILE: make rules for metrics-sidecar of a statsd_exporter mapping file

  Writes the rules to standard output. FILE is YAML or JSON.

  Example:
    convert-rules mapping.yaml > rules.json

  Exit codes:
    0  everything is carried over; standard error may name what looks like a mistake
    1  the file cannot be read: nothing is written
    2  a wrong flag, or no file
    3  the rules are written, without what standard error tells, a line each

  Flags:
    --help, -h, --version, -V

  """

private func run() throws(Options.Mistake) {
  let options = try Options([], prefix: "", arguments: Process.arguments, command: "convert-rules")
  if options.wantsHelp { return Process.write(help) }
  if options.wantsVersion { return Process.write(joined("convert-rules ", Version.number, "\n")) }
  guard options.operands.count == 1 else {
    throw Options.Mistake("name one FILE: 'convert-rules --help' shows an example")
  }
  Process.exit(convert(options.operands[0]))
}

private func convert(_ path: String) -> ExitCode {
  var text = ByteBuffer()
  do throws(Errno) {
    try Files.read(path, limit: 4 << 20, into: &text)
  } catch {
    fail("cannot read the mapping file ", path, ": ", error.description)
    return .failure
  }
  do throws(JSON.Mistake) {
    let file = try MappingFile(text: text.array)
    Process.write(file.output.bytes)
    for note in file.notes { fail(path, ": ", note.description) }
    return file.isIncomplete ? .incomplete : .success
  } catch {
    fail(path, ": ", error.description)
    return .failure
  }
}

private func fail(_ parts: String...) {
  var line = ""
  for part in parts { line += part }
  Process.write(line + "\n", to: 2)
}

do throws(Options.Mistake) { try run() } catch {
  fail("convert-rules: ", error.message)
  Process.exit(.usage)
}
