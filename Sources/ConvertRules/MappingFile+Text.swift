import SidecarRules

extension MappingFile {
  /// Parses `text`, YAML or JSON, into a mapping file.
  convenience init(text: [UInt8]) throws(JSON.Mistake) {
    // A byte order mark, as some Windows editors write.
    let text = text.starts(with: [0xef, 0xbb, 0xbf]) ? Array(text.dropFirst(3)) : text
    let isJSON = text.first { $0 > 32 } == UInt8(ascii: "{")
    try self.init(isJSON ? try JSON.parse(text) : try YAMLReader.parse(text))
  }
}
