import SidecarPlatform

/// `convert-rules FILE`: a mapping file of statsd_exporter, as YAML or JSON, becomes a rules file on
/// standard output; what cannot be carried over is told on standard error.
enum ConvertRules {
  static func run(_ path: String) -> ExitCode {
    var text = ByteBuffer()
    do throws(Errno) {
      try Files.read(path, limit: 4 << 20, into: &text)
    } catch {
      Process.write(
        joined("cannot read the mapping file ", path, ": ", error.description, "\n"), to: 2)
      return .failure
    }
    do throws(JSON.Mistake) {
      let file = try convert(text.array)
      Process.write(file.output.bytes)
      for note in file.notes { Process.write(joined(path, ": ", note.description, "\n"), to: 2) }
      return file.notes.isEmpty ? .success : .incomplete
    } catch {
      Process.write(joined(path, ": ", error.description, "\n"), to: 2)
      return .failure
    }
  }

  static func convert(_ text: [UInt8]) throws(JSON.Mistake) -> MappingFile {
    // A byte order mark, as Windows' editors write it.
    let text = text.starts(with: [0xef, 0xbb, 0xbf]) ? Array(text.dropFirst(3)) : text
    let isJSON = text.first { $0 > 32 } == UInt8(ascii: "{")
    return try MappingFile(isJSON ? try JSON.parse(text) : try YAMLReader.parse(text))
  }
}
