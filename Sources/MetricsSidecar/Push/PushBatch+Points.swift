import SidecarPlatform

/// Buckets and quantiles: lists of points, in the order of their bounds at the end.
extension PushBatch {
  /// Adds a bucket or quantile. They are in the order of their bounds once `finish` has been
  /// called.
  func addPoint(_ metric: Int, bound: Double, value: Double) {
    let list = Int(metrics[metric].points)
    let index = points.count
    points.append(Point(bound: bound, value: value))
    pointLists[list].pointCount += 1
    let last = pointLists[list].last
    pointLists[list].last = index
    guard last >= 0 else { return pointLists[list].first = index }
    points[last].nextIndex = Int32(index)
    if !(points[last].bound < bound) {
      pointLists[list].isSorted = false
      hasUnsorted = true
    }
  }

  /// Ends the body.
  func finish() {
    guard hasUnsorted else { return }
    hasUnsorted = false
    for list in pointLists.indices where !pointLists[list].isSorted { sortPoints(list) }
  }

  /// For the rare metric whose bounds are not in ascending order.
  private func sortPoints(_ list: Int) {
    pointLists[list].isSorted = true
    var rest = pointLists[list].first
    var at = sorted(&rest, pointLists[list].pointCount)
    pointLists[list].first = at
    while points[at].next >= 0 {
      let next = points[at].next
      if points[next].bound == points[at].bound {
        note(joined(describe(pointLists[list].metric), " has a bound twice"))
      }
      at = next
    }
    pointLists[list].last = at
  }

  /// Takes `count` points from the list `rest`, and gives the first of them as a sorted list.
  private func sorted(_ rest: inout Int, _ count: Int) -> Int {
    if count == 1 {
      let point = rest
      rest = points[point].next
      points[point].nextIndex = -1
      return point
    }
    var left = sorted(&rest, count / 2)
    var right = sorted(&rest, count - count / 2)
    var first = -1
    var last = -1
    while left >= 0 || right >= 0 {
      let isLeft = right < 0 || left >= 0 && points[left].bound <= points[right].bound
      let point = isLeft ? left : right
      if isLeft { left = points[point].next } else { right = points[point].next }
      if last >= 0 { points[last].nextIndex = Int32(point) } else { first = point }
      last = point
    }
    points[last].nextIndex = -1
    return first
  }
}
