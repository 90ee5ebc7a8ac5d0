//! Health checks: what the record asks for, ready to be carried out.

use super::namespaces::Namespaces;
use super::{ExecRequest, exec_process};
use crate::error::Result;
use crate::monitor::health::Checks;
use crate::record::container::{Container, Healthcheck};
use std::time::Duration;

/// Docker's defaults.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;

/// The checks of this container, if it has any; `namespaces` are asked for then.
pub fn checks(
    container: &Container,
    namespaces: impl FnOnce() -> Result<Namespaces>,
) -> Result<Option<Checks>> {
    let Some(asked) = &container.config.healthcheck else {
        return Ok(None);
    };
    let Some(args) = command(asked) else {
        return Ok(None);
    };
    let request = ExecRequest {
        args,
        ..ExecRequest::default()
    };
    let or = |nanoseconds: i64, default: Duration| match u64::try_from(nanoseconds) {
        Ok(0) | Err(_) => default,
        Ok(given) => Duration::from_nanos(given),
    };
    Ok(Some(Checks {
        process: exec_process(container, &request)?,
        user: container.config.user.clone(),
        group_add: container.host_config.group_add.clone().unwrap_or_default(),
        namespaces: namespaces()?.entered(),
        interval: or(asked.interval, INTERVAL),
        timeout: or(asked.timeout, TIMEOUT),
        start_period: or(asked.start_period, Duration::ZERO),
        start_interval: or(asked.start_interval, START_INTERVAL),
        retries: u32::try_from(asked.retries)
            .ok()
            .filter(|&retries| retries > 0)
            .unwrap_or(RETRIES),
        oom_score_adj: container.host_config.oom_score_adj,
    }))
}

/// The words to run; `None`: there is no check.
fn command(asked: &Healthcheck) -> Option<Vec<String>> {
    let (kind, rest) = asked.test.split_first()?;
    match kind.as_str() {
        "CMD" if !rest.is_empty() => Some(rest.to_vec()),
        "CMD-SHELL" => {
            let shell = ["/bin/sh".to_string(), "-c".to_string()];
            Some(shell.into_iter().chain(rest.iter().cloned()).collect())
        }
        _ => None,
    }
}
