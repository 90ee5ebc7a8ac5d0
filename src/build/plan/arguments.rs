//! Scopes of ARG: given on the command line, before all stages, in a stage; and
//! those that are there without being declared.

use super::Request;
use super::settings::Settings;
use crate::image::Platform;
use std::collections::{BTreeMap, BTreeSet};

/// Given to every RUN, without being declared, and in no history or key
/// (Dockerfile reference, "Predefined ARGs").
pub const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Arguments that steer the build itself.
pub fn is_own(name: &str) -> bool {
    name.starts_with("BUILDKIT_") || name == "SOURCE_DATE_EPOCH"
}

/// The values before all stages.
#[derive(Debug, Clone, Default)]
pub struct Global {
    pub values: BTreeMap<String, String>,
    /// Declared by ARG, with or without a value.
    pub declared: BTreeSet<String>,
}

impl Global {
    /// Those about platforms.
    pub fn new(build: &Platform, target: &Platform) -> Self {
        let mut values = BTreeMap::new();
        for (prefix, platform) in [("BUILD", build), ("TARGET", target)] {
            let mut add =
                |name: &str, value: String| values.insert(format!("{prefix}{name}"), value);
            add("PLATFORM", platform.to_string());
            add("OS", platform.os.clone());
            add("OSVERSION", String::new());
            add("ARCH", platform.architecture.clone());
            add("VARIANT", platform.variant.clone().unwrap_or_default());
        }
        Self {
            values,
            declared: BTreeSet::new(),
        }
    }
}

/// The arguments of one stage, in the order of their declaration.
#[derive(Debug, Clone, Default)]
pub struct Local {
    declared: Vec<(String, Option<String>)>,
    /// Those that no ENV has come after.
    shown: BTreeSet<String>,
}

impl Local {
    pub fn set(&mut self, name: &str, value: Option<String>) {
        self.declared.retain(|(known, _)| known != name);
        if value.is_some() {
            self.shown.insert(name.to_string());
        }
        self.declared.push((name.to_string(), value));
    }

    /// An ENV of this name comes after it.
    pub fn hide(&mut self, name: &str) {
        self.shown.remove(name);
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.declared.iter().map(|(name, _)| name.as_str())
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        let mut seen = self.seen();
        seen.find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Those that count, with their values.
    fn seen(&self) -> impl Iterator<Item = (&str, &str)> {
        let seen = self
            .declared
            .iter()
            .filter(|(name, _)| self.shown.contains(name));
        seen.filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)))
    }

    /// Those that have a value, but for the proxies: what the history shows.
    pub fn shown(&self) -> Vec<String> {
        self.declared
            .iter()
            .filter(|(name, _)| !PROXIES.contains(&name.as_str()))
            .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)))
            .collect()
    }
}

/// What a variable is in a stage: of ARG and ENV the later one.
pub fn lookup(settings: &Settings, local: &Local, name: &str) -> Option<String> {
    let found = local.value(name).or_else(|| settings.env(name));
    found.map(str::to_string)
}

/// The environment of a RUN, and the names that no key depends on.
pub fn environment(
    settings: &Settings,
    local: &Local,
    request: &Request,
) -> (Vec<String>, BTreeSet<String>) {
    let mut env = settings.config.env.clone();
    let has = |env: &[String], name: &str| {
        env.iter()
            .any(|v| v.split_once('=').is_some_and(|(n, _)| n == name))
    };
    let mut unkeyed = BTreeSet::new();
    for (name, value) in local.seen() {
        if PROXIES.contains(&name) && !has(&env, name) {
            unkeyed.insert(name.to_string());
        }
        super::settings::set(&mut env, name, value);
    }
    for (name, value) in &request.arguments {
        if PROXIES.contains(&name.as_str()) && !has(&env, name) {
            env.push(format!("{name}={value}"));
            unkeyed.insert(name.clone());
        }
    }
    if !has(&env, "PATH") {
        env.insert(0, format!("PATH={}", super::DEFAULT_PATH));
    }
    (env, unkeyed)
}
