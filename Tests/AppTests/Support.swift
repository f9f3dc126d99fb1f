import Foundation
import SidecarPlatform

@testable import SidecarApp
@testable import SidecarHTTP

/// The App's answers without a socket.
final class Wire {
  private let worker: Worker
  private let limits = HTTPLimits()
  private var response = ResponseWriter()

  init(_ docs: Docs = Docs(rootPath: RootPath(), swaggerUI: .remote)) {
    worker = Worker(docs, events: nil, stopDescriptor: -1, memoryByteCount: 1 << 20)
    response.date.update(now: 1_000_000_000)
  }

  /// What `GET path` is answered with, and the route that it counts as.
  func get(_ path: String, method: String = "GET") -> (text: String, route: UInt32) {
    var machine = Connection(now: 1_000_000_000, limits: limits)
    let request = Array("\(method) \(path) HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
    response.route = Answer.noRoute
    machine.receive(
      request.span.bytes, now: 1_000_000_000, limits: limits, responder: worker, into: &response)
    let text = String(decoding: response.buffer.array, as: UTF8.self)
    response.buffer.removeAll()
    return (text, response.route)
  }
}

/// A folder with stand-ins for Swagger UI's files, for as long as `body` runs.
func withSwaggerFolder(
  _ names: [String] = ["swagger-ui.css", "swagger-ui-bundle.js"], _ body: (String) throws -> Void
) throws {
  let folder = FileManager.default.temporaryDirectory.appending(path: "docs-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  for name in names + ["secret.txt"] {
    try Data("/* \(name) */".utf8).write(to: folder.appending(path: name))
  }
  try body(folder.path)
}
