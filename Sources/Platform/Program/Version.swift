/// The version of the programs, set by the release job.
public enum Version {
  /// In the form of semver.org, without a `v`.
  public static let number = "0.1.0"
}
