import SidecarHTTP
import SidecarPlatform

/// Whether events can arrive, for `/-/ready` and the log: each socket file is where clients look
/// for it, connections can be accepted, and the state file can grow. A socket whose file was
/// removed is bound again. Checked only on `/-/ready` or a scrape, so it costs nothing while idle.
///
/// Before the state is recovered nothing answers here: the port opens after that, and under a
/// supervisor connections wait in the kernel.
extension Sidecar {
  /// `/-/ready`: 200, or 503 with a line that says why and what to do.
  func answerReady(_ response: inout ResponseWriter) {
    takeWaitingClients()
    lookAtIntake()
    if trouble.isEmpty { return say("ready\n", &response) }
    response.begin(status: 503, contentType: "text/plain; charset=utf-8")
    response.buffer.append("not ready: ")
    response.buffer.append(trouble)
    response.buffer.append("\n")
    response.end()
  }

  /// Repairs what it can and sets `trouble`. Call it after `takeWaitingClients`.
  func lookAtIntake() {
    var found = ""
    for file in sockets.files where !file.file.isBound {
      let mistake = bindAgain(file)
      if found.isEmpty { found = mistake }
    }
    let mistake = keepFiles()
    if found.isEmpty { found = mistake }
    if found.isEmpty, let error = acceptFailure {
      found =
        "clients wait to be taken: " + error.description
        + ". Raise the limit of open files (ulimit -n), or lower --max-connections"
    }
    if found.isEmpty, hasRefused {
      found =
        "every place of the events socket is taken by clients that send, so others are refused. "
        + "Raise --max-connections, or find out whose connections they are"
    }
    if found.isEmpty, let error = processor.registry.state.retryGrowth() {
      found =
        "the state file cannot grow (" + error.description
        + "), so new series and sessions are refused; known ones count. Make room on its disk"
    }
    if found.isEmpty, let error = push?.store.file.retryGrowth() {
      found =
        "the file of pushed groups cannot grow (" + error.description
        + "), so pushes are answered 507; groups that are there stay. Make room on its disk"
    }
    if found.isEmpty, server?.isFull == true {
      found =
        "every HTTP connection is taken and none makes room, so scrapes are refused. Raise "
        + "--max-http-connections, or find out whose connections they are"
    }
    guard found != trouble else { return }
    trouble = found
    if found.isEmpty {
      tell(.info, "Ready again")
    } else {
      tell(.error, joined("Not ready: ", found))
    }
  }

  /// Binds a socket whose file is gone; returns what is in the way, or "".
  private func bindAgain(_ file: IntakeFile) -> String {
    if formers.count == Self.formerLimit {
      return joined(
        file.file.path, " was removed too often. Find out who removes it, and restart this")
    }
    do throws(IntakeSockets.Failure) {
      let former = try sockets.bindAgain(file, settings)
      do throws(Errno) {
        try exchange(former, for: file)
      } catch { throw IntakeSockets.Failure(message: joined("epoll: ", error.description)) }
    } catch { return error.message }
    settings.log.warning(
      joined(
        file.file.path,
        " was removed or replaced, so it is bound again: clients that connect from now ")
        + "on come in. Find out who removes it")
    return ""
  }

  /// Creates removed files again that must outlive this process; returns what is in the way, or "".
  func keepFiles() -> String {
    let mistake = keep(&processor.registry.state.file)
    guard let push else { return mistake }
    let other = keep(&push.store.file.file)
    return mistake.isEmpty ? other : mistake
  }

  @inline(never)
  private func keep(_ file: inout MappedFile) -> String {
    if file.isThere { return "" }
    do throws(Errno) {
      try file.makeAgain()
    } catch {
      let way =
        error == .exists ? "another file is in its place; remove that" : error.description
      return file.path + " was removed, and cannot be created again (" + way
        + "): what it has, and what is counted now, ends with this process"
    }
    settings.log.warning(
      file.path
        + " was removed, so it is created again with all that it had. Find out what removes it")
    return ""
  }

  /// At the start of a worker: takes over the sockets that its predecessors have bound again.
  func takeParked() throws(Errno) {
    for file in sockets.files {
      while let former = sockets.takeParked(file) { try exchange(former, for: file) }
    }
  }

  /// Watches the new socket of `file`, and keeps the previous one for its clients.
  private func exchange(_ former: OrphanedSocket, for file: IntakeFile) throws(Errno) {
    let raw = former.socket.raw
    if file.source == .events {
      // Accept those in its queue; no others will come.
      acceptQueue(raw, .events)
      server?.unwatch(raw)
    } else {
      try server?.change(raw, .readable, token: Self.firstFormer + UInt32(formers.count))
      formers.append(former)
    }
    try watch(file.file.socket.raw, file.source)
  }
}

/// A socket whose file is gone, but which clients may still hold.
final class OrphanedSocket {
  let socket: Descriptor
  let source: IntakeCounts.Source

  init(_ socket: consuming Descriptor, _ source: IntakeCounts.Source) {
    self.socket = socket
    self.source = source
  }
}
