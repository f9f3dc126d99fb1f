/// The values of cells at one moment between two transactions, while intake continues: the first
/// store into a cell after that moment saves its old value here, so that an exposition can be
/// written from the cells themselves, a slice at a time, without a copy of them all.
///
/// What must stay true: a cell whose transaction came after the moment has its old value here; any
/// other still holds it itself. One moment at a time.
@safe
struct BeforeImages {
  // Sound: made for `end` numbers, freed in `forget`; only cells below `end` are stored or read.
  // Memory for unchanged cells is never touched, so it costs only address space.
  private var base: UnsafeMutablePointer<UInt64>?
  /// Cells from here on were created after the moment; 0 while nothing is kept.
  private(set) var end = 0
  /// The last transaction before the moment.
  private var last: UInt32 = 0

  var isOn: Bool { end > 0 }

  /// Keeps the values that the cells below `end` have after transaction `last`.
  mutating func begin(end: Int, after last: UInt32) {
    precondition(!isOn && end > 0, "one page at a time")
    unsafe base = .allocate(capacity: end)
    self.end = end
    self.last = last
  }

  /// Ends the moment.
  mutating func forget() {
    unsafe base?.deallocate()
    unsafe base = nil
    end = 0
  }

  /// Whether a cell last stored into by `transaction` is unchanged since the moment.
  func isSame(storedBy transaction: UInt32) -> Bool { transaction <= last }

  /// A cell below `end`, last stored into by `transaction`, is about to be changed.
  @inline(__always)
  func keep(_ cell: Int, _ bits: UInt64, storedBy transaction: UInt32) {
    if transaction <= last { unsafe base.unsafelyUnwrapped[cell] = bits }
  }

  /// The value at the moment, of a cell that now has `bits`, stored by `transaction`.
  @inline(__always)
  func value(_ cell: Int, _ bits: UInt64, storedBy transaction: UInt32) -> UInt64 {
    if transaction <= last { return bits }
    precondition(cell < end)
    return unsafe base.unsafelyUnwrapped[cell]
  }
}
