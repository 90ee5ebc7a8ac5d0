//! Whether a container that has ended is started again, and after how long:
//! Docker's restart policies.

use crate::record::container::{RestartPolicy, State};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
/// A container that ran this long is started again as soon as at first.
const STEADY: Duration = Duration::from_secs(10);

/// The growing pause before a new start.
#[derive(Default)]
pub struct BackOff(Option<Duration>);

impl BackOff {
    /// The pause after a run of this length.
    pub fn after(&mut self, ran: Duration) -> Duration {
        let next = match self.0 {
            Some(last) if ran < STEADY => (last * 2).min(LONGEST),
            _ => FIRST,
        };
        self.0 = Some(next);
        next
    }
}

/// Whether to start it again after an end with `status`. `state` is as it was
/// before that end.
pub fn is_restarted(asked: &RestartPolicy, state: &State, status: i32) -> bool {
    if state.manually_stopped {
        return false;
    }
    let policy = state.restart_policy.as_ref().unwrap_or(asked);
    let most = policy.maximum_retry_count;
    match policy.name.as_str() {
        "always" | "unless-stopped" => true,
        "on-failure" => status != 0 && (most == 0 || state.restart_count < most),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_and_begins_anew() {
        let mut back_off = BackOff::default();
        let short = Duration::from_secs(9);
        let pauses: Vec<u128> = (0..12).map(|_| back_off.after(short).as_millis()).collect();
        let doubled = [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200];
        assert_eq!(pauses[..10], doubled);
        assert_eq!(pauses[10..], [60000, 60000]);
        assert_eq!(back_off.after(STEADY), FIRST);
        assert_eq!(back_off.after(short).as_millis(), 200);
    }

    /// Promise M9: policy, count so far, stopped by hand, status, restarted.
    #[test]
    fn each_policy_decides_as_dockers_does() {
        for (name, most, count, stopped, status, want) in [
            ("no", 0, 0, false, 0, false),
            ("no", 0, 0, false, 1, false),
            ("", 0, 0, false, 1, false),
            ("always", 0, 0, false, 0, true),
            ("always", 0, 0, false, 137, true),
            ("always", 0, 9999, false, 1, true),
            ("always", 0, 0, true, 0, false),
            ("always", 0, 0, true, 143, false),
            ("unless-stopped", 0, 0, false, 0, true),
            ("unless-stopped", 0, 7, false, 2, true),
            ("unless-stopped", 0, 7, true, 2, false),
            ("on-failure", 0, 0, false, 0, false),
            ("on-failure", 0, 0, false, 1, true),
            ("on-failure", 0, 9999, false, 255, true),
            ("on-failure", 3, 0, false, 1, true),
            ("on-failure", 3, 2, false, 1, true),
            ("on-failure", 3, 3, false, 1, false),
            ("on-failure", 3, 2, false, 0, false),
            ("on-failure", 3, 0, true, 1, false),
        ] {
            let asked = RestartPolicy {
                name: name.into(),
                maximum_retry_count: most,
            };
            let mut state = State {
                restart_count: count,
                manually_stopped: stopped,
                ..State::default()
            };
            let case = format!("{name}:{most}, {count}, {stopped}, {status}");
            assert_eq!(is_restarted(&asked, &state, status), want, "{case}");
            // What `update` has said since counts instead.
            state.restart_policy = Some(RestartPolicy::default());
            assert!(!is_restarted(&asked, &state, status), "{case}");
        }
    }
}
