import SidecarPlatform

/// The lines with which parts of the sidecar tell their own metrics, in text 0.0.4.
protocol OwnMetricLines {}

extension OwnMetricLines {
  /// `# HELP` and `# TYPE`.
  func head(
    _ name: StaticString, _ type: StaticString, _ help: StaticString, _ page: inout ByteBuffer
  ) {
    page.append("# HELP ")
    page.append(name)
    page.append(" ")
    page.append(help)
    page.append("\n# TYPE ")
    page.append(name)
    page.append(" ")
    page.append(type)
    page.append("\n")
  }

  /// A whole family of one series without labels.
  func one(
    _ name: StaticString, _ type: StaticString, _ help: StaticString, _ value: Double,
    _ page: inout ByteBuffer
  ) {
    head(name, type, help, &page)
    page.append(name)
    page.append(" ")
    number(value, &page)
  }

  /// A series with one label, whose value needs no escaping.
  func labelled(
    _ name: StaticString, _ label: StaticString, _ text: StaticString, _ value: Double,
    _ page: inout ByteBuffer
  ) {
    open(name, label, &page)
    page.append(text)
    page.append("\"} ")
    number(value, &page)
  }

  /// The same of a name that is known at run time only.
  func labelled(
    _ name: StaticString, _ label: StaticString, _ text: [UInt8], _ value: Double,
    _ page: inout ByteBuffer
  ) {
    open(name, label, &page)
    page.append(text)
    page.append("\"} ")
    number(value, &page)
  }

  private func open(_ name: StaticString, _ label: StaticString, _ page: inout ByteBuffer) {
    page.append(name)
    page.append("{")
    page.append(label)
    page.append("=\"")
  }

  func number(_ value: Double, _ page: inout ByteBuffer) {
    NumberFormat.append(value, to: &page)
    page.append("\n")
  }
}
