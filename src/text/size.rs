//! Sizes in bytes: as Docker prints them (decimal with three or four digits,
//! binary with four) and as its options take them (powers of 1024).

use crate::error::{Error, Result};

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/// Units of 1000, three digits: `1.99MB`. Lists use it.
pub fn decimal(bytes: u64) -> String {
    scaled(bytes, 1000.0, &DECIMAL, 3)
}

/// Units of 1000, four digits: `14.33MB`. `system df` and prune totals use it.
pub fn decimal4(bytes: u64) -> String {
    scaled(bytes, 1000.0, &DECIMAL, 4)
}

/// Units of 1024, four digits: `1.699MiB`. Memory uses it.
pub fn binary(bytes: u64) -> String {
    scaled(bytes, 1024.0, &BINARY, 4)
}

fn scaled(bytes: u64, base: f64, units: &[&str], digits: usize) -> String {
    #[allow(clippy::cast_precision_loss)]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// C's `%.{digits}g`: at most that many significant digits, no trailing
/// zeros, an exponent when the number needs more digits before the point
/// (so 999.9 with three digits is `1e+03`, as Docker prints it).
pub fn significant(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let scientific = format!("{:.*e}", digits - 1, value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= i32::try_from(digits).unwrap_or(i32::MAX) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs());
    }
    let decimals = i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent;
    trimmed(&format!(
        "{value:.*}",
        usize::try_from(decimals).unwrap_or(0)
    ))
    .to_string()
}

fn trimmed(number: &str) -> &str {
    if number.contains('.') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

/// Bytes from `512`, `64m`, `1.5g`, `2GiB`, `10 kb`: powers of 1024, any case.
pub fn parse(text: &str) -> Result<i64> {
    let bad = || Error::invalid(format!("invalid size: '{text}'"));
    let end = text
        .rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')
        .ok_or_else(bad)?
        + 1;
    let number = text[..end].strip_suffix(' ').unwrap_or(&text[..end]);
    // Only digits and a point: Rust's parser would also take "inf" and "1e9".
    if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(bad());
    }
    let number: f64 = number.parse().map_err(|_| bad())?;
    let factor = unit_factor(&text[end..]).ok_or_else(bad)?;
    let bytes = number * factor;
    // 2^63 is the first value that i64 does not hold.
    if bytes >= 9_223_372_036_854_775_808.0 {
        return Err(bad());
    }
    #[allow(clippy::cast_possible_truncation)]
    Ok(bytes as i64)
}

fn unit_factor(suffix: &str) -> Option<f64> {
    let suffix = suffix.to_ascii_lowercase();
    if suffix.is_empty() || suffix == "b" {
        return Some(1.0);
    }
    let mut chars = suffix.chars();
    let power = match chars.next()? {
        'k' => 1,
        'm' => 2,
        'g' => 3,
        't' => 4,
        'p' => 5,
        _ => return None,
    };
    matches!(chars.as_str(), "" | "b" | "ib").then(|| 1024_f64.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_sizes_have_three_digits() {
        for (bytes, want) in [
            (0, "0B"),
            (3, "3B"),
            (999, "999B"),
            (1000, "1kB"),
            (316_000, "316kB"),
            (999_900, "1e+03kB"),
            (1_990_000, "1.99MB"),
            (14_330_000, "14.3MB"),
            (2_000_000, "2MB"),
            (u64::MAX, "18.4EB"),
        ] {
            assert_eq!(decimal(bytes), want);
        }
        assert_eq!(decimal4(14_330_000), "14.33MB");
        assert_eq!(decimal4(1_985_000), "1.985MB");
    }

    #[test]
    fn binary_sizes_have_four_digits() {
        assert_eq!(binary(1_781_530), "1.699MiB");
        assert_eq!(binary(0), "0B");
        assert_eq!(binary(1 << 30), "1GiB");
        assert_eq!(binary(25_275_000_000), "23.54GiB");
    }

    #[test]
    fn sizes_are_parsed_as_docker_does() {
        for (text, want) in [
            ("0", 0),
            ("32", 32),
            ("32b", 32),
            ("32B", 32),
            ("32k", 32 << 10),
            ("32 kb", 32 << 10),
            ("32KiB", 32 << 10),
            ("64m", 64 << 20),
            ("1.5g", 3 << 29),
            ("2T", 2 << 40),
            ("1p", 1 << 50),
            ("0.5k", 512),
        ] {
            assert_eq!(parse(text).unwrap(), want, "{text}");
        }
    }

    #[test]
    fn nonsense_sizes_are_refused() {
        for text in [
            "",
            "abc",
            "-1",
            "-64m",
            "1x",
            "1kk",
            "1 kib b",
            "inf",
            "1e9g",
            "NaN",
            "..",
            "1.2.3",
            "9999999999p",
            "12bb",
            " ",
            "٣m",
            "1ki",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("abc").unwrap_err().message(), "invalid size: 'abc'");
    }
}
