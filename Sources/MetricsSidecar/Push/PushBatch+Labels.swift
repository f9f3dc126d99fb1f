import SidecarPlatform

/// The labels of the line or metric being read.
extension PushBatch {
  func addLabel(name: Range<Int>, value: Range<Int>, isRaw: Bool) {
    labels.append(Label(name: name, value: value, isRaw: isRaw))
  }

  var labelCount: Int { labels.count }

  /// Sorts the line's labels, merges them with the grouping key's and appends the result.
  /// The ranges given to `addLabel` were of `body`.
  ///
  /// `origin` is a digest of the replaced labels: lines of a histogram or summary that differ only
  /// in those belong to two series of the client, which would become one here.
  func mergeLabels(_ body: RawSpan) -> (labels: Range<Int>, origin: UInt64) {
    var origin: UInt64 = 0
    for index in 0..<labels.count {
      var at = index
      while at > 0, body.order(labels[at - 1].name, body, labels[at].name) > 0 {
        labels.swapAt(at - 1, at)
        at -= 1
      }
    }
    let start = bytes.count
    let keyBytes = key.bytes
    var next = 0
    for label in labels {
      var isOverridden = false
      while next < key.labels.count {
        let own = key.labels[next]
        let order = unsafe keyBytes.span.bytes.order(own.name, body, label.name)
        if order > 0 { break }
        if order == 0 {
          isOverridden = !own.isDefault
          if own.isDefault { next += 1 }
          let key = HashKey.process
          origin = key.fold(origin, key.hash(body.extracting(label.name)))
          origin = key.fold(origin, key.hash(body.extracting(label.value)))
          break
        }
        appendKeyLabel(keyBytes, own.text, start)
        next += 1
      }
      if !isOverridden { appendBodyLabel(label, body, start) }
    }
    while next < key.labels.count {
      appendKeyLabel(keyBytes, key.labels[next].text, start)
      next += 1
    }
    labels.removeAll(keepingCapacity: true)
    return (start..<bytes.count, origin)
  }

  /// Whether the line's labels have this name already. They are few: parsers ensure that.
  func hasLabel(_ name: Range<Int>, in body: RawSpan) -> Bool {
    let wanted = body.extracting(name)
    for label in labels where ByteCompare.equal(body.extracting(label.name), wanted) {
      return true
    }
    return false
  }

  func appendKeyLabel(_ keyBytes: [UInt8], _ text: Range<Int>, _ start: Int) {
    if bytes.count > start { bytes.append(UInt8(ascii: ",")) }
    unsafe bytes.append(keyBytes.span.bytes.extracting(text))
  }

  func appendBodyLabel(_ label: Label, _ body: RawSpan, _ start: Int) {
    if bytes.count > start { bytes.append(UInt8(ascii: ",")) }
    bytes.append(body.extracting(label.name))
    bytes.append("=\"")
    let value = body.extracting(label.value)
    if label.isRaw { Labels.appendEscaped(value, to: &bytes) } else { bytes.append(value) }
    bytes.append(UInt8(ascii: "\""))
  }
}
