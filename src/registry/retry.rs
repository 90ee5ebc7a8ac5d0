//! When to try again: doubling waits with jitter, and Retry-After.

use super::{Options, Watch};
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, SystemTime};

/// Whether doing the same again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    Never,
    /// After the usual wait.
    Maybe,
    /// After the usual wait, but not twice: each try takes the stall time.
    Once,
    /// The server is not there; only worth a wait if it was before.
    IfSeen,
    /// The server said when.
    After(Duration),
}

/// Counts the tries of one thing.
pub struct Tries<'a> {
    options: &'a Options,
    done: u32,
}

impl<'a> Tries<'a> {
    pub fn new(options: &'a Options) -> Self {
        Self { options, done: 0 }
    }

    /// Something was achieved: start counting anew.
    pub fn reset(&mut self) {
        self.done = 0;
    }

    /// Waits for the next try; false when there is none.
    pub fn wait(&mut self, again: Again, watch: Watch) -> bool {
        self.done += 1;
        let Some(wait) = self.next(again) else {
            return false;
        };
        (watch.retrying)(wait);
        let slice = Duration::from_millis(50);
        let end = std::time::Instant::now() + wait;
        while !watch.is_cancelled() {
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(slice));
        }
        false
    }

    fn next(&self, again: Again) -> Option<Duration> {
        if self.done >= self.options.tries {
            return None;
        }
        match again {
            Again::Never | Again::IfSeen => None,
            Again::Once if self.done > 1 => None,
            Again::After(wait) if wait > self.options.longest_wait => None,
            // The later share of the jitter keeps parallel requests apart.
            Again::After(wait) => Some(wait + self.options.first_wait.mul_f64(jitter() / 2.0)),
            Again::Maybe | Again::Once => {
                let doubled = self.options.first_wait * 2u32.pow((self.done - 1).min(10));
                let wait = doubled.min(self.options.longest_wait);
                Some(wait.mul_f64(0.75 + jitter() / 4.0))
            }
        }
    }
}

/// From 0 to 1.
fn jitter() -> f64 {
    let random = std::hash::RandomState::new().build_hasher().finish();
    (random >> 11) as f64 / (1u64 << 53) as f64
}

/// Reads Retry-After: seconds or an HTTP date (RFC 9110, 10.2.3). What makes
/// no sense is as if it were not there.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // Too many digits for a number is still a very long time.
        return Some(Duration::from_secs(
            value.parse::<u32>().unwrap_or(u32::MAX).into(),
        ));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(value)
        .ok()?;
    let date = SystemTime::from(date);
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, seconds) in [
            ("1", Some(1)),
            (" 30 ", Some(30)),
            ("0", Some(0)),
            ("99999999999999999999", Some(u32::MAX.into())),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("junk", None),
            ("", None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(value, now), expected, "{value:?}");
        }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let options = Options {
            tries: 12,
            ..Options::default()
        };
        let mut tries = Tries::new(&options);
        for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60] {
            tries.done += 1;
            let wait = tries.next(Again::Maybe).unwrap().as_secs_f64();
            assert!(
                wait > 0.74 * expected as f64 && wait <= expected as f64,
                "{wait} {expected}"
            );
        }
        assert_eq!(tries.next(Again::Never), None);
        assert_eq!(tries.next(Again::After(Duration::from_secs(61))), None);
        assert!(tries.next(Again::After(Duration::from_secs(60))).is_some());
        tries.done += 1;
        assert_eq!(tries.next(Again::Maybe), None);
    }
}
