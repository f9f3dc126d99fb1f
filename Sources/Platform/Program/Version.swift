/// The version of both programs, set by the release job.
public enum Version {
  public static let number = "0.1.0"
}
