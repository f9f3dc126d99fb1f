import SidecarHTTP
import SidecarPlatform

/// `metrics-sidecar tail`: incoming lines, until Ctrl-C. Asks the sidecar a few times a second, so
/// that a sidecar without viewers pays nothing; the sidecar formats the text, see `Tap`.
enum Tail {
  private static let pauseMilliseconds = 250
  private static let timeoutMilliseconds = 5000

  static func run(_ address: NetworkAddress, name: String, isOfRefusals: Bool) -> ExitCode {
    var number = Clock.monotonicNanoseconds
    do throws(Errno) { number = try Process.randomIdentity().0 } catch {}
    let path =
      joined(
        "/api/v1/tail?viewer=", (number >> 1 | 1).description, isOfRefusals ? "&rejected=1" : "",
        "&name=", encoded(name)) + "&columns="
    let hasColours = Terminal.hasColours
    var hasAnswered = false
    var isAway = false
    var body = ByteBuffer(capacity: 65_536)
    while true {
      let columns = hasColours ? Terminal.size?.columns ?? 80 : 0
      var status = 0
      do throws(Client.Failure) {
        status = try Client.get(
          joined(path, columns.description), at: address, timeoutMilliseconds: timeoutMilliseconds,
          into: &body)
      } catch {}
      if status == 200 {
        Process.write(body.bytes)
        hasAnswered = true
        isAway = false
      } else {
        if !hasAnswered { return Client.complain("tail", address, status) }
        if !isAway { Process.write("# the sidecar does not answer; it is asked each second\n") }
        isAway = true
      }
      Process.sleep(milliseconds: isAway ? 1000 : pauseMilliseconds)
    }
  }

  /// For a query: all but letters and digits as `%2A`.
  private static func encoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      if byte &- 48 < 10 || (byte | 0x20) &- 97 < 26 {
        bytes.append(byte)
      } else {
        bytes.append(UInt8(ascii: "%"))
        bytes.append(digits[Int(byte >> 4)])
        bytes.append(digits[Int(byte & 15)])
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension Client {
  /// Reports that nothing, or something else, answers.
  static func complain(_ command: String, _ address: NetworkAddress, _ status: Int) -> ExitCode {
    Process.write(
      joined(
        "metrics-sidecar ", command, status == 0 ? ": nothing answers on http://" : ": http://",
        address.description,
        status == 0
          ? "; is the sidecar running, and --listen the same?\n"
          : status == 503
            ? " has eight viewers already\n" : " is no sidecar, or one of an older version\n"),
      to: 2)
    return .failure
  }
}
