import Foundation

/// One parser's fuzz run: each input of its corpus as it is, then inputs bent out of them.
///
/// `FUZZ_SEED` is the seed of the first round, the next ones count up from it, so a failure's own
/// seed with `FUZZ_ROUNDS=1` replays it alone. `FUZZ_ROUNDS` sets how many rounds, `FUZZ_SECONDS`
/// lets them go on for a time instead. With `FUZZ_LAST=FOLDER` each input is written to a file of
/// its parser's name before it is used: what is there after a crash is what caused it.
public struct Fuzzer {
  public let corpus: Corpus
  private let pieces: [[UInt8]]
  private let rounds: UInt64
  private let firstSeed: UInt64
  private let seconds: Double?
  private let last: Int32

  /// `pieces` are put into inputs at random: what the grammar takes for something.
  /// `more` are inputs that only the program can make.
  public init(
    _ parser: String, pieces: [String] = [], rounds: UInt64 = 2000, more: [[UInt8]] = []
  ) {
    corpus = Corpus(parser, more: more)
    self.pieces = pieces.map { Array($0.utf8) } + Self.always
    let environment = ProcessInfo.processInfo.environment
    firstSeed = environment["FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
    self.rounds = environment["FUZZ_ROUNDS"].flatMap { UInt64($0) } ?? rounds
    seconds = environment["FUZZ_SECONDS"].flatMap { Double($0) }
    last =
      environment["FUZZ_LAST"].map { open($0 + "/" + parser, O_CREAT | O_RDWR, 0o644) } ?? -1
  }

  /// Runs `body` with each input and the dice that made it. `label` says how to have it again.
  public func run(_ body: (_ input: [UInt8], _ dice: inout Dice, _ label: String) throws -> Void)
    rethrows
  {
    for input in corpus.inputs {
      var dice = Dice(firstSeed)
      note(input.bytes)
      try body(input.bytes, &dice, "Tests/Corpus/\(corpus.parser)/\(input.name)")
    }
    let end = seconds.map { Date.timeIntervalSinceReferenceDate + $0 }
    var round: UInt64 = 0
    while end.map({ Date.timeIntervalSinceReferenceDate < $0 }) ?? (round < rounds) {
      let seed = firstSeed &+ round
      var dice = Dice(seed)
      let input = bent(&dice)
      note(input)
      try body(input, &dice, "FUZZ_SEED=\(seed) FUZZ_ROUNDS=1")
      round += 1
    }
    if seconds != nil {
      print("fuzz \(corpus.parser): \(corpus.inputs.count) kept inputs, \(round) bent ones")
    }
  }

  /// One to three inputs of the corpus, changed in up to six places.
  public func bent(_ dice: inout Dice) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<(dice.below(4) == 0 ? 3 : 1) {
      bytes += corpus.inputs[dice.below(corpus.inputs.count)].bytes.prefix(1 << 16)
    }
    for _ in 0..<dice.below(7) { bend(&bytes, &dice) }
    return bytes
  }

  private func bend(_ bytes: inout [UInt8], _ dice: inout Dice) {
    guard !bytes.isEmpty else { return bytes = pieces[dice.below(pieces.count)] }
    let at = dice.below(bytes.count)
    switch dice.below(8) {
    case 0: bytes[at] = UInt8(truncatingIfNeeded: dice.next())
    case 1: bytes[at] ^= 1 << UInt8(dice.below(8))
    case 2: bytes.remove(at: at)
    case 3: bytes.insert(contentsOf: pieces[dice.below(pieces.count)], at: at)
    case 4: bytes.removeSubrange(at..<min(bytes.count, at + 1 + dice.below(16)))
    case 5: bytes.removeLast(bytes.count - at)
    case 6: bytes[at] = bytes[at] &+ (dice.below(2) == 0 ? 1 : 255)
    default: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 20)], at: at)
    }
  }

  private func note(_ input: [UInt8]) {
    guard last >= 0 else { return }
    unsafe input.withUnsafeBytes { _ = unsafe pwrite(last, $0.baseAddress, $0.count, 0) }
    ftruncate(last, off_t(input.count))
  }

  private static let always: [[UInt8]] = [
    [0], [0xff], [0x80], [10], [13, 10], [32], [0xc3, 0xa9], [0xef, 0xbf, 0xbd], [0xf4, 0x90],
    Array("18446744073709551616".utf8), Array("-9223372036854775809".utf8), Array("1e999".utf8),
    Array("nan".utf8), [0xff, 0xff, 0xff, 0xff], [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
  ]
}
