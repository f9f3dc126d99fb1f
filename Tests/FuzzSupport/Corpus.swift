import Foundation

/// The kept inputs of `Tests/Corpus/<parser>/`, one a file: valid, odd and malicious ones. A file
/// whose name ends in `.hex` holds bytes as hexadecimal digits, with comments behind `#`; any other
/// is taken as it is.
public struct Corpus {
  public struct Input {
    public let name: String
    public let bytes: [UInt8]
  }

  public let parser: String
  public let inputs: [Input]

  /// Traps where the folder is missing or empty: a corpus that is not read tests nothing.
  public init(_ parser: String, more: [[UInt8]] = []) {
    self.parser = parser
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Corpus").appending(path: parser)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path())) ?? []
    let kept = names.sorted().map { name in
      let data = [UInt8](FileManager.default.contents(atPath: folder.path() + "/" + name) ?? Data())
      return Input(name: name, bytes: name.hasSuffix(".hex") ? Self.bytes(hex: data) : data)
    }
    inputs = kept + more.map { Input(name: "(made)", bytes: $0) }
    precondition(!kept.isEmpty, "there is no corpus in \(folder.path())")
  }

  private static func bytes(hex text: [UInt8]) -> [UInt8] {
    var digits: [UInt8] = []
    for line in text.split(separator: 10) {
      for byte in line.prefix(while: { $0 != UInt8(ascii: "#") }) {
        switch byte {
        case 48...57: digits.append(byte - 48)
        case 97...102: digits.append(byte - 87)
        case 9, 13, 32: break
        default: preconditionFailure("a hex file has digits in lower case, blanks and # comments")
        }
      }
    }
    precondition(digits.count % 2 == 0, "a hex file has two digits a byte")
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
