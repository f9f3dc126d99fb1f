import SidecarPlatform

/// The first line of the log: every socket and address, and the files.
extension Sidecar {
  func tellStart() {
    var text = ByteBuffer(capacity: 512)
    text.append("Serving metrics on http://")
    text.append(settings.listen.description)
    text.append("/metrics (CTRL + C to quit); clients by")
    for file in sockets.files { tell(file.source, file.file.path, &text) }
    if let address = settings.statsdUDP { tell(.udp, address.description, &text) }
    if let address = settings.statsdTCP { tell(.tcp, address.description, &text) }
    for address in settings.otlp.addresses { tell(.otlp, address.description, &text) }
    text.append(push == nil ? "" : " pushes")
    text.append("; rules ")
    text.append(settings.rules.isEmpty ? "none" : settings.rules)
    let registry = processor.registry
    count(registry.rules.families.count, " families); state ", &text)
    text.append(registry.state.file.path)
    count(registry.restoredSeriesCount, " series came back)", &text)
    settings.log.info(String(copying: text.bytes))
    if let warning = selfMetrics.memory?.warning, !warning.isEmpty { settings.log.warning(warning) }
  }

  private func tell(_ source: IntakeCounts.Source, _ place: String, _ text: inout ByteBuffer) {
    text.append(" ")
    text.append(source.name)
    text.append(" ")
    text.append(place)
  }

  private func count(_ number: Int, _ words: StaticString, _ text: inout ByteBuffer) {
    text.append(" (")
    Decimal.append(UInt64(number), to: &text)
    text.append(words)
  }
}
