/// SHA-256 (FIPS 180-4), HMAC (RFC 2104) and PBKDF2 (RFC 8018), for the passwords of push clients.
public enum SHA256 {
  /// 32 bytes, as of each function here.
  public static func hash(_ message: [UInt8]) -> [UInt8] {
    var state = State()
    state.update(message)
    return state.digest()
  }

  /// The state after some whole blocks; HMAC starts from two of them again and again.
  struct State {
    private var words: [UInt32] = [
      0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab,
      0x5be0_cd19,
    ]
    private var byteCount = 0
    private var rest: [UInt8] = []

    mutating func update(_ bytes: [UInt8]) {
      rest += bytes
      byteCount += bytes.count
      var at = 0
      while rest.count - at >= 64 {
        block(rest, at)
        at += 64
      }
      rest.removeFirst(at)
    }

    func digest() -> [UInt8] {
      var last = self
      let bitCount = UInt64(byteCount) * 8
      var padding: [UInt8] = [0x80]
      while (byteCount + padding.count) % 64 != 56 { padding.append(0) }
      for shift in stride(from: UInt64(56), through: 0, by: -8) {
        padding.append(UInt8(truncatingIfNeeded: bitCount >> shift))
      }
      last.update(padding)
      var result: [UInt8] = []
      for word in last.words {
        for shift in stride(from: UInt32(24), through: 0, by: -8) {
          result.append(UInt8(truncatingIfNeeded: word >> shift))
        }
      }
      return result
    }

    private mutating func block(_ bytes: [UInt8], _ at: Int) {
      var w = InlineArray<64, UInt32>(repeating: 0)
      for t in 0..<16 {
        var word: UInt32 = 0
        for index in 0..<4 { word = word << 8 | UInt32(bytes[at + 4 * t + index]) }
        w[t] = word
      }
      for t in 16..<64 {
        let s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3
        let s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10
        w[t] = w[t - 16] &+ s0 &+ w[t - 7] &+ s1
      }
      var (a, b, c, d) = (words[0], words[1], words[2], words[3])
      var (e, f, g, h) = (words[4], words[5], words[6], words[7])
      for t in 0..<64 {
        let s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
        let t1 = h &+ s1 &+ (e & f ^ ~e & g) &+ SHA256.constants[t] &+ w[t]
        let s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
        let t2 = s0 &+ (a & b ^ a & c ^ b & c)
        (h, g, f, e) = (g, f, e, d &+ t1)
        (d, c, b, a) = (c, b, a, t1 &+ t2)
      }
      words[0] &+= a
      words[1] &+= b
      words[2] &+= c
      words[3] &+= d
      words[4] &+= e
      words[5] &+= f
      words[6] &+= g
      words[7] &+= h
    }

    @inline(__always)
    private func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 {
      word >> count | word << (32 - count)
    }
  }

  /// RFC 2104, with the two padded keys already hashed.
  public struct HMAC {
    private var inner = State()
    private var outer = State()

    /// Accepts a key of any length.
    public init(key: [UInt8]) {
      var block = key.count > 64 ? SHA256.hash(key) : key
      while block.count < 64 { block.append(0) }
      inner.update(block.map { $0 ^ 0x36 })
      outer.update(block.map { $0 ^ 0x5c })
    }

    /// HMAC-SHA-256 of `message` with this key: 32 bytes.
    public func digest(_ message: [UInt8]) -> [UInt8] {
      var state = inner
      state.update(message)
      var last = outer
      last.update(state.digest())
      return last.digest()
    }
  }

  /// RFC 8018 §5.2 with HMAC-SHA-256, 32 bytes.
  public static func pbkdf2(_ password: [UInt8], salt: [UInt8], iterations: Int) -> [UInt8] {
    var work = PBKDF2(password, salt: salt, iterations: iterations)
    _ = work.goOn(.max)
    return work.result
  }

  /// The same in parts, for a caller that has other things to do meanwhile.
  public struct PBKDF2 {
    private let hmac: HMAC
    private var step: [UInt8]
    private var left: Int
    /// The 32 bytes, once `goOn` has returned true.
    public private(set) var result: [UInt8]

    /// Begins with the first of `iterations` iterations.
    public init(_ password: [UInt8], salt: [UInt8], iterations: Int) {
      hmac = HMAC(key: password)
      step = hmac.digest(salt + [0, 0, 0, 1])
      result = step
      left = max(iterations, 1) - 1
    }

    /// Does at most `count` more iterations; returns whether the last one is done.
    public mutating func goOn(_ count: Int) -> Bool {
      for _ in 0..<min(count, left) {
        step = hmac.digest(step)
        for index in result.indices { result[index] ^= step[index] }
      }
      left -= min(count, left)
      return left == 0
    }
  }

  /// Compares in a time that does not reveal where the difference is.
  public static func isEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    guard a.count == b.count else { return false }
    var difference: UInt8 = 0
    for index in a.indices { difference |= a[index] ^ b[index] }
    return difference == 0
  }

  private static let constants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4,
    0xab1c_5ed5, 0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe,
    0x9bdc_06a7, 0xc19b_f174, 0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f,
    0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da, 0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7,
    0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967, 0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc,
    0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85, 0xa2bf_e8a1, 0xa81a_664b,
    0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070, 0x19a4_c116,
    0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7,
    0xc671_78f2,
  ]
}
