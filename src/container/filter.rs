//! `ps --filter`: which containers are shown. Values of one key are joined by
//! or (labels by and), keys by and.

use super::list::Summary;
use super::ports;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::record::container::Status;
use crate::record::containers;
use regex_lite::Regex;
use std::ops::RangeInclusive;

/// The filters as given.
#[derive(Debug, Default)]
pub struct Filters(Vec<(String, String)>);

const STATUSES: [Status; 7] = [
    Status::Created,
    Status::Restarting,
    Status::Running,
    Status::Removing,
    Status::Paused,
    Status::Exited,
    Status::Dead,
];

/// A filter that is understood.
enum Test {
    Id(String),
    Name(Regex),
    Label(String, Option<String>),
    Exited(i32),
    Status(Status),
    /// An image's ID and layers; `None`: no such image, nothing is of it.
    Ancestor(Option<(String, Vec<String>)>, String),
    /// Created before or since: RFC 3339.
    Before(String),
    Since(String),
    Volume(String),
    Network(String),
    Publish(RangeInclusive<u16>, String),
    Expose(RangeInclusive<u16>, String),
    Health(String),
    Task(bool),
    Isolation,
}

impl Filters {
    /// Key and value of each.
    pub fn new(list: Vec<(String, String)>) -> Self {
        Self(list)
    }

    /// Checks keys and values, and looks up what they name.
    pub fn resolve(&self, engine: &Engine) -> Result<Tests> {
        let mut tests: Vec<(String, Vec<Test>)> = Vec::new();
        for (key, value) in &self.0 {
            let test = test(engine, key, value)?;
            match tests.iter_mut().find(|(known, _)| known == key) {
                Some((_, list)) => list.push(test),
                None => tests.push((key.clone(), vec![test])),
            }
        }
        Ok(Tests(tests))
    }
}

/// The filters as understood, by key.
pub struct Tests(Vec<(String, Vec<Test>)>);

impl Tests {
    /// A status names containers in any state.
    pub fn implies_all(&self) -> bool {
        self.0.iter().any(|(key, _)| key == "status")
    }

    /// What can be told without reading records.
    pub fn takes_id(&self, id: &str) -> bool {
        let ids = self.0.iter().find(|(key, _)| key == "id");
        ids.is_none_or(|(_, tests)| {
            tests
                .iter()
                .any(|t| matches!(t, Test::Id(prefix) if id.starts_with(prefix)))
        })
    }

    pub fn take(&self, summary: &Summary) -> bool {
        self.0.iter().all(|(key, tests)| {
            if key == "label" {
                tests.iter().all(|t| t.passes(summary))
            } else {
                tests.iter().any(|t| t.passes(summary))
            }
        })
    }
}

fn test(engine: &Engine, key: &str, value: &str) -> Result<Test> {
    let invalid = || Error::invalid(format!("invalid filter '{key}={value}'"));
    Ok(match key {
        "id" => Test::Id(value.to_string()),
        "name" => Test::Name(Regex::new(value).map_err(|e| invalid().caused_by(e))?),
        "label" => match value.split_once('=') {
            Some((name, wanted)) => Test::Label(name.into(), Some(wanted.into())),
            None => Test::Label(value.into(), None),
        },
        "exited" => Test::Exited(value.parse().map_err(|_| invalid())?),
        "status" => {
            let known = STATUSES.into_iter().find(|s| s.word() == value);
            Test::Status(known.ok_or_else(invalid)?)
        }
        "ancestor" => Test::Ancestor(ancestor(engine, value), value.to_string()),
        "before" | "since" => {
            let id = containers::find(&engine.paths, value)?;
            let created = containers::config(&engine.paths, &id)?.created;
            if key == "before" {
                Test::Before(created)
            } else {
                Test::Since(created)
            }
        }
        "volume" => Test::Volume(value.to_string()),
        "network" => {
            let known = crate::network::store::find(&engine.paths, value);
            Test::Network(known.map_or_else(|_| value.to_string(), |network| network.name))
        }
        "publish" | "expose" => {
            let (range, protocol) = port_range(value).ok_or_else(invalid)?;
            if key == "publish" {
                Test::Publish(range, protocol)
            } else {
                Test::Expose(range, protocol)
            }
        }
        "health" => match value {
            "starting" | "healthy" | "unhealthy" | "none" => Test::Health(value.to_string()),
            _ => return Err(invalid()),
        },
        "is-task" => match value {
            "true" | "1" => Test::Task(true),
            "false" | "0" => Test::Task(false),
            _ => return Err(invalid()),
        },
        "isolation" => Test::Isolation,
        _ => return Err(Error::invalid(format!("invalid filter '{key}'"))),
    })
}

fn ancestor(engine: &Engine, name: &str) -> Option<(String, Vec<String>)> {
    let store = engine.store().ok()?;
    let image = store.resolve(name).ok()?;
    let config = store.config(&image).ok()?;
    let layers = config.diff_ids.iter().map(ToString::to_string).collect();
    Some((image.id.to_string(), layers))
}

/// `80`, `80/udp`, `80-90/tcp`.
fn port_range(text: &str) -> Option<(RangeInclusive<u16>, String)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let known = matches!(protocol, "tcp" | "udp" | "sctp");
    (known && first <= last).then(|| (first..=last, protocol.to_string()))
}

impl Test {
    fn passes(&self, summary: &Summary) -> bool {
        let state = &summary.state;
        match self {
            Self::Id(prefix) => summary.id.starts_with(prefix),
            Self::Name(pattern) => {
                pattern.is_match(&state.name) || pattern.is_match(&format!("/{}", state.name))
            }
            Self::Label(name, wanted) => {
                let value = summary.asked.config.labels.get(name);
                value.is_some_and(|v| wanted.as_ref().is_none_or(|w| w == v))
            }
            Self::Exited(code) => {
                let ran = matches!(
                    state.status,
                    Status::Exited | Status::Dead | Status::Restarting
                );
                ran && !state.started_at.is_empty() && state.exit_code == *code
            }
            Self::Status(status) => state.status == *status,
            Self::Ancestor(found, name) => match found {
                Some((id, layers)) => {
                    summary.asked.image == *id
                        || (!layers.is_empty() && summary.asked.layers.starts_with(layers))
                }
                // An image that is gone still has its name in the record.
                None => summary.asked.config.image == *name,
            },
            Self::Before(time) => summary.asked.created < *time,
            Self::Since(time) => summary.asked.created > *time,
            Self::Volume(text) => summary
                .mounts()
                .any(|(source, target)| source == text || target == text),
            Self::Network(name) => summary.networks().contains(&name.as_str()),
            Self::Publish(range, protocol) => summary.ports().iter().any(|p| {
                p.protocol == *protocol
                    && p.host
                        .as_ref()
                        .is_some_and(|(_, port)| range.contains(port))
            }),
            Self::Expose(range, protocol) => {
                let exposed = summary.asked.config.exposed_ports.keys();
                exposed
                    .filter_map(|key| ports::parse(key))
                    .any(|(port, proto)| range.contains(&port) && proto == protocol)
            }
            Self::Health(word) => summary.health.map_or("none", |health| health.word()) == word,
            // There is no swarm.
            Self::Task(wanted) => !wanted,
            Self::Isolation => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::port_range;

    #[test]
    fn ranges_of_ports() {
        assert_eq!(port_range("80").unwrap(), (80..=80, "tcp".into()));
        assert_eq!(port_range("80-90/udp").unwrap(), (80..=90, "udp".into()));
        for bad in ["", "x", "80:80", "90-80", "80/x", "70000"] {
            assert!(port_range(bad).is_none(), "{bad}");
        }
    }
}
