extension String {
  /// With the letters A to Z made small, and every other byte as it is: for words of protocols, which
  /// are ASCII.
  public var asciiLowercased: String {
    String(decoding: utf8.map { $0 &- 65 < 26 ? $0 | 0x20 : $0 }, as: UTF8.self)
  }
}
