// count-jobs SOCKET COUNT: a worker that does so many jobs and counts each exactly once, whatever
// becomes of the sidecar meanwhile.
import SidecarEvents
import Foundation

let path = CommandLine.arguments.dropFirst().first ?? "/run/metrics/events.sock"
let count = Int(CommandLine.arguments.dropFirst(2).first ?? "1000") ?? 1000

let events = try EventClient(path: path)
let jobs = events.counter("jobs.done", tags: "queue:mail")
let duration = events.timing("jobs.duration")

for _ in 0..<count {
  let start = ContinuousClock.now
  usleep(300)  // the job
  events.add(jobs, 1)
  let (seconds, attoseconds) = (ContinuousClock.now - start).components
  events.observe(
    duration, nanoseconds: UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds) / 1_000_000_000)
  events.flush()  // hands it to the kernel and never waits
}

let isEverythingCounted = events.drain(milliseconds: 30_000)
print(isEverythingCounted ? "all \(count) jobs are counted" : "the sidecar did not come back")
exit(isEverythingCounted ? 0 : 1)
