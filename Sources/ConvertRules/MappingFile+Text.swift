import SidecarRules

extension MappingFile {
  /// The mapping file that `text` is, as YAML or JSON.
  convenience init(text: [UInt8]) throws(JSON.Mistake) {
    // A byte order mark, as Windows' editors write it.
    let text = text.starts(with: [0xef, 0xbb, 0xbf]) ? Array(text.dropFirst(3)) : text
    let isJSON = text.first { $0 > 32 } == UInt8(ascii: "{")
    try self.init(isJSON ? try JSON.parse(text) : try YAMLReader.parse(text))
  }
}
