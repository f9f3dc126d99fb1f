import SidecarPlatform

/// What pushes hold that wait for others or for their password. Beyond the limit of all clients'
/// memory the one that has held most for longest is turned away: it is answered in the next turn,
/// and its body is given back at once.
extension PushAPI: ClientMemoryHolder {
  /// The heaviest: its place among those that wait, or behind them among those that are asked.
  private func heaviest(_ now: UInt64) -> (index: Int, weight: UInt64) {
    var found = (index: 0, weight: UInt64(0))
    for index in 0..<waiting.count + asked.count {
      let isAsked = index >= waiting.count
      let byteCount =
        isAsked ? asked[index - waiting.count].byteCount : waiting[index].body.count
      if byteCount == 0 { continue }
      let since = isAsked ? asked[index - waiting.count].since : waiting[index].since
      let weight = ClientMemory.weight(byteCount: byteCount, since: since, now: now)
      if weight > found.weight { found = (index, weight) }
    }
    return found
  }

  func heaviestWeight(now: UInt64) -> UInt64 { heaviest(now).weight }

  func closeHeaviest(now: UInt64) {
    let (index, weight) = heaviest(now)
    if weight == 0 { return }
    if index < waiting.count {
      if let ticket = takeWaiting(index).ticket { turnedAway.append(ticket) }
    } else {
      let push = asked.remove(at: index - waiting.count)
      memory?.change(by: -push.byteCount)
      turnedAway.append(push.ticket)
    }
  }
}
