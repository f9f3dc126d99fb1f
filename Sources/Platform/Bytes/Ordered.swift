/// Sorted copies of arrays by one compiled copy of the standard library's sort, which takes 3 KB
/// for each element type: it sorts places, and the elements follow. For arrays that are sorted
/// rarely.
extension Array {
  /// The elements in the order of `isBefore`; equal ones stay in the order that they have.
  public func ordered(by isBefore: (Element, Element) -> Bool) -> [Element] {
    var result: [Element] = []
    result.reserveCapacity(count)
    for place in Places.ordered(count, by: { isBefore(self[$0], self[$1]) }) {
      result.append(self[place])
    }
    return result
  }
}

public enum Places {
  /// The numbers below `count`, in the order of `isBefore`.
  @inline(never)
  public static func ordered(_ count: Int, by isBefore: (Int, Int) -> Bool) -> [Int] {
    var places = Array(0..<count)
    places.sort(by: isBefore)
    return places
  }
}
