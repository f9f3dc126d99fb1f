import SidecarPlatform
import Testing

@Suite struct ASCIITests {
  @Test func `only the letters A to Z become small`() {
    for byte in UInt8(0)..<128 {
      let text = String(decoding: [byte], as: UTF8.self)
      let isCapital = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
      #expect(Array(text.asciiLowercased.utf8) == [isCapital ? byte + 32 : byte])
    }
    #expect("Ärger UTF-8".asciiLowercased == "Ärger utf-8")
  }
}
