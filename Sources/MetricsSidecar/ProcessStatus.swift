import SidecarPlatform

/// The values of `process_*`, named as in the official clients; read at each scrape.
struct ProcessStatus {
  var cpuSeconds: Double
  var residentByteCount: UInt64
  var virtualByteCount: UInt64
  var openFileCount: Int
  var openFileLimit: Int

  static func read(openFileLimit: Int, scratch: inout ByteBuffer) -> ProcessStatus {
    var status = ProcessStatus(
      cpuSeconds: Double(Process.cpuNanoseconds) / 1e9, residentByteCount: 0, virtualByteCount: 0,
      openFileCount: Process.openFileCount(limit: openFileLimit), openFileLimit: openFileLimit)
    // "pages in all, pages resident, …"; if /proc is not mounted the two stay 0.
    scratch.removeAll()
    do throws(Errno) {
      try Files.read("/proc/self/statm", limit: 4096, into: &scratch)
      var fields: (UInt64, UInt64) = (0, 0)
      let bytes = scratch.bytes
      var field = 0
      for index in 0..<bytes.byteCount where field < 2 {
        let byte = unsafe bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
        if byte == UInt8(ascii: " ") {
          field += 1
        } else if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
          let digit = UInt64(byte - UInt8(ascii: "0"))
          if field == 0 {
            fields.0 = fields.0 * 10 + digit
          } else {
            fields.1 = fields.1 * 10 + digit
          }
        }
      }
      status.virtualByteCount = fields.0 &* UInt64(Process.pageSize)
      status.residentByteCount = fields.1 &* UInt64(Process.pageSize)
    } catch {}
    return status
  }
}
