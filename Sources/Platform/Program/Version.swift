/// The version of the programs, set by the release job.
public enum Version {
  /// As semver.org has it, without a `v`.
  public static let number = "0.1.0"
}
