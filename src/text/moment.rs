//! Moments as users give them (`--since`, `--until`): a duration before now,
//! a date or time of day with or without zone, or seconds since 1970.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Reads what Docker reads: `42m`, `1h30m`, `2006-01-02[T15[:04[:05[.9]]]]`
/// in `zone`, the same with `Z` or an offset, `1136073600[.000000001]`.
pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if text != "0"
        && let Some(before) = duration(text)
    {
        return now.checked_sub(before).ok();
    }
    seconds(text).or_else(|| zoned(text)).or_else(|| {
        let local: DateTime = text.parse().ok()?;
        Some(local.to_zoned(zone.clone()).ok()?.timestamp())
    })
}

/// A date with `Z` or an offset; jiff wants a time of day before these.
fn zoned(text: &str) -> Option<Timestamp> {
    if let (Some(date), Some(offset)) = (text.get(..10), text.get(10..))
        && offset.starts_with(['Z', 'z', '+', '-'])
    {
        return format!("{date}T00:00{offset}").parse().ok();
    }
    text.parse().ok()
}

/// Seconds since 1970 with up to nine decimals.
fn seconds(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Timestamp::new(whole.parse().ok()?, nanoseconds).ok()
}

/// Go's durations: a sign, then numbers with units, `1h15m30.918s`.
pub fn duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(end);
        let next = unit
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(unit.len());
        let (unit, after) = unit.split_at(next);
        nanoseconds = nanoseconds.checked_add(scaled(number, unit)?)?;
        rest = after;
    }
    let nanoseconds = i64::try_from(nanoseconds).ok()?;
    Some(SignedDuration::from_nanos(if negative {
        -nanoseconds
    } else {
        nanoseconds
    }))
}

/// `number` (digits, perhaps with one point) of `unit` in nanoseconds.
fn scaled(number: &str, unit: &str) -> Option<i128> {
    let scale: i128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| -> Option<i128> {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u64>().ok().map(i128::from)
        }
    };
    // More digits than these are below a nanosecond of an hour.
    let fraction = fraction.get(..fraction.len().min(13))?;
    let part = digits(fraction)? * scale / 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(digits(whole)? * scale + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_reads() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (text, want) in [
            ("10m", "2026-11-21T11:50:00Z"),
            ("1h30m", "2026-11-21T10:30:00Z"),
            ("1.5s", "2026-11-21T11:59:58.5Z"),
            ("-1h", "2026-11-21T13:00:00Z"),
            ("2026-01-02", "2026-01-01T22:00:00Z"),
            ("2026-01-02T15", "2026-01-02T13:00:00Z"),
            ("2026-01-02T15:04", "2026-01-02T13:04:00Z"),
            ("2026-01-02T15:04:05", "2026-01-02T13:04:05Z"),
            ("2026-01-02T15:04:05.25", "2026-01-02T13:04:05.25Z"),
            ("2026-01-02T15:04:05.25Z", "2026-01-02T15:04:05.25Z"),
            ("2026-01-02T15:04:05+01:00", "2026-01-02T14:04:05Z"),
            ("2026-01-02T15:04-05:00", "2026-01-02T20:04:00Z"),
            ("2026-01-02Z", "2026-01-02T00:00:00Z"),
            ("2026-01-02+03:00", "2026-01-01T21:00:00Z"),
            ("1136073600", "2006-01-01T00:00:00Z"),
            ("1136073600.000000001", "2006-01-01T00:00:00.000000001Z"),
            ("0", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(
                parse(text, now, &zone),
                Some(want.parse().unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_the_rest() {
        let zone = TimeZone::UTC;
        for text in [
            "",
            "x",
            "-",
            "+",
            "yesterday",
            "1x",
            "1.h.",
            ".h",
            "1h1",
            "2026-13-01",
            "2026-01-02T25",
            "99999999999999999999",
            "99999999999h",
            "1.0000000001",
            "1.",
            "é2026-01-02",
            "2026-01-0é+0",
        ] {
            assert_eq!(parse(text, Timestamp::UNIX_EPOCH, &zone), None, "{text}");
        }
    }
}
