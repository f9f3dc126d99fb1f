import CSidecarLinux

/// Monotonic and wall time, as nanoseconds.
public enum Clock {
  /// Nanoseconds since some fixed point; never goes back. For deadlines and durations.
  @inline(__always)
  public static var monotonicNanoseconds: UInt64 { cl_monotonic_nanoseconds() }

  /// Nanoseconds since 1970-01-01T00:00:00Z. For people and files.
  public static var unixNanoseconds: UInt64 { cl_realtime_nanoseconds() }
  /// Whole seconds since then.
  public static var unixSeconds: Int64 { Int64(cl_realtime_nanoseconds() / 1_000_000_000) }
}

/// A moment as a calendar date and time in UTC, without the C library's time zones.
public struct CivilTime: Equatable, Sendable {
  /// Of the Gregorian calendar.
  public let year: Int
  /// 1 to 12.
  public let month: Int
  /// 1 to 31.
  public let day: Int
  /// 0 to 23.
  public let hour: Int
  /// 0 to 59.
  public let minute: Int
  /// 0 to 59; leap seconds do not exist in Unix time.
  public let second: Int
  /// 0 is Sunday.
  public let weekday: Int

  /// Days are counted from 0000-03-01, so that a leap day is the last of its year
  /// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
  public init(unixSeconds: Int64) {
    let days = unixSeconds >= 0 ? unixSeconds / 86_400 : (unixSeconds - 86_399) / 86_400
    let secondOfDay = Int(unixSeconds - days * 86_400)
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = Int(shifted - era * 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    year = yearOfEra + Int(era) * 400 + (month <= 2 ? 1 : 0)
    hour = secondOfDay / 3600
    minute = secondOfDay / 60 % 60
    second = secondOfDay % 60
    weekday = Int(((days % 7) + 11) % 7)
  }
}
