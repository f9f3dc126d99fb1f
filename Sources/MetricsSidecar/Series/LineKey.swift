import SidecarPlatform

/// The identity of a known line, its name, type and tags, as it is compared and hashed: in words of
/// 8 bytes, the last one of each part padded with zeros and never full.
///
/// What must stay true: equal keys have equal hashes, whether their ranges were known before, as in
/// `withKey`, or are found on the way, as `PlainLine` does.
@safe
struct LineKey {
  // Sound: borrowed, for as long as the closure of `withKey` or `PlainLine`'s caller runs.
  private let name: UnsafeRawPointer
  private let tags: UnsafeRawPointer
  private let nameByteCount: Int
  private let tagsByteCount: Int
  private let nameLast: UInt64
  private let tagsLast: UInt64
  /// Sizes and type, as in an entry's first word in `LineTable`, with the upper 24 bits zero; or
  /// all ones, as in no entry, for a line too long for one.
  let head: UInt64
  let hash: UInt32

  /// `nameLast` and `tagsLast` are the last words; `hash` includes all of them.
  @inline(__always)
  @_optimize(speed)
  @unsafe
  init(
    name: UnsafeRawPointer, _ nameByteCount: Int, _ nameLast: UInt64, type: UInt8,
    tags: UnsafeRawPointer, _ tagsByteCount: Int, _ tagsLast: UInt64, hash: LineHash
  ) {
    unsafe self.name = name
    self.nameByteCount = nameByteCount
    self.nameLast = nameLast
    unsafe self.tags = tags
    self.tagsByteCount = tagsByteCount
    self.tagsLast = tagsLast
    let sizes =
      UInt64(truncatingIfNeeded: nameByteCount) | UInt64(truncatingIfNeeded: tagsByteCount) << 16
    head = (nameByteCount | tagsByteCount) >> 16 == 0 ? sizes | UInt64(type) << 32 : .max
    self.hash = hash.value(head)
  }

  /// Passes the key of an already parsed line to `body`.
  @inline(__always)
  @_optimize(speed)
  static func withKey<Result>(
    _ key: HashKey, name: RawSpan, type: UInt8, tags: RawSpan, _ body: (LineKey) -> Result
  ) -> Result {
    unsafe name.withUnsafeBytes { name in
      unsafe tags.withUnsafeBytes { tags in
        var hash = LineHash(key)
        let nameLast = unsafe Self.takeIn(name, &hash)
        let tagsLast = unsafe Self.takeIn(tags, &hash)
        // Reads no byte of an empty part.
        let nowhere = unsafe UnsafeRawPointer(bitPattern: 8)!
        return unsafe body(
          LineKey(
            name: name.baseAddress ?? nowhere, name.count, nameLast, type: type,
            tags: tags.baseAddress ?? nowhere, tags.count, tagsLast, hash: hash))
      }
    }
  }

  @inline(__always)
  @_optimize(speed)
  static func withKey<Result>(
    _ key: HashKey, _ event: Event, _ body: (LineKey) -> Result
  ) -> Result {
    withKey(key, name: event.name, type: event.typeByte, tags: event.tags, body)
  }

  /// The same for keys of a type that only this makes, with a name of two words: the words of
  /// `tags` are hashed in two rows at once, which takes half the time.
  @inline(__always)
  @_optimize(speed)
  static func withKey<Result>(
    _ key: HashKey, name: borrowing (UInt64, UInt64), type: UInt8, longTags tags: RawSpan,
    _ body: (LineKey) -> Result
  ) -> Result {
    unsafe withUnsafeBytes(of: name) { name in
      unsafe tags.withUnsafeBytes { tags in
        // Reads no byte of an empty part.
        let start = unsafe tags.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!
        var even = unsafe key.fold(
          key.fold(key.start, word(name.baseAddress!)), word(name.baseAddress! + 8))
        var odd = key.start
        var source = unsafe start
        let end = unsafe start + (tags.count & ~7)
        while unsafe end - source >= 16 {
          even = unsafe key.fold(even, word(source))
          odd = unsafe key.fold(odd, word(source + 8))
          unsafe source += 16
        }
        if unsafe source < end { even = unsafe key.fold(even, word(source)) }
        let last = unsafe lastWord(end, tags.count)
        odd = key.fold(odd, last)
        // Of equal rows, too, every bit depends on the secret.
        let hash = LineHash(key, state: key.fold(key.fold(even, 0), odd))
        return unsafe body(
          LineKey(
            name: name.baseAddress!, 16, 0, type: type, tags: start, tags.count, last, hash: hash))
      }
    }
  }

  /// The bytes at `end`, after the whole words of as many bytes.
  @inline(__always)
  @_optimize(speed)
  private static func lastWord(_ end: UnsafeRawPointer, _ byteCount: Int) -> UInt64 {
    let rest = byteCount & 7
    if rest == 0 { return 0 }
    if byteCount > 8 {
      // The last eight bytes, without those of the word before.
      return unsafe word(end - 8 + rest) >> UInt64(truncatingIfNeeded: 64 - 8 * rest)
    }
    var last: UInt64 = 0
    for index in 0..<rest {
      last |= unsafe UInt64((end + index).load(as: UInt8.self)) << UInt64(8 * index)
    }
    return last
  }

  /// Hashes all words of `bytes`; returns the last one.
  private static func takeIn(_ bytes: UnsafeRawBufferPointer, _ hash: inout LineHash) -> UInt64 {
    var index = 0
    while index + 8 <= bytes.count {
      hash.add(
        UInt64(littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)))
      index += 8
    }
    var last: UInt64 = 0
    var shift: UInt64 = 0
    while index < bytes.count {
      last |= UInt64(unsafe bytes[index]) << shift
      shift += 8
      index += 1
    }
    hash.add(last)
    return last
  }

  // MARK: In a table's entry

  /// Whether an entry can hold it.
  var isShort: Bool { head != .max }

  /// The words that `write` needs.
  var wordCount: Int { nameByteCount / 8 + 1 + tagsByteCount / 8 + 1 }

  /// Whether the entry has the same words. Sizes and type have been compared already.
  @inline(__always)
  @_optimize(speed)
  @unsafe
  func isWritten(at entry: UnsafeRawPointer) -> Bool {
    var entry = unsafe entry
    return unsafe Self.isPart(name, nameByteCount, nameLast, at: &entry)
      && Self.isPart(tags, tagsByteCount, tagsLast, at: &entry)
  }

  /// Compares one part and moves `entry` past it.
  @inline(__always)
  @_optimize(speed)
  private static func isPart(
    _ part: UnsafeRawPointer, _ byteCount: Int, _ last: UInt64, at entry: inout UnsafeRawPointer
  ) -> Bool {
    var source = unsafe part
    let end = unsafe part + (byteCount & ~7)
    while unsafe source < end {
      if unsafe word(source) != word(entry) { return false }
      unsafe source += 8
      unsafe entry += 8
    }
    defer { unsafe entry += 8 }
    return unsafe word(entry) == last
  }

  @unsafe
  func write(to entry: UnsafeMutableRawPointer) {
    let second = unsafe Self.write(name, nameByteCount, nameLast, to: entry)
    _ = unsafe Self.write(tags, tagsByteCount, tagsLast, to: second)
  }

  /// Writes one part; returns where the next one starts.
  private static func write(
    _ part: UnsafeRawPointer, _ byteCount: Int, _ last: UInt64,
    to entry: UnsafeMutableRawPointer
  ) -> UnsafeMutableRawPointer {
    let whole = byteCount / 8 * 8
    unsafe entry.copyMemory(from: part, byteCount: whole)
    unsafe entry.storeBytes(of: last.littleEndian, toByteOffset: whole, as: UInt64.self)
    return unsafe entry + (whole + 8)
  }

  @inline(__always)
  @_optimize(speed)
  private static func word(_ at: UnsafeRawPointer) -> UInt64 {
    UInt64(littleEndian: unsafe at.loadUnaligned(as: UInt64.self))
  }
}

/// The hash of a key, word by word, under a secret: see `HashKey`. A word costs the time of one
/// multiplication.
struct LineHash {
  private let key: HashKey
  private var state: UInt64

  @inline(__always)
  @_optimize(speed)
  init(_ key: HashKey) {
    self.key = key
    state = key.start
  }

  /// Continues with a state.
  @inline(__always)
  @_optimize(speed)
  init(_ key: HashKey, state: UInt64) {
    self.key = key
    self.state = state
  }

  @inline(__always)
  @_optimize(speed)
  mutating func add(_ word: UInt64) { state = key.fold(state, word) }

  /// After all words: mixes in `head`, with the parts' sizes and the type, so that no other key has
  /// the same input.
  @inline(__always)
  @_optimize(speed)
  func value(_ head: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: key.fold(state, head)) }
}
