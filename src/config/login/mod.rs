//! Stored logins: containers' auth.json, Docker's config.json and the
//! credential helpers they name.
//!
//! A login is used for exactly the host it was stored for. Secrets never appear
//! in errors or `Debug`.

mod keep;
mod programs;

pub use keep::Kept;

use super::{env_dir, home, read_text, user_containers_dir};
use crate::error::{Error, Result};
use base64::Engine as _;
use programs::{Helpers, is_for_helpers};
use serde::Deserialize;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// Docker Hub under the name that old clients stored it by.
const HUB_KEY: &str = "https://index.docker.io/v1/";
const HUB_HOSTS: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// How to prove who we are to one registry.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credential {
    #[default]
    Anonymous,
    Password {
        username: String,
        password: String,
    },
    /// An OAuth2 refresh token.
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Password { username, .. } => write!(f, "Password({username:?}, …)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(…)"),
        }
    }
}

/// Where logins are looked for, in order.
#[derive(Debug, Clone, Default)]
pub struct Logins {
    files: Vec<PathBuf>,
    helpers: Helpers,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    auths: HashMap<String, Option<Entry>>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Logins {
    /// The files and helpers that the environment and the home directory name.
    pub fn find() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::files().with_helpers(std::env::split_paths(&path), std::env::vars_os())
    }

    fn files() -> Self {
        if let Some(path) = std::env::var_os("REGISTRY_AUTH_FILE").filter(|p| !p.is_empty()) {
            return Self::at([PathBuf::from(path)]);
        }
        let runtime = env_dir("XDG_RUNTIME_DIR").map(|dir| dir.join("containers"));
        let docker = env_dir("DOCKER_CONFIG").or_else(|| home().map(|h| h.join(".docker")));
        let containers = [runtime, user_containers_dir()]
            .into_iter()
            .flatten()
            .map(|dir| dir.join("auth.json"));
        Self::at(containers.chain(docker.map(|dir| dir.join("config.json"))))
    }

    pub fn at(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            files: files.into_iter().collect(),
            helpers: Helpers::default(),
        }
    }

    /// With helpers from `dirs` (relative ones are left out), which get what
    /// they need of `environment`.
    #[must_use]
    pub fn with_helpers(
        mut self,
        dirs: impl IntoIterator<Item = PathBuf>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let dirs: Vec<PathBuf> = dirs.into_iter().filter(|dir| dir.is_absolute()).collect();
        let path = std::env::join_paths(&dirs).unwrap_or_default();
        let wanted = |name: &OsString| name.to_str().is_some_and(is_for_helpers);
        let environment = environment.into_iter().filter(|(name, _)| wanted(name));
        self.helpers.environment = environment.chain([("PATH".into(), path)]).collect();
        self.helpers.dirs = dirs;
        self
    }

    /// The login for `repository` on `host`: the first file that has
    /// one wins. May run a credential helper, so: before any thread exists.
    pub fn credential(&self, host: &str, repository: &str) -> Result<Credential> {
        for path in &self.files {
            let Some(file) = File::read(path)? else {
                continue;
            };
            let found = file.credential(host, repository, &self.helpers);
            match found.map_err(|e| e.within(format!("\"{}\"", path.display())))? {
                Credential::Anonymous => {}
                credential => return Ok(credential),
            }
        }
        Ok(Credential::Anonymous)
    }
}

impl File {
    /// `None`: there is no such file, or nothing in it.
    fn read(path: &Path) -> Result<Option<Self>> {
        match read_text(path)?.filter(|text| !text.trim().is_empty()) {
            None => Ok(None),
            Some(text) => parse(path, &text).map(Some),
        }
    }

    /// The name of the helper that keeps the login for `host`.
    fn helper(&self, host: &str) -> Option<&str> {
        let named = self
            .cred_helpers
            .iter()
            .find(|(key, _)| same_host(key, host));
        let name = named.map(|(_, name)| name).or(self.creds_store.as_ref())?;
        Some(name.as_str()).filter(|name| !name.is_empty())
    }

    fn credential(&self, host: &str, path: &str, helpers: &Helpers) -> Result<Credential> {
        if let Some(name) = self.helper(host) {
            let found = helpers.ask(name, host)?;
            if found != Credential::Anonymous {
                return Ok(found);
            }
        }
        match self.entry(host, path) {
            Some((key, entry)) => entry.credential(key),
            None => Ok(Credential::Anonymous),
        }
    }

    /// The entry for the longest matching namespace, else for the host.
    fn entry(&self, host: &str, path: &str) -> Option<(&str, &Entry)> {
        let full = format!("{host}/{path}");
        let namespaces = full.rmatch_indices('/').map(|(i, _)| &full[..i]);
        let mut keys = std::iter::once(full.as_str()).chain(namespaces);
        let exact = keys.find_map(|key| self.auths.get_key_value(key));
        let (key, entry) =
            exact.or_else(|| self.auths.iter().find(|(key, _)| same_host(key, host)))?;
        entry.as_ref().map(|entry| (key.as_str(), entry))
    }
}

/// A login file, or what of it is asked for. serde_json quotes no values in its
/// messages but for short scalars of a wrong type, which may be secrets: the
/// position has to do.
fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| {
        Error::invalid(format!(
            "\"{}\" is not a valid login file (line {}, column {})",
            path.display(),
            e.line(),
            e.column()
        ))
    })
}

/// Whether the key of a login file means `host`: exactly, with a scheme and
/// path around it as Docker once wrote it, or as one of Docker Hub's names.
fn same_host(key: &str, host: &str) -> bool {
    let url = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"));
    let bare = match url {
        Some(rest) => rest.split('/').next().unwrap_or_default(),
        None => key,
    };
    bare.eq_ignore_ascii_case(host) || (HUB_HOSTS.contains(&bare) && HUB_HOSTS.contains(&host))
}

impl Entry {
    fn credential(&self, key: &str) -> Result<Credential> {
        let present = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        if let Some(token) = present(&self.identitytoken) {
            return Ok(Credential::IdentityToken(token));
        }
        if let Some(auth) = present(&self.auth) {
            return decode_auth(&auth).ok_or_else(|| {
                Error::invalid(format!(
                    "the \"auth\" of {key:?} is not base64 of USER:PASSWORD"
                ))
            });
        }
        Ok(match (present(&self.username), present(&self.password)) {
            (Some(username), Some(password)) => Credential::Password { username, password },
            _ => Credential::Anonymous,
        })
    }
}

fn decode_auth(auth: &str) -> Option<Credential> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(auth.trim())
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Credential::Password {
        username: username.to_owned(),
        password: password.trim_end_matches('\0').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn password(username: &str, password: &str) -> Credential {
        Credential::Password {
            username: username.into(),
            password: password.into(),
        }
    }
    fn basic(text: &str) -> serde_json::Value {
        json!({"auth": base64::engine::general_purpose::STANDARD.encode(text)})
    }
    fn look(file: serde_json::Value, host: &str, path: &str) -> Result<Credential> {
        serde_json::from_value::<File>(file)
            .unwrap()
            .credential(host, path, &Helpers::default())
    }

    #[test]
    fn a_login_is_for_its_host_only() {
        let auths = json!({"auths": {
            "https://index.docker.io/v1/": basic("hub:p:w"),
            "a.io": basic("a:1"),
            "a.io/team": basic("team:2"),
            "a.io/team/app": basic("app:3"),
            "http://old.io/v2/": basic("old:4"),
            "b.io:5000": {"username": "b", "password": "5"},
            "t.io": {"auth": "", "identitytoken": "tok"},
            "empty.io": {}, "null.io": null,
        }});
        for (host, path, expected) in [
            ("docker.io", "library/x", password("hub", "p:w")),
            ("registry-1.docker.io", "library/x", password("hub", "p:w")),
            ("a.io", "x", password("a", "1")),
            ("a.io", "team/x", password("team", "2")),
            ("a.io", "team/app", password("app", "3")),
            ("a.io", "teams/x", password("a", "1")),
            ("old.io", "x", password("old", "4")),
            ("b.io:5000", "x", password("b", "5")),
            ("t.io", "x", Credential::IdentityToken("tok".into())),
            ("b.io", "x", Credential::Anonymous),
            ("sub.a.io", "x", Credential::Anonymous),
            ("a.io.evil.org", "x", Credential::Anonymous),
            ("xa.io", "x", Credential::Anonymous),
            ("a.io:443", "x", Credential::Anonymous),
            ("index.docker.io.evil.org", "x", Credential::Anonymous),
            ("empty.io", "x", Credential::Anonymous),
            ("null.io", "x", Credential::Anonymous),
        ] {
            assert_eq!(
                look(auths.clone(), host, path).unwrap(),
                expected,
                "{host}/{path}"
            );
        }
    }

    #[test]
    fn no_secret_in_errors_or_debug() {
        for entry in [json!({"auth": "c2VjcmV0"}), json!({"auth": "se%cret"})] {
            let error = look(json!({"auths": {"a.io": entry}}), "a.io", "x").unwrap_err();
            assert!(!format!("{error:?}").contains("cret"), "{error:?}");
        }
        let dir = std::env::temp_dir().join(format!("wherry-login-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("config.json");
        for text in [
            "{\"auths\": \"secret\"}",
            "{\"auths\": {\"a.io\": \"secret\"}}",
            "secret",
            "{",
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Logins::at([path.clone()])
                .credential("a.io", "x")
                .unwrap_err();
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
        std::fs::write(&path, json!({"auths": {"a.io": basic("u:p")}}).to_string()).unwrap();
        let logins = Logins::at([dir.join("missing"), path]);
        assert_eq!(logins.credential("a.io", "x").unwrap(), password("u", "p"));
        assert!(!format!("{:?}", password("u", "secret")).contains("secret"));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn helpers_with_impossible_names_are_not_run() {
        for name in ["../x", "a/b", "A", "a b", "x;y", "x\0"] {
            let error = look(json!({"credsStore": name}), "a.io", "x").unwrap_err();
            assert!(error.message().contains("impossible name"), "{name}");
        }
        let error = look(json!({"credHelpers": {"a.io": "wherry-none"}}), "a.io", "x").unwrap_err();
        assert!(error.message().contains("not found in PATH"));
        assert_eq!(
            look(json!({"credHelpers": {"a.io": "wherry-none"}}), "b.io", "x").unwrap(),
            Credential::Anonymous
        );
    }
}
