import SidecarEvents
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct EmitLinesTests {
  @Test(
    arguments: [
      ("jobs.done:1|c", nil), ("queue.length:7|g|#queue:mail", nil), ("level:-5|g", nil),
      ("time:1:2:3|ms|@0.5", nil), ("who:anybody|s", nil), ("jobs:1|c:320|ms|@0.1", nil),
      ("jobs:1|c|x:trace_id:1|e:2", nil),
      ("orders:1|x", "the types are c, g, ms, h, d and s"), ("orders", "it has no value"),
      (":1|c", "no name stands before the colon"), ("orders:1", "no type stands behind a |"),
      ("orders:|c", "it has no value"), ("orders:-1|c", "a counter does not go down"),
      ("orders:1:-1|c", "a counter does not go down"),
      ("orders:nan|g", "the value is no finite number"),
      ("orders:one|c", "the value is no finite number"),
      ("orders:1|c|@2", "a rate is above 0 and at most 1"),
      ("_e{1,1}:a|b", "events and service checks are not kept"), ("_seq|1", "it has no value"),
      ("jobs:1|c:320|x", "the types are c, g, ms, h, d and s"), ("-", "it has no value"),
    ] as [(String, String?)]) func `a line is good or has a reason`(
      _ line: String, _ reason: String?
    )
  {
    let bytes = Array(line.utf8)
    #expect(EmitLines.problem(bytes.span.bytes)?.description == reason)
  }

  @Test func `nothing is taken where one line is bad`() {
    do {
      _ = try EmitLines(["a:1|c", "b:1|x"])
      Issue.record("taken")
    } catch { #expect(error.message.contains("'b:1|x' is no event")) }
    #expect(throws: EmitLines.Mistake.self) { try EmitLines([""]) }
  }

  @Test(arguments: [1, 5, 6, 11, 12, 1000])
  func `batches have whole lines, all of them`(_ limit: Int) throws {
    let given = (0..<40).map { "l\($0):1|c" }
    let lines = try EmitLines(given)
    var found: [String] = []
    lines.forEachBatch(of: limit) { batch in
      let text = String(copying: batch)
      let parts = text.split(separator: "\n").map(String.init)
      #expect(parts.count == 1 || batch.byteCount <= limit)
      found += parts
    }
    #expect(found == given)
  }
}

@Suite struct RunCommandTests {
  @Test func `a job that went well`() {
    #expect(
      RunCommand.lines("a b", 0, 61_000_007, 1_800_000_000) == """
        job.runs:1|c|#job_name:a b,result:success
        job.duration_seconds:61.000007|d|#job_name:a b
        job.exit_code:0|g|#job_name:a b
        job.last_success_timestamp_seconds:1800000000|g|#job_name:a b
        """)
  }

  @Test func `a job that failed`() {
    #expect(
      RunCommand.lines("x", 137, 999_999, 5) == """
        job.runs:1|c|#job_name:x,result:failure
        job.duration_seconds:0.999999|d|#job_name:x
        job.exit_code:137|g|#job_name:x
        """)
  }
}
