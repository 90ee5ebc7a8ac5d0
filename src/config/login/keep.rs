//! Storing a login and forgetting it. Everything else in a login file stays as
//! it is; the file is replaced as a whole and is for its owner alone.

use super::{Credential, File, HUB_HOSTS, HUB_KEY, Logins, parse, same_host};
use crate::config::read_text;
use crate::error::{Context, Error, Result};
use crate::fs::replace::{self, Durability};
use crate::fs::{lock, private};
use base64::Engine as _;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Where a login was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// As readable text in this file.
    File(PathBuf),
    /// With the credential helper of this name.
    Helper(String),
}

impl Logins {
    /// Keeps the login for `host`: in the file that has one for it already,
    /// because that one is found first, else in the last (Docker's). May run a
    /// credential helper.
    pub fn store(&self, host: &str, username: &str, credential: &Credential) -> Result<Kept> {
        let mut target = self.files.last();
        for path in &self.files {
            if File::read(path)?.is_some_and(|file| file.knows(host)) {
                target = Some(path);
                break;
            }
        }
        let path = target.ok_or_else(|| {
            Error::not_found("there is no place for logins: your home directory is not known")
                .hint("set HOME or DOCKER_CONFIG")
        })?;
        let (name, secret) = match credential {
            Credential::Password { username, password } => (username.as_str(), password.as_str()),
            Credential::IdentityToken(token) => ("<token>", token.as_str()),
            Credential::Anonymous => return Err(Error::internal("there is no login to store")),
        };
        let helper = File::read(path)?.and_then(|file| file.helper(host).map(str::to_owned));
        if let Some(helper) = helper {
            self.helpers.store(&helper, host, name, secret)?;
            // Docker keeps the name of the registry, so that it is known.
            set(path, host, Some(json!({})))?;
            return Ok(Kept::Helper(helper));
        }
        set(path, host, Some(entry(username, credential)))?;
        Ok(Kept::File(path.clone()))
    }

    /// Forgets every login for `host`. Goes on after a failure and then tells
    /// the first.
    pub fn erase(&self, host: &str) -> Result<()> {
        let mut failed = None;
        for path in &self.files {
            if let Err(e) = self.erase_in(path, host) {
                failed.get_or_insert(e);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn erase_in(&self, path: &Path, host: &str) -> Result<()> {
        let Some(file) = File::read(path)? else {
            return Ok(());
        };
        let erased = match file.helper(host) {
            Some(helper) => self.helpers.erase(helper, host),
            None => Ok(()),
        };
        if file.auths.keys().any(|key| same_host(key, host)) {
            set(path, host, None)?;
        }
        erased
    }
}

impl File {
    fn knows(&self, host: &str) -> bool {
        let same = |key: &String| same_host(key, host);
        self.auths.keys().any(same) || self.cred_helpers.keys().any(same)
    }
}

/// Docker's entry in `auths`.
fn entry(username: &str, credential: &Credential) -> Value {
    let encode = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
    match credential {
        Credential::Password { username, password } => {
            json!({"auth": encode(format!("{username}:{password}"))})
        }
        Credential::IdentityToken(token) => {
            json!({"auth": encode(format!("{username}:")), "identitytoken": token})
        }
        Credential::Anonymous => json!({}),
    }
}

/// Replaces the entries of `host` in the file by `entry`, or removes them.
fn set(path: &Path, host: &str, entry: Option<Value>) -> Result<()> {
    // The file itself where the path is a link to it.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir = path.parent().unwrap_or(Path::new("/"));
    private::dir(dir).context(|| format!("cannot make directory \"{}\"", dir.display()))?;
    // Some file systems have no locks for directories.
    let _lock = lock::directory(dir);
    let mut document: Map<String, Value> = match read_text(&path)? {
        Some(text) if !text.trim().is_empty() => parse(&path, &text)?,
        _ => Map::new(),
    };
    let auths = document
        .entry("auths")
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .ok_or_else(|| {
            Error::invalid(format!(
                "\"{}\" is not a valid login file: auths is no object",
                path.display()
            ))
        })?;
    auths.retain(|key, _| !same_host(key, host));
    if let Some(entry) = entry {
        let key = match HUB_HOSTS.contains(&host) {
            true => HUB_KEY,
            false => host,
        };
        auths.insert(key.to_owned(), entry);
    }
    replace::sweep_beside(&path);
    replace::replace(&path, &pretty(&document)?, Durability::Durable)
}

/// JSON with tabs, as Docker writes it.
fn pretty(document: &Map<String, Value>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, indent);
    document
        .serialize(&mut serializer)
        .context(|| "cannot write JSON")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn password(username: &str, password: &str) -> Credential {
        Credential::Password {
            username: username.into(),
            password: password.into(),
        }
    }

    #[test]
    fn everything_else_in_the_file_stays() {
        let dir = std::env::temp_dir().join(format!("wherry-keep-{}", std::process::id()));
        let (auth, config) = (dir.join("auth.json"), dir.join("docker/config.json"));
        let logins = Logins::at([auth.clone(), config.clone()]);
        // Docker's file is made, for its owner alone.
        let kept = logins
            .store("a.io", "ann", &password("ann", "p:w"))
            .unwrap();
        assert_eq!(kept, Kept::File(config.clone()));
        assert_eq!(
            std::fs::read_to_string(&config).unwrap(),
            "{\n\t\"auths\": {\n\t\t\"a.io\": {\n\t\t\t\"auth\": \"YW5uOnA6dw==\"\n\t\t}\n\t}\n}"
        );
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&config), mode(config.parent().unwrap())),
            (0o600, 0o700)
        );

        let text = r#"{"psFormat":"{{.ID}}","auths":{"https://a.io/v2/":{"auth":"b2xkOm9sZA=="},"b.io":{"auth":"YjpiCg=="}},"x":{"z":1,"a":[2]}}"#;
        std::fs::write(&config, text).unwrap();
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o644)).unwrap();
        logins
            .store("a.io", "ann", &Credential::IdentityToken("tok".into()))
            .unwrap();
        logins
            .store("docker.io", "ann", &password("ann", "1"))
            .unwrap();
        let written: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
        let want = json!({"psFormat": "{{.ID}}", "auths": {
            "b.io": {"auth": "YjpiCg=="},
            "a.io": {"auth": "YW5uOg==", "identitytoken": "tok"},
            "https://index.docker.io/v1/": {"auth": "YW5uOjE="}},
            "x": {"z": 1, "a": [2]}});
        assert_eq!(written.to_string(), want.to_string());
        assert_eq!(mode(&config), 0o600);
        assert_eq!(
            logins.credential("docker.io", "x").unwrap(),
            password("ann", "1")
        );

        // Where one is already, because it is found first.
        std::fs::write(&auth, r#"{"auths":{"a.io":{"auth":"b2xkOm9sZA=="}}}"#).unwrap();
        let kept = logins.store("a.io", "bob", &password("bob", "2")).unwrap();
        assert_eq!(kept, Kept::File(auth.clone()));
        assert_eq!(
            logins.credential("a.io", "x").unwrap(),
            password("bob", "2")
        );
        logins.erase("a.io").unwrap();
        assert_eq!(
            logins.credential("a.io", "x").unwrap(),
            Credential::Anonymous
        );
        logins.erase("registry-1.docker.io").unwrap();
        assert_eq!(
            logins.credential("docker.io", "x").unwrap(),
            Credential::Anonymous
        );
        assert_eq!(
            std::fs::read_to_string(&auth).unwrap(),
            "{\n\t\"auths\": {}\n}"
        );
        logins.erase("never.io").unwrap();

        // A damaged file is not written over.
        std::fs::write(&config, "{").unwrap();
        assert!(logins.store("c.io", "ann", &password("ann", "1")).is_err());
        assert!(logins.erase("c.io").is_err());
        assert_eq!(std::fs::read(&config).unwrap(), b"{");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_link_stays_a_link_and_what_was_killed_is_cleared_up() {
        let dir = std::env::temp_dir().join(format!("wherry-link-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (real, link) = (dir.join("real.json"), dir.join("config.json"));
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink("real.json", &link).unwrap();
        let left = dir.join(".tmp-2147483647-0-real.json");
        std::fs::write(&left, "secret").unwrap();
        let logins = Logins::at([link.clone()]);
        logins.store("a.io", "ann", &password("ann", "1")).unwrap();
        assert!(link.is_symlink() && !left.exists());
        assert!(std::fs::read_to_string(&real).unwrap().contains("a.io"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
