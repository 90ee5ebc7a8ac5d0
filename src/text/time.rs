//! Points in time as text: RFC 3339 in records, the caller's local time in
//! lists, Docker's rounded durations ("About a minute") for people.

use jiff::{Timestamp, tz::TimeZone};

/// What "never" is in Docker's answers.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// Now: RFC 3339, UTC, always nine decimals, so that texts sort like times.
pub fn now() -> String {
    rfc3339(Timestamp::now())
}

/// RFC 3339, UTC, always nine decimals.
pub fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

/// Reads RFC 3339. Empty text and [`NEVER`] are no time.
pub fn parse(text: &str) -> Option<Timestamp> {
    if text.is_empty() || text.starts_with("0001-01-01T00:00:00") {
        return None;
    }
    text.parse().ok()
}

/// `2006-01-02 15:04:05 -0700 MST` in the caller's time zone.
pub fn local(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S %z %Z")
        .to_string()
}

/// The same with nanoseconds, as Go writes them: without zeros at the end.
pub fn local_nanos(time: Timestamp) -> String {
    let zoned = time.to_zoned(TimeZone::system());
    let fraction = format!(".{:09}", zoned.subsec_nanosecond());
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let seconds = zoned.strftime("%Y-%m-%d %H:%M:%S");
    format!("{seconds}{fraction} {}", zoned.strftime("%z %Z"))
}

/// RFC 3339 with seconds in the caller's time zone, as Go writes it.
pub fn local_rfc3339(time: Timestamp) -> String {
    let zoned = time.to_zoned(TimeZone::system());
    let text = zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    match text.strip_suffix("+00:00") {
        Some(utc) => format!("{utc}Z"),
        None => text,
    }
}

/// Seconds from `then` to `now`; 0 when the clock went back.
pub fn seconds_between(then: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_second() - then.as_second()).unwrap_or(0)
}

/// Docker's words for a duration in whole seconds. Hours are rounded to the
/// nearest, everything else down; a month has 30 days, a year 365.
pub fn duration(seconds: u64) -> String {
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    let days = hours / 24;
    match () {
        () if seconds < 1 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if days < 14 => format!("{days} days"),
        () if days < 60 => format!("{} weeks", days / 7),
        () if days < 730 => format!("{} months", days / 30),
        // From the exact duration, not from the rounded hours.
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// `duration` of the time passed since `then`, with ` ago`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", duration(seconds_between(then, now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_dockers() {
        const H: u64 = 3600;
        const D: u64 = 24 * H;
        for (seconds, want) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (59 * 60 + 59, "59 minutes"),
            (H, "About an hour"),
            (H + 1799, "About an hour"),
            (H + 1800, "2 hours"),
            (47 * H, "47 hours"),
            (48 * H, "2 days"),
            (13 * D, "13 days"),
            (14 * D, "2 weeks"),
            (59 * D, "8 weeks"),
            (60 * D, "2 months"),
            (729 * D, "24 months"),
            (730 * D, "2 years"),
            (1100 * D, "3 years"),
        ] {
            assert_eq!(duration(seconds), want, "{seconds}");
        }
    }

    #[test]
    fn records_round_trip_and_sort() {
        let a = parse("2026-01-02T03:04:05.000000001Z").unwrap();
        assert_eq!(rfc3339(a), "2026-01-02T03:04:05.000000001Z");
        assert_eq!(
            rfc3339(parse("2026-01-02T04:04:05+01:00").unwrap()),
            "2026-01-02T03:04:05.000000000Z"
        );
        assert_eq!(now().len(), 30);
    }

    #[test]
    fn no_time_and_bad_times() {
        for text in ["", NEVER, "yesterday", "2026-13-01T00:00:00Z", "2026-01-01"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_clock_that_went_back_is_no_time_at_all() {
        let (a, b) = (
            parse("2026-01-01T00:00:00Z").unwrap(),
            parse("2025-01-01T00:00:00Z").unwrap(),
        );
        assert_eq!(ago(a, b), "Less than a second ago");
    }
}
