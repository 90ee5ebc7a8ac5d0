//! registries.conf, version 2 (containers-registries.conf(5)): where the
//! images of a name are really fetched from, mirrors first.
//!
//! One main file (`CONTAINERS_REGISTRIES_CONF`, else the user's, else the
//! system's) and drop-ins. Short-name aliases are not read: distributions ship
//! a table of them that would make `fedora` mean another image than in Docker.

use super::{read_text, user_containers_dir};
use crate::error::{Error, Kind, Result};
use crate::image::Reference;
use serde::Deserialize;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The settings of all registries.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    entries: Vec<Registry>,
    unqualified: Vec<String>,
}

/// One place to ask for the repository of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST[:PORT]` to connect to.
    pub host: String,
    /// The repository's path on that host.
    pub path: String,
    /// Unverified TLS, then plain HTTP, may be used.
    pub insecure: bool,
    pub mirror: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    unqualified_search_registries: Option<Vec<String>>,
    registry: Vec<Registry>,
    /// Version 1 had a table of this name.
    registries: Option<toml::Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Registry {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    mirror: Vec<Mirror>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Mirror {
    location: String,
    insecure: bool,
    pull_from_mirror: PullFrom,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PullFrom {
    #[default]
    #[serde(alias = "")]
    All,
    DigestOnly,
    TagOnly,
}

impl Registries {
    /// Reads the files that the environment and the host name.
    pub fn find() -> Result<Self> {
        if let Some(path) = std::env::var_os("CONTAINERS_REGISTRIES_CONF").filter(|p| !p.is_empty())
        {
            let path = PathBuf::from(path);
            if !path.exists() {
                return Err(Error::not_found(format!(
                    "CONTAINERS_REGISTRIES_CONF names \"{}\", which does not exist",
                    path.display()
                )));
            }
            return Self::load(&path, &[]);
        }
        let system = Path::new("/etc/containers");
        let user = user_containers_dir();
        let main = user
            .iter()
            .map(PathBuf::as_path)
            .chain([system])
            .map(|dir| dir.join("registries.conf"))
            .find(|path| path.exists());
        let drop_ins: Vec<PathBuf> = [Some(system), user.as_deref()]
            .into_iter()
            .flatten()
            .map(|dir| dir.join("registries.conf.d"))
            .collect();
        Self::load(
            &main.unwrap_or_else(|| system.join("registries.conf")),
            &drop_ins,
        )
    }

    /// Reads `main` (which may be missing) and the `*.conf` of `drop_ins`,
    /// later ones winning.
    pub fn load(main: &Path, drop_ins: &[PathBuf]) -> Result<Self> {
        let mut out = Self::default();
        out.read(main)?;
        for dir in drop_ins {
            let mut files: Vec<PathBuf> = match std::fs::read_dir(dir) {
                Ok(entries) => entries.flatten().map(|e| e.path()).collect(),
                Err(_) => continue,
            };
            files.retain(|path| path.extension().is_some_and(|e| e == "conf"));
            files.sort();
            for path in files {
                out.read(&path)?;
            }
        }
        Ok(out)
    }

    fn read(&mut self, path: &Path) -> Result<()> {
        match read_text(path)? {
            Some(text) => self
                .merge(&text)
                .map_err(|e| e.within(format!("\"{}\"", path.display()))),
            None => Ok(()),
        }
    }

    fn merge(&mut self, text: &str) -> Result<()> {
        let file: File = toml::from_str(text)
            .map_err(|e| Error::invalid(e.to_string().trim_end().to_owned()))?;
        if file.registries.is_some() {
            return Err(
                Error::unsupported("version 1 of registries.conf is not supported")
                    .hint("write [[registry]] tables, see containers-registries.conf(5)"),
            );
        }
        if let Some(list) = file.unqualified_search_registries {
            self.unqualified = list;
        }
        for registry in file.registry {
            let registry = registry.checked()?;
            self.entries.retain(|e| e.prefix != registry.prefix);
            self.entries.push(registry);
        }
        Ok(())
    }

    /// What a name without a registry means: docker.io, unless the settings
    /// name search registries and docker.io is not among them; then the first.
    /// (Asking several in turn would let any of them answer for the others.)
    pub fn expand(&self, text: &str) -> Result<Reference> {
        let plain = Reference::parse(text)?;
        let qualified = text.starts_with(&format!("{}/", plain.domain()))
            || text.starts_with("index.docker.io/");
        let other = self
            .unqualified
            .first()
            .filter(|_| !qualified && !self.unqualified.iter().any(|r| r == "docker.io"));
        match other {
            Some(registry) => Reference::parse(&format!("{registry}/{text}")),
            None => Ok(plain),
        }
    }

    /// Hosts that may be asked without verified TLS, but for loopback.
    pub fn insecure_hosts(&self) -> Vec<String> {
        let places = self.entries.iter().flat_map(|entry| {
            let own = match entry.location.as_str() {
                "" => &entry.prefix,
                location => location,
            };
            let mirrors = entry
                .mirror
                .iter()
                .map(|m| (m.location.as_str(), m.insecure));
            std::iter::once((own, entry.insecure)).chain(mirrors)
        });
        let mut hosts: Vec<String> = places
            .filter(|(_, insecure)| *insecure)
            .map(|(place, _)| place.split('/').next().unwrap_or_default().to_owned())
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// The mirrors of the registry `host`.
    pub fn mirrors_of(&self, host: &str) -> Vec<String> {
        let entries = self.entries.iter().filter(|entry| entry.prefix == host);
        let mirrors = entries.flat_map(|entry| &entry.mirror);
        mirrors.map(|mirror| mirror.location.clone()).collect()
    }

    /// The registry `host` itself, without a repository: for logins.
    pub fn host(&self, host: &str) -> Result<Endpoint> {
        let own = |location: &str| location.split('/').next() == Some(host);
        let mut insecure = false;
        for entry in &self.entries {
            let named = entry.matched(host).is_some();
            if named && entry.blocked {
                return Err(blocked(host));
            }
            let here = match entry.location.as_str() {
                "" => named,
                location => own(location),
            };
            insecure |= here && entry.insecure;
            insecure |= entry.mirror.iter().any(|m| m.insecure && own(&m.location));
        }
        Ok(Endpoint::new(host, insecure, false))
    }

    /// Whom to ask for the repository of `reference`, in this order; the
    /// registry itself is last.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>> {
        let name = reference.name();
        let entry = self
            .entries
            .iter()
            .filter_map(|e| e.matched(&name).map(|length| (length, e)))
            .max_by_key(|(length, _)| *length);
        let Some((length, entry)) = entry else {
            return Ok(vec![Endpoint::new(&name, false, false)]);
        };
        if entry.blocked {
            return Err(blocked(reference.domain()));
        }
        let rest = &name[length..];
        let pinned = reference.digest().is_some();
        let mut out: Vec<Endpoint> = entry
            .mirror
            .iter()
            .filter(|m| m.serves(pinned) && (pinned || !entry.mirror_by_digest_only))
            .map(|m| Endpoint::new(&format!("{}{rest}", m.location), m.insecure, true))
            .collect();
        let own = match entry.location.as_str() {
            "" => name.clone(),
            location => format!("{location}{rest}"),
        };
        out.push(Endpoint::new(&own, entry.insecure, false));
        Ok(out)
    }
}

fn blocked(host: &str) -> Error {
    Error::new(
        Kind::Denied,
        format!("registry {host} is blocked in registries.conf"),
    )
}

impl Registry {
    /// Fills in what one of prefix and location says about the other.
    fn checked(mut self) -> Result<Self> {
        for text in [&mut self.prefix, &mut self.location]
            .into_iter()
            .chain(self.mirror.iter_mut().map(|m| &mut m.location))
        {
            while text.ends_with('/') {
                text.pop();
            }
            if text.contains("://") {
                return Err(Error::invalid(format!(
                    "registry {text:?} must be HOST[:PORT][/PATH] without a scheme"
                )));
            }
        }
        if self.prefix.is_empty() {
            self.prefix.clone_from(&self.location);
        }
        let wildcard = self.prefix.starts_with("*.");
        if self.prefix.is_empty() || self.mirror.iter().any(|m| m.location.is_empty()) {
            return Err(Error::invalid(
                "a registry or mirror has neither prefix nor location",
            ));
        }
        if self.prefix.contains('*') && (!wildcard || self.prefix[1..].contains(['*', '/'])) {
            return Err(Error::invalid(format!(
                "registry prefix {:?}: only *.HOST may be a wildcard",
                self.prefix
            )));
        }
        Ok(self)
    }

    /// How many bytes of `name` the prefix covers, if it matches.
    fn matched(&self, name: &str) -> Option<usize> {
        if let Some(suffix) = self.prefix.strip_prefix('*') {
            let domain = name.split('/').next().unwrap_or_default();
            let host = domain.split(':').next().unwrap_or_default();
            let bare = if suffix.contains(':') { domain } else { host };
            return bare.ends_with(suffix).then_some(bare.len());
        }
        let rest = name.strip_prefix(&self.prefix)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(self.prefix.len())
    }
}

impl Mirror {
    fn serves(&self, pinned: bool) -> bool {
        match self.pull_from_mirror {
            PullFrom::All => true,
            PullFrom::DigestOnly => pinned,
            PullFrom::TagOnly => !pinned,
        }
    }
}

impl Endpoint {
    fn new(name: &str, insecure: bool, mirror: bool) -> Self {
        let (host, path) = name.split_once('/').unwrap_or((name, ""));
        Self {
            insecure: insecure || is_loopback(host),
            host: host.to_owned(),
            path: path.to_owned(),
            mirror,
        }
    }
}

/// Docker needs no setting for registries on the same machine.
fn is_loopback(host: &str) -> bool {
    let bare = host_without_port(host);
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `[::1]:5000` and `::1` to `::1`, `host:80` to `host`.
pub fn host_without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match host.split_once(':') {
        Some((_, more)) if more.contains(':') => host,
        Some((bare, _)) => bare,
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registries(text: &str) -> Registries {
        let mut out = Registries::default();
        out.merge(text).unwrap();
        out
    }
    /// `host|path` with `!` for insecure and `m` for a mirror.
    fn asked(r: &Registries, name: &str) -> Vec<String> {
        let list = r.endpoints(&Reference::parse(name).unwrap()).unwrap();
        list.iter()
            .map(|e| {
                let marks = [(e.insecure, "!"), (e.mirror, "m")];
                let marks: String = marks.iter().filter(|m| m.0).map(|m| m.1).collect();
                format!("{}|{}{marks}", e.host, e.path)
            })
            .collect()
    }

    #[test]
    fn without_settings() {
        let r = Registries::default();
        assert_eq!(asked(&r, "alpine"), ["docker.io|library/alpine"]);
        assert_eq!(asked(&r, "127.0.0.1:5000/a"), ["127.0.0.1:5000|a!"]);
        assert_eq!(asked(&r, "127.9.9.9/a"), ["127.9.9.9|a!"]);
        assert_eq!(asked(&r, "localhost:5000/a"), ["localhost:5000|a!"]);
        assert_eq!(asked(&r, "[::1]:5000/a"), ["[::1]:5000|a!"]);
        assert_eq!(asked(&r, "127.0.0.1.evil.org/a"), ["127.0.0.1.evil.org|a"]);
        assert_eq!(asked(&r, "10.0.0.1:5000/a"), ["10.0.0.1:5000|a"]);
    }

    #[test]
    fn the_longest_prefix_decides() {
        let r = registries(
            r#"
            [[registry]]
            prefix = "docker.io"
            location = "127.0.0.1:5000"
            [[registry]]
            prefix = "docker.io/library"
            location = "cache.local/hub/"
            insecure = true
            [[registry.mirror]]
            location = "m1:80/x"
            [[registry.mirror]]
            location = "m2"
            insecure = true
            pull-from-mirror = "digest-only"
            [[registry.mirror]]
            location = "m3"
            pull-from-mirror = "tag-only"
            [[registry]]
            prefix = "*.corp.example"
            location = "proxy.corp.example"
            [[registry]]
            location = "quay.io"
            [[registry.mirror]]
            location = "localhost:1/quay"
            "#,
        );
        assert_eq!(asked(&r, "user/app"), ["127.0.0.1:5000|user/app!"]);
        assert_eq!(
            asked(&r, "alpine"),
            ["m1:80|x/alpinem", "m3|alpinem", "cache.local|hub/alpine!"]
        );
        let pinned = format!("alpine@sha256:{}", "a".repeat(64));
        assert_eq!(
            asked(&r, &pinned),
            ["m1:80|x/alpinem", "m2|alpine!m", "cache.local|hub/alpine!"]
        );
        assert_eq!(
            asked(&r, "a.b.corp.example/x/y"),
            ["proxy.corp.example|x/y"]
        );
        assert_eq!(asked(&r, "corp.example/x"), ["corp.example|x"]);
        assert_eq!(
            asked(&r, "quay.io/a/b"),
            ["localhost:1|quay/a/b!m", "quay.io|a/b"]
        );
        assert_eq!(asked(&r, "quay.io.evil.org/a"), ["quay.io.evil.org|a"]);
    }

    #[test]
    fn a_host_may_become_a_path_of_another() {
        let r = registries(
            "[[registry]]\nprefix = \"docker.io\"\n[[registry.mirror]]\nlocation = \"[::1]:9/h\"",
        );
        assert_eq!(
            asked(&r, "alpine"),
            ["[::1]:9|h/library/alpine!m", "docker.io|library/alpine"]
        );
        let r = registries(
            "[[registry]]\nprefix = \"a.io\"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = \"m\"",
        );
        assert_eq!(asked(&r, "a.io/x"), ["a.io|x"]);
    }

    #[test]
    fn blocked_and_broken() {
        let r = registries("[[registry]]\nprefix = \"bad.io\"\nblocked = true");
        let error = r
            .endpoints(&Reference::parse("bad.io/x").unwrap())
            .unwrap_err();
        assert_eq!(
            error.message(),
            "registry bad.io is blocked in registries.conf"
        );
        for text in [
            "[[registry]]",
            "[[registry]]\nlocation=1",
            "[[registry]]\nlocation=\"https://x\"",
            "x = [",
            "[[registry]]\nprefix=\"*x\"",
            "[[registry]]\nprefix=\"a.*.b\"",
            "[registries.search]\nregistries=[]",
            "[[registry]]\nlocation=\"a\"\n[[registry.mirror]]\ninsecure=true",
            "[[registry]]\nlocation=\"a\"\n[[registry.mirror]]\nlocation=\"b\"\npull-from-mirror=\"x\"",
        ] {
            assert!(Registries::default().merge(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_to_log_in_to() {
        let r = registries(
            "[[registry]]\nprefix=\"a.io\"\nlocation=\"b.io:5000/hub\"\ninsecure=true\n\
             [[registry.mirror]]\nlocation=\"c.io\"\ninsecure=true\n\
             [[registry]]\nlocation=\"bad.io\"\nblocked=true",
        );
        let insecure = |host: &str| r.host(host).unwrap().insecure;
        assert!(!insecure("a.io") && insecure("b.io:5000") && insecure("c.io"));
        assert!(!insecure("b.io") && insecure("127.0.0.1:5000"));
        assert_eq!(
            r.host("bad.io").unwrap_err().message(),
            "registry bad.io is blocked in registries.conf"
        );
    }

    #[test]
    fn short_names() {
        let expand = |list: &str, text: &str| {
            let r = registries(&format!("unqualified-search-registries = [{list}]"));
            r.expand(text).unwrap().canonical()
        };
        assert_eq!(expand("", "alpine"), "docker.io/library/alpine:latest");
        assert_eq!(expand("\"quay.io\"", "alpine"), "quay.io/alpine:latest");
        assert_eq!(expand("\"quay.io\"", "a/b:1"), "quay.io/a/b:1");
        assert_eq!(
            expand("\"quay.io\"", "docker.io/a/b"),
            "docker.io/a/b:latest"
        );
        assert_eq!(expand("\"quay.io\"", "localhost/b"), "localhost/b:latest");
        assert_eq!(
            expand("\"quay.io\", \"docker.io\"", "a"),
            "docker.io/library/a:latest"
        );
    }

    #[test]
    fn drop_ins_win_over_the_main_file() {
        let dir = std::env::temp_dir().join(format!("wherry-registries-{}", std::process::id()));
        let drop_in = dir.join("registries.conf.d");
        std::fs::create_dir_all(&drop_in).unwrap();
        let main = dir.join("registries.conf");
        std::fs::write(&main, "[[registry]]\nlocation = \"a.io\"\ninsecure = true").unwrap();
        std::fs::write(
            drop_in.join("1.conf"),
            "[[registry]]\nprefix = \"a.io\"\nlocation = \"b.io\"",
        )
        .unwrap();
        std::fs::write(drop_in.join("2.toml"), "nonsense").unwrap();
        let r = Registries::load(&main, &[drop_in.clone(), dir.join("missing")]).unwrap();
        assert_eq!(asked(&r, "a.io/x"), ["b.io|x"]);
        std::fs::write(drop_in.join("3.conf"), "nonsense").unwrap();
        assert!(
            Registries::load(&main, &[drop_in])
                .unwrap_err()
                .message()
                .contains("3.conf")
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
