import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

/// Compressed by zlib.
let gzipped: [(what: String, base64: String, plain: String)] = [
  ("stored", "H4sIAAAAAAAAAwEEAPv/YSAxCjbnG7wEAAAA", "a 1\n"),
  ("fixed codes", "H4sIAAAAAAAAA0tUMOQCADbnG7wEAAAA", "a 1\n"),
  (
    "dynamic codes",
    "H4sIAAAAAAAAAz2R0RHDMAhD/ztFrxMYsLH90WGyRe963b0Io/wpIUgP5fp+3q/2+j3b44KUkHKkhuxH"
      + "Wsh9ZMcHfvQIreNoD231fmKzvl+hvWx26FXuglBpjM1c5QzR0mtLLCPLTxJgV5IkAhnEE4gzYOjiHkBM"
      + "6bkTl5eCpZNFwdI7Z1nDqj0Fy9DyVLCMWXkKFieLgsXvGVjmvQeWeXtmLcwzsGyyGFg2OS17aTzCspjG"
      + "Cy2bEZ5vIyslj3k+sjgDkBhbtXUapzOQZMT/+AP9QLIhIAIAAA==",
    (0..<40).map { "a{x=\"\($0)\"} \($0 * $0)\n" }.joined()
  ),
  ("a name and an extra field", "H4sIDAAAAAAAAwMAeHl6YS50eHQAS1Qw5AIANucbvAQAAAA=", "a 1\n"),
  (
    "two members",
    "H4sIAAAAAAAAA0tUMOQCADbnG7wEAAAAH4sIAAAAAAAAA0tUMOQCADbnG7wEAAAA",
    "a 1\na 1\n"
  ),
  ("empty", "H4sIAAAAAAAAAwMAAAAAAAAAAAA=", ""),
  (
    "overlapping copies",
    "H4sIAAAAAAAAA0tMShyFREIA+qO3EiwBAAA=",
    String(repeating: "ab", count: 150)
  ),
]

/// Snappy's framing format: the first of plain bytes, the second of literals and copies.
let snapped: [(what: String, base64: String, plain: String)] = [
  ("plain", "/wYAAHNOYVBwWQEIAACvTBmKYSAxCg==", "a 1\n"),
  (
    "a literal and a copy",
    "/wYAAHNOYVBwWQANAAC0m6kPPQRhYuYCAAAK",
    String(repeating: "ab", count: 30) + "\n"
  ),
  ("a short copy", "/wYAAHNOYVBwWQALAAAADWVGDAhhYmMVAw==", "abcabcabcabc"),
  ("a far copy", "/wYAAHNOYVBwWQANAADRmCP3CAR4eRcCAAAA", "xyxyxyxy"),
  ("padding and two chunks", "/wYAAHNOYVBwWf4CAAB6egEFAAB4buQoYQEFAADZjwwEYg==", "ab"),
]

@Suite struct InflateTests {
  private func gunzip(_ bytes: [UInt8], limit: Int = 1 << 16) throws -> String {
    var output = ByteBuffer()
    try Inflate.gunzip(bytes.span.bytes, limit: limit, into: &output)
    return String(decoding: output.array, as: UTF8.self)
  }

  private func unsnap(_ bytes: [UInt8], limit: Int = 1 << 16) throws -> String {
    var output = ByteBuffer()
    try Snappy.decode(bytes.span.bytes, limit: limit, into: &output)
    return String(decoding: output.array, as: UTF8.self)
  }

  @Test(arguments: gzipped)
  func `gzip is undone, and any bent byte of it noticed or harmless`(
    _ what: String, _ base64: String, _ plain: String
  ) throws {
    let bytes = Array(Data(base64Encoded: base64)!)
    #expect(try gunzip(bytes) == plain, "\(what)")
    for at in bytes.indices {
      var bent = bytes
      bent[at] ^= 0x11
      if let text = try? gunzip(bent) { #expect(text == plain || at < 20) }
      // A cut between two members leaves a whole one.
      if what == "two members", at == bytes.count / 2 { continue }
      #expect(throws: Inflate.Failure.self) { try gunzip(Array(bytes[..<at])) }
    }
  }

  @Test(arguments: snapped)
  func `snappy is undone, and any bent byte of it noticed or harmless`(
    _ what: String, _ base64: String, _ plain: String
  ) throws {
    let bytes = Array(Data(base64Encoded: base64)!)
    #expect(try unsnap(bytes) == plain, "\(what)")
    for at in bytes.indices {
      var bent = bytes
      bent[at] ^= 0x11
      if let text = try? unsnap(bent) { #expect(plain.contains(text) || text.isEmpty) }
    }
  }

  @Test func `what would be too large is refused before it is`() throws {
    let copies = Array(Data(base64Encoded: gzipped[6].base64)!)
    #expect(try gunzip(copies, limit: 300).utf8.count == 300)
    #expect(throws: Inflate.Failure.tooLarge) { try gunzip(copies, limit: 299) }
    let snappy = Array(Data(base64Encoded: snapped[1].base64)!)
    #expect(throws: Inflate.Failure.tooLarge) { try unsnap(snappy, limit: 60) }
  }
}
