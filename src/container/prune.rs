//! Removing every container that does not run.

use super::list::{self, Summary, Which};
use super::remove;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::record::container::Status;
use crate::text::{moment, time};
use jiff::{Timestamp, tz::TimeZone};
use std::collections::BTreeMap;

/// Which of them: created before `until`, with and without labels.
#[derive(Debug, Default)]
pub struct Filters {
    until: Option<Timestamp>,
    /// Key, value, and whether it is to be there.
    labels: Vec<(String, Option<String>, bool)>,
}

impl Filters {
    /// Reads `until`, `label` and `label!`.
    pub fn parse(list: &[(String, String)], zone: &TimeZone) -> Result<Self> {
        let mut filters = Self::default();
        for (key, value) in list {
            let (key, wanted) = match key.strip_suffix('!') {
                Some(key) => (key, false),
                None => (key.as_str(), true),
            };
            match (key, wanted) {
                ("until", true) if filters.until.is_some() => {
                    return Err(Error::invalid("more than one until filter specified"));
                }
                ("until", true) => {
                    let until = moment::parse(value, Timestamp::now(), zone);
                    filters.until = Some(until.ok_or_else(|| {
                        Error::invalid(format!("invalid filter 'until={value}'"))
                            .hint("give a date, a time, or a duration such as 24h")
                    })?);
                }
                ("label", _) => filters.labels.push(match value.split_once('=') {
                    Some((name, value)) => (name.into(), Some(value.into()), wanted),
                    None => (value.clone(), None, wanted),
                }),
                _ => {
                    let mark = if wanted { "" } else { "!" };
                    return Err(Error::invalid(format!("invalid filter '{key}{mark}'"))
                        .hint("until, label and label! are known"));
                }
            }
        }
        Ok(filters)
    }

    fn take(&self, summary: &Summary) -> bool {
        self.passes(&summary.asked.config.labels, &summary.asked.created)
    }

    /// Whether what has these labels and was made then is meant.
    pub fn passes(&self, labels: &BTreeMap<String, String>, created: &str) -> bool {
        let has = |name: &String, value: &Option<String>| {
            labels
                .get(name)
                .is_some_and(|v| value.as_ref().is_none_or(|wanted| wanted == v))
        };
        let early = match (self.until, time::parse(created)) {
            (Some(until), Some(created)) => created <= until,
            (Some(_), None) => false,
            (None, _) => true,
        };
        early
            && self
                .labels
                .iter()
                .all(|(name, value, wanted)| has(name, value) == *wanted)
    }
}

/// What went.
#[derive(Debug, Default)]
pub struct Pruned {
    pub ids: Vec<String>,
    /// Bytes of their writable layers.
    pub reclaimed: u64,
    /// Those that could not be removed.
    pub failures: Vec<Error>,
}

pub fn prune(engine: &Engine, filters: &Filters) -> Result<Pruned> {
    super::sweep::sweep(engine);
    let all = Which {
        all: true,
        ..Which::default()
    };
    // A damaged one may be one that runs: that is for `rm -f`.
    let stopped = |summary: &Summary| {
        matches!(summary.state.status, Status::Created | Status::Exited)
            && summary.state.starter.is_none_or(|starter| !starter.lives())
    };
    let mut candidates = list::list(engine, &all)?;
    candidates.retain(|summary| stopped(summary) && filters.take(summary));
    list::measure(engine, &mut candidates)?;
    let mut pruned = Pruned::default();
    for Summary { id, sizes, .. } in candidates {
        match remove::remove(engine, &id, false, false) {
            Ok(()) => {
                pruned.reclaimed += sizes.writable;
                pruned.ids.push(id);
            }
            // Started or removed by somebody else meanwhile.
            Err(e) if matches!(e.kind(), Kind::Conflict | Kind::NotFound) => {}
            Err(e) => pruned.failures.push(e),
        }
    }
    Ok(pruned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked() {
        let parse = |list: &[(&str, &str)]| {
            let list: Vec<_> = list
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect();
            Filters::parse(&list, &TimeZone::UTC)
        };
        assert!(parse(&[("until", "24h"), ("label", "a"), ("label!", "b=c")]).is_ok());
        for bad in [
            &[("until", "24h"), ("until", "1h")][..],
            &[("until", "soon")],
            &[("until!", "1h")],
            &[("name", "x")],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
