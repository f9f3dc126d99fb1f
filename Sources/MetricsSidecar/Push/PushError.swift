/// Why a push is refused: the status of the answer and a sentence for the client.
struct PushError: Error, Equatable {
  let status: Int
  let message: String

  init(_ message: String, status: Int = 400) {
    self.status = status
    self.message = message
  }
}
