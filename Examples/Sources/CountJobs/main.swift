// count-jobs SOCKET COUNT: a worker that does so many jobs and counts each exactly once, whatever
// becomes of the sidecar meanwhile.
import Foundation
import SidecarEvents

let path = CommandLine.arguments.dropFirst().first ?? "/run/metrics/events.sock"
let count = Int(CommandLine.arguments.dropFirst(2).first ?? "1000") ?? 1000

let client = SessionClient(path: path)
let jobs = client.counter("jobs.done", tags: [("queue", "mail")])
let duration = client.timing("jobs.duration")

for _ in 0..<count {
  let start = ContinuousClock.now
  usleep(300)  // the job
  jobs.add(1)
  duration.observe(ContinuousClock.now - start)
}

let isEverythingCounted = client.close(timeout: .seconds(30))
print(isEverythingCounted ? "all \(count) jobs are counted" : "the sidecar did not come back")
exit(isEverythingCounted ? 0 : 1)
