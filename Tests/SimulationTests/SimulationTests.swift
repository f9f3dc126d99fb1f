import Foundation
import Testing

/// `SIM_SEED=… swift test --filter Simulation` replays one run; `SIM_RUNS` sets how many are made.
private let environment = ProcessInfo.processInfo.environment

@Test func `every request is counted once whatever is cut, delayed, filled or killed`() {
  if let seed = environment["SIM_SEED"].flatMap({ UInt64($0) }) {
    #expect(Simulation(seed: seed).run(steps: 1000) == nil, "SIM_SEED=\(seed)")
    return
  }
  let first = UInt64.random(in: 0...UInt64.max / 2)
  let runs = environment["SIM_RUNS"].flatMap { UInt64($0) } ?? 1200
  var requests = 0
  var faults = 0
  var refused = 0
  for seed in first..<(first + runs) {
    let simulation = Simulation(seed: seed)
    if let wrong = simulation.run(steps: 1000) {
      Issue.record("\(wrong); replay with SIM_SEED=\(seed)")
      return
    }
    requests += simulation.requests
    faults += simulation.faults
    refused += simulation.refused
  }
  // Each kind of fault has had its chance, where there were runs enough for that.
  #expect(
    runs < 100
      || requests > Int(runs) * 1000 && faults > Int(runs) && refused > Int(runs) / 100)
  print(
    "simulated \(requests) requests, \(faults) faults, \(refused) sessions without room, "
      + "\(runs) runs from SIM_SEED=\(first)")
}

@Test(arguments: [
  Canary.acknowledgesBeforeCommit, .positionOutsideCommit, .forgetsDuplicates,
])
func `a planted mistake is caught`(canary: Canary) {
  let isCaught = (1...200).contains { seed in
    Simulation(seed: seed, canary: canary).run(steps: 1000) != nil
  }
  #expect(isCaught)
}

@Test func `every kind has what was sent whatever is killed, cut or reloaded`() throws {
  let first = environment["SIM_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max / 2)
  let runs = environment["SIM_SEED"] == nil ? 150 : 1
  var faults = 0
  for seed in first..<(first + UInt64(runs)) {
    let simulation = try KindSimulation(seed: seed)
    if let wrong = try simulation.run(steps: 400) {
      Issue.record("\(wrong); replay with SIM_SEED=\(seed)")
      return
    }
    faults += simulation.faults
  }
  #expect(faults > runs)
  print("simulated every kind, \(faults) faults, \(runs) runs from SIM_SEED=\(first)")
}

@Test func `neighbours that attack change no count of those who behave well`() throws {
  let first = environment["SIM_SEED"].flatMap { UInt64($0) } ?? .random(in: 0...UInt64.max / 2)
  let runs = environment["SIM_SEED"] == nil ? 100 : 1
  var done = [Int](repeating: 0, count: 7)
  for seed in first..<(first + UInt64(runs)) {
    let simulation = try KindSimulation(seed: seed, hasNeighbours: true)
    if let wrong = try simulation.run(steps: 400) {
      Issue.record("\(wrong); replay with SIM_SEED=\(seed)")
      return
    }
    for (index, count) in simulation.neighbourly.enumerated() { done[index] += count }
  }
  #expect(done.allSatisfy { $0 > runs })
  print("simulated neighbours, \(done) things that they did, \(runs) runs from SIM_SEED=\(first)")
}

@Test(
  arguments: [Canary.acknowledgesBeforeCommit, .positionOutsideCommit], [false, true])
func `a mistake planted where kinds are kept is caught`(
  canary: Canary, hasNeighbours: Bool
) throws {
  let isCaught = try (1...50).contains { seed in
    try KindSimulation(seed: seed, canary: canary, hasNeighbours: hasNeighbours).run(steps: 400)
      != nil
  }
  #expect(isCaught)
}
