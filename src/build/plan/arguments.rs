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
}

impl Local {
    pub fn set(&mut self, name: &str, value: Option<String>) {
        self.declared.retain(|(known, _)| known != name);
        self.declared.push((name.to_string(), value));
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.declared.iter().map(|(name, _)| name.as_str())
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.declared.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.as_deref())
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

/// What a variable is in a stage: ENV before ARG.
pub fn lookup(settings: &Settings, local: &Local, name: &str) -> Option<String> {
    settings
        .env(name)
        .or_else(|| local.value(name))
        .map(str::to_string)
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
    for (name, value) in &local.declared {
        if let Some(value) = value.as_ref().filter(|_| !has(&env, name)) {
            env.push(format!("{name}={value}"));
            if PROXIES.contains(&name.as_str()) {
                unkeyed.insert(name.clone());
            }
        }
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
