//! The settings of an image: Docker's `config` object, and what stands beside
//! it in the document.

use super::DEFAULT_PATH;
use crate::image::{Digest, Platform};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

type Empty = Map<String, Value>;

/// The `config` member. What a base has and we do not know is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Config {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub exposed_ports: BTreeMap<String, Empty>,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub env: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub volumes: BTreeMap<String, Empty>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub on_build: Vec<String>,
    #[serde(skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub shell: Vec<String>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

fn is_empty<V>(map: &BTreeMap<String, V>) -> bool {
    map.is_empty()
}

/// Docker writes `null` for what is not there.
fn or_default<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// One entry of the history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    pub config: Config,
    pub author: String,
    pub history: Vec<History>,
    /// How many of `history` and `diff_ids` come from the base.
    pub diff_ids: Vec<Digest>,
    pub created: Option<String>,
}

impl Settings {
    /// `FROM scratch`.
    pub fn scratch() -> Self {
        Self {
            config: Config {
                env: vec![format!("PATH={DEFAULT_PATH}")],
                working_dir: "/".into(),
                ..Config::default()
            },
            ..Self::default()
        }
    }

    /// Of an image's document.
    pub fn of(document: &Value, diff_ids: &[Digest]) -> Self {
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_string();
        let config = serde_json::from_value(document["config"].clone()).unwrap_or_default();
        let history = serde_json::from_value(document["history"].clone()).unwrap_or_default();
        Self {
            config,
            author: text("author"),
            history,
            diff_ids: diff_ids.to_vec(),
            created: document["created"].as_str().map(str::to_string),
        }
    }

    /// The last `steps` of the history have no layers of their own any more: one
    /// made of `layers` stands for them, as with Docker's classic builder.
    pub fn squash(&mut self, steps: usize, layers: usize) {
        let own = self.history.len() - steps;
        for entry in &mut self.history[own..] {
            entry.empty_layer = true;
        }
        self.history.push(History {
            created: self.created.clone(),
            comment: format!("merge of {layers} layers"),
            ..History::default()
        });
    }

    /// The shell of shell-form commands.
    pub fn shell(&self) -> Vec<String> {
        match self.config.shell.is_empty() {
            true => vec!["/bin/sh".into(), "-c".into()],
            false => self.config.shell.clone(),
        }
    }

    pub fn working_dir(&self) -> &str {
        match self.config.working_dir.as_str() {
            "" => "/",
            dir => dir,
        }
    }

    pub fn env(&self, name: &str) -> Option<&str> {
        let found = self
            .config
            .env
            .iter()
            .rev()
            .find_map(|v| v.split_once('=').filter(|(n, _)| *n == name));
        found.map(|(_, value)| value)
    }

    /// Replaces a variable where it stands, or adds it.
    pub fn set_env(&mut self, name: &str, value: &str) {
        set(&mut self.config.env, name, value);
    }

    /// The image's document.
    pub fn document(&self, platform: &Platform) -> Value {
        let mut document = json!({
            "architecture": platform.architecture,
            "os": platform.os,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
            "history": self.history,
        });
        if let Some(variant) = &platform.variant {
            document["variant"] = json!(variant);
        }
        if !self.author.is_empty() {
            document["author"] = json!(self.author);
        }
        if let Some(created) = &self.created {
            document["created"] = json!(created);
        }
        document
    }
}

pub fn set(env: &mut Vec<String>, name: &str, value: &str) {
    let same = env
        .iter_mut()
        .find(|v| v.split_once('=').is_some_and(|(n, _)| n == name));
    match same {
        Some(old) => *old = format!("{name}={value}"),
        None => env.push(format!("{name}={value}")),
    }
}
