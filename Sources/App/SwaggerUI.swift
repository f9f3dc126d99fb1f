import SidecarPlatform

/// Where Swagger UI's own files come from: a folder, read once at startup, or a CDN.
struct SwaggerUI: Sendable {
  /// The files taken from the folder; nothing else in it is ever read.
  private static let files: [(name: StaticString, path: StaticString, type: StaticString)] = [
    ("swagger-ui.css", "/docs/swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", "/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
  ]
  /// Four times the size of today's script.
  private static let fileLimit = 8 << 20

  /// Their folder in the image.
  static let standardFolder = "/swagger-ui"

  static let remoteOrigin = "https://cdn.jsdelivr.net"
  private static let remoteFolder = remoteOrigin + "/npm/swagger-ui-dist@5.34.0"
  // SHA-384 of the files in release 5.34.0 of swagger-ui-dist.
  private static let styleHash =
    "sha384-4c3vsE5f+trhFyHrFrLM1fFGUn531NIaC7dcqEWIJdoRQJ5CkJbSuSCwXLpaS1KF"
  private static let scriptHash =
    "sha384-9Td7MKiIr2S83E1kZyyVi8KdJw/S8CpAvu0llLyMeg0xq/hDGiZJfVn0fV4llCmK"

  /// The files of the folder, each under its path; none if they come from the CDN.
  let assets: [Asset]
  var isRemote: Bool { assets.isEmpty }

  /// The files of the CDN.
  static let remote = SwaggerUI(assets: [])

  private init(assets: [Asset]) { self.assets = assets }

  struct Failure: Error, Sendable {
    let path: String
    let reason: Errno
  }

  /// The files in `folder`.
  init(folder: String) throws(Failure) {
    var assets: [Asset] = []
    for file in Self.files {
      let path = "\(folder)/\(file.name)"
      var buffer = ByteBuffer()
      do throws(Errno) {
        try Files.read(path, limit: Self.fileLimit, into: &buffer)
      } catch { throw Failure(path: path, reason: error) }
      assets.append(Asset(path: file.path, contentType: file.type, body: buffer.array))
    }
    self.assets = assets
  }

  var styleElement: String {
    isRemote
      ? "<link rel=\"stylesheet\" href=\"\(Self.remoteFolder)/swagger-ui.css\" "
        + "integrity=\"\(Self.styleHash)\" crossorigin=\"anonymous\">"
      : "<link rel=\"stylesheet\" href=\"docs/swagger-ui.css\">"
  }

  var scriptElement: String {
    isRemote
      ? "<script src=\"\(Self.remoteFolder)/swagger-ui-bundle.js\" "
        + "integrity=\"\(Self.scriptHash)\" crossorigin=\"anonymous\"></script>"
      : "<script src=\"docs/swagger-ui-bundle.js\"></script>"
  }
}
