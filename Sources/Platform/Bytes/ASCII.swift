extension String {
  /// Lowercases the letters A to Z and leaves every other byte unchanged: for words of protocols,
  /// which are ASCII.
  public var asciiLowercased: String {
    String(decoding: utf8.map { $0 &- 65 < 26 ? $0 | 0x20 : $0 }, as: UTF8.self)
  }
}
