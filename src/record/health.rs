//! `containers/<id>/health.json`: how a container's health checks went. A file
//! of its own, so that state.json is left alone by them.

use crate::error::{Context, Result};
use crate::fs::replace::{Durability, replace_record};
use crate::paths::Paths;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Results that are kept.
pub const KEPT: usize = 5;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Docker's `State.Health`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Health {
    pub status: Status,
    pub failing_streak: u32,
    /// The oldest first.
    pub log: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Check {
    /// RFC 3339, as the record's other times.
    pub start: String,
    pub end: String,
    /// -1: it could not be started, or not ended in time.
    pub exit_code: i32,
    pub output: String,
}

impl Health {
    /// Takes a result in. `lenient`: failures do not count yet.
    pub fn add(&mut self, check: Check, retries: u32, lenient: bool) {
        if check.exit_code == 0 {
            self.failing_streak = 0;
            self.status = Status::Healthy;
        } else if self.status != Status::Starting || !lenient {
            self.failing_streak = self.failing_streak.saturating_add(1);
            if self.failing_streak >= retries {
                self.status = Status::Unhealthy;
            }
        }
        self.log.push(check);
        let over = self.log.len().saturating_sub(KEPT);
        self.log.drain(..over);
    }

    /// As written; before the first check: starting.
    pub fn load(dir: &Path) -> Self {
        let text = std::fs::read(file(dir)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub fn save(&self, paths: &Paths, id: &str) -> Result<()> {
        let text = serde_json::to_vec(self).context(|| "cannot write the container's health")?;
        replace_record(&file(&paths.container(id)), &text, Durability::Fast)
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("health.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_changes_as_dockers_does() {
        let mut health = Health::default();
        let mut add = |exit_code, lenient, status, streak, kept| {
            let check = Check {
                exit_code,
                ..Check::default()
            };
            health.add(check, 3, lenient);
            assert_eq!((health.status, health.failing_streak), (status, streak));
            assert_eq!(health.log.len(), kept);
        };
        add(1, true, Status::Starting, 0, 1);
        add(1, false, Status::Starting, 1, 2);
        add(1, false, Status::Starting, 2, 3);
        add(-1, false, Status::Unhealthy, 3, 4);
        add(1, true, Status::Unhealthy, 4, 5);
        add(0, false, Status::Healthy, 0, 5);
        // Once it was healthy, the start is over.
        add(1, true, Status::Healthy, 1, 5);
        add(2, true, Status::Healthy, 2, 5);
        add(7, true, Status::Unhealthy, 3, 5);
        assert_eq!(health.log[4].exit_code, 7);
    }
}
