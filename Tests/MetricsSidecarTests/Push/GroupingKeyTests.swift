import Foundation
import SidecarPlatform
import Testing

@testable import MetricsSidecar

@Suite struct GroupingKeyTests {
  @Test(arguments: [
    ("/j", #"job="j""#),
    ("/j/", #"job="j""#),
    ("/j/b/2/a/1", #"a="1",b="2",job="j""#),
    ("@base64/YS9i", #"job="a/b""#),
    ("/j/p@base64/YS9i", #"job="j",p="a/b""#),
    ("/j/p@base64/4pyT", #"job="j",p="✓""#),
    ("/j/p@base64/=", #"job="j",p="""#),
    ("/j/p@base64/", #"job="j",p="""#),
    ("/j/p//q/1", #"job="j",p="",q="1""#),
    ("/j/p@base64/YQ==", #"job="j",p="a""#),
    ("/j%20k/p/%22", #"job="j k",p="\"""#),
    ("/j/p/1/p/2", #"job="j",p="2""#),
    ("/j/job/2", #"job="j""#),
    ("/j/p/a%2Fb/c", #"b="c",job="j",p="a""#),
  ])
  func `a path names a group`(_ path: String, _ identity: String) throws {
    let key = try PushFixture.key(path)
    #expect(String(decoding: key.identity.bytes, as: UTF8.self) == identity)
    let again = GroupingKey(identity: key.identity.bytes.span.bytes)
    #expect(again.identity == key.identity)
    #expect(again.fullText == key.fullText)
  }

  @Test(arguments: [
    ("", 404), ("x/j", 404), ("/", 400), ("//p/1", 400), ("/j/p", 400), ("/j/p/1/q", 400),
    ("/j/1p/1", 400), ("/j/__p/1", 400), ("/j/p@base64/!", 400), ("@base64/=", 400),
    ("/j/p@base64/A", 400), ("/%", 400), ("/%4", 400), ("/%zz", 400), ("/%ff", 400),
  ])
  func `a path that names none is refused`(_ path: String, _ status: Int) {
    #expect(throws: PushError.self) { try PushFixture.key(path) }
    do { _ = try PushFixture.key(path) } catch { #expect((error as? PushError)?.status == status) }
  }
}
