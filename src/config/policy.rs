//! Whose images are taken: policy.json of containers' tools
//! (containers-policy.json(5)). As there, what cannot be understood makes the
//! whole file an error: it may be what was meant to keep something out. Without
//! the file everything is taken, as Docker does.

use super::{home, read_text};
use crate::error::{Error, Result};
use crate::image::{Identity, PublicKey, Reference};
use base64::Engine;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SYSTEM: &str = "/etc/containers/policy.json";

/// A policy that was found.
#[derive(Debug, Clone)]
pub struct Policy {
    path: PathBuf,
    rules: Rules,
}

/// One thing that must hold for an image to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    Anything,
    /// Nothing can be taken, for this reason.
    Never(String),
    /// A signature by one of the keys for this name.
    Signed {
        keys: Vec<PublicKey>,
        identity: Identity,
    },
}

/// What policies call OCI layouts that are directories.
pub const LAYOUT: &str = "oci";

/// Where an archive or file comes from, as policies call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    DockerArchive,
    OciArchive,
    /// Files of a root file system (`import`).
    Tarball,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Self::DockerArchive => "docker-archive",
            Self::OciArchive => "oci-archive",
            Self::Tarball => "tarball",
        }
    }
}

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    default: Vec<Requirement>,
    #[serde(default)]
    transports: Unique<Unique<Vec<Requirement>>>,
}

/// A map whose keys are there once: of two, readers differ in which they take.
#[derive(Debug, Clone)]
struct Unique<T>(BTreeMap<String, T>);

impl<T> Default for Unique<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Unique<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<T>, A::Error> {
                let mut found = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if found.insert(key.clone(), value).is_some() {
                        return Err(serde::de::Error::custom(format!(
                            "\"{key}\" is there twice"
                        )));
                    }
                }
                Ok(Unique(found))
            }
        }
        deserializer.deserialize_map(Reader(std::marker::PhantomData))
    }
}

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum Requirement {
    InsecureAcceptAnything {},
    Reject {},
    /// By GPG, which is not supported: known, so that it can be refused by name.
    SignedBy {
        key_type: GpgKeys,
        key_path: Option<String>,
        key_paths: Option<Vec<String>>,
        key_data: Option<String>,
        #[serde(default, deserialize_with = "given")]
        signed_identity: Option<SignedIdentity>,
    },
    SigstoreSigned {
        key_path: Option<PathBuf>,
        key_paths: Option<Vec<PathBuf>>,
        key_data: Option<String>,
        key_datas: Option<Vec<String>>,
        fulcio: Option<IgnoredAny>,
        pki: Option<IgnoredAny>,
        rekor_public_key_path: Option<IgnoredAny>,
        rekor_public_key_paths: Option<IgnoredAny>,
        rekor_public_key_data: Option<IgnoredAny>,
        rekor_public_key_datas: Option<IgnoredAny>,
        #[serde(default, deserialize_with = "given")]
        signed_identity: Option<SignedIdentity>,
    },
}

/// The only kind that there is.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
enum GpgKeys {
    #[serde(rename = "GPGKeys")]
    GpgKeys,
}

/// It may be missing, but not null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SignedIdentity>, D::Error> {
    SignedIdentity::deserialize(deserializer).map(Some)
}

#[derive(Debug, Clone, serde::Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
enum SignedIdentity {
    MatchExact {},
    MatchRepoDigestOrExact {},
    MatchRepository {},
    ExactReference {
        docker_reference: String,
    },
    ExactRepository {
        docker_repository: String,
    },
    RemapIdentity {
        prefix: String,
        signed_prefix: String,
    },
}

impl Policy {
    /// The user's, else the host's; `None` when there is neither.
    pub fn find() -> Result<Option<Self>> {
        // Not below XDG_CONFIG_HOME: containers' tools do not look there either,
        // and a policy that is not found is one that is not obeyed.
        let own = home().map(|home| home.join(".config/containers/policy.json"));
        for path in own.into_iter().chain([PathBuf::from(SYSTEM)]) {
            if let Some(text) = read_text(&path)? {
                return Self::parse(path, &text).map(Some);
            }
        }
        Ok(None)
    }

    fn parse(path: PathBuf, text: &str) -> Result<Self> {
        let broken = |why: &dyn std::fmt::Display| {
            Error::invalid(format!("policy \"{}\" is broken: {why}", path.display()))
                .hint("containers-policy.json(5) says what may be in it")
        };
        let rules: Rules = serde_json::from_str(text).map_err(|e| broken(&e))?;
        let scopes = rules
            .transports
            .0
            .values()
            .flat_map(|scopes| scopes.0.values());
        for list in scopes.chain([&rules.default]) {
            if list.is_empty() {
                return Err(broken(&"a list of requirements is empty"));
            }
            for requirement in list {
                requirement.check().map_err(|why| broken(&why))?;
            }
        }
        Ok(Self { path, rules })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is asked of an image in a registry, by its full name. Reads key files.
    pub fn of_registry(&self, name: &Reference) -> Result<Vec<Demand>> {
        self.demands("docker", &scopes_of(name))
    }

    /// What is asked of an archive; `path` is its file's, absolute and without
    /// links, where it is one.
    pub fn of_archive(&self, transport: Transport, path: Option<&Path>) -> Result<Vec<Demand>> {
        // The others have no scopes (containers/image, docker/archive).
        let path = path.filter(|_| transport == Transport::OciArchive);
        let above = path.into_iter().flat_map(Path::ancestors);
        let above = above.filter(|path| *path != Path::new("/"));
        let scopes: Vec<String> = above.map(|path| path.display().to_string()).collect();
        self.demands(transport.name(), &scopes)
    }

    /// What is asked of a tag of an OCI layout in a directory, absolute and without
    /// links (containers/image, oci/layout).
    pub fn of_layout(&self, dir: &Path, tag: &str) -> Result<Vec<Demand>> {
        let above = dir.ancestors().filter(|path| *path != Path::new("/"));
        let above = above.map(|path| path.display().to_string());
        let own = [format!("{}:{tag}", dir.display())];
        let scopes: Vec<String> = own.into_iter().chain(above).collect();
        self.demands(LAYOUT, &scopes)
    }

    /// The most particular scope counts alone.
    fn demands(&self, transport: &str, scopes: &[String]) -> Result<Vec<Demand>> {
        let own = self.rules.transports.0.get(transport);
        let by_scope = own.and_then(|own| {
            let scopes = scopes.iter().map(String::as_str).chain([""]);
            scopes.into_iter().find_map(|scope| own.0.get(scope))
        });
        let list = by_scope.unwrap_or(&self.rules.default);
        list.iter()
            .map(Requirement::demand)
            .collect::<Result<_>>()
            .map_err(|e| e.within(format!("policy \"{}\"", self.path.display())))
    }
}

/// From the image itself up to its registry, and the domains that it is in
/// (containers/image, docker/policyconfiguration).
fn scopes_of(name: &Reference) -> Vec<String> {
    let repository = name.name();
    let mut scopes = vec![name.canonical()];
    let mut rest = repository.as_str();
    loop {
        scopes.push(rest.to_owned());
        match rest.rsplit_once('/') {
            Some((parent, _)) => rest = parent,
            None => break,
        }
    }
    let mut host = rest.split(':').next().unwrap_or(rest);
    while let Some((_, parent)) = host.split_once('.') {
        scopes.push(format!("*.{parent}"));
        host = parent;
    }
    scopes
}

impl Requirement {
    /// What can be seen without reading keys.
    fn check(&self) -> Result<(), String> {
        let (sources, identity) = match self {
            Self::InsecureAcceptAnything {} | Self::Reject {} => return Ok(()),
            Self::SignedBy {
                key_type: GpgKeys::GpgKeys,
                key_path,
                key_paths,
                key_data,
                signed_identity,
            } => {
                let given = [key_path.is_some(), key_paths.is_some(), key_data.is_some()];
                (given.to_vec(), signed_identity)
            }
            Self::SigstoreSigned {
                key_path,
                key_paths,
                key_data,
                key_datas,
                fulcio,
                pki,
                signed_identity,
                ..
            } => {
                let by_keys = [key_path.is_some(), key_paths.is_some()];
                let by_data = [key_data.is_some(), key_datas.is_some()];
                let others = [fulcio.is_some(), pki.is_some()];
                ([by_keys, by_data, others].concat(), signed_identity)
            }
        };
        match sources.iter().filter(|given| **given).count() {
            1 => identity.as_ref().map_or(Ok(()), SignedIdentity::check),
            0 => Err("a signature is asked for, and no key is named".into()),
            _ => Err("a signature is asked for with keys in more than one way".into()),
        }
    }

    fn demand(&self) -> Result<Demand> {
        let Self::SigstoreSigned {
            key_path,
            key_paths,
            key_data,
            key_datas,
            fulcio,
            pki,
            rekor_public_key_path,
            rekor_public_key_paths,
            rekor_public_key_data,
            rekor_public_key_datas,
            signed_identity,
        } = self
        else {
            return Ok(match self {
                Self::InsecureAcceptAnything {} => Demand::Anything,
                Self::SignedBy { .. } => Demand::Never(
                    "it asks for a signature by GPG (signedBy), which is not supported".into(),
                ),
                _ => Demand::Never("it takes none from there (reject)".into()),
            });
        };
        let rekor = [
            rekor_public_key_path,
            rekor_public_key_paths,
            rekor_public_key_data,
            rekor_public_key_datas,
        ];
        let lacking = match () {
            () if fulcio.is_some() => Some("certificates by Fulcio (fulcio)"),
            () if pki.is_some() => Some("certificates (pki)"),
            () if rekor.iter().any(|key| key.is_some()) => {
                Some("an entry in a log (rekorPublicKey…)")
            }
            () => None,
        };
        if let Some(what) = lacking {
            return Ok(Demand::Never(format!(
                "it asks for {what}, which is not supported"
            )));
        }
        let mut keys = Vec::new();
        for path in key_path.iter().chain(key_paths.iter().flatten()) {
            keys.push(read_key(path)?);
        }
        for data in key_data.iter().chain(key_datas.iter().flatten()) {
            let engine = base64::engine::general_purpose::STANDARD;
            let pem = engine
                .decode(data)
                .ok()
                .and_then(|b| String::from_utf8(b).ok());
            let pem = pem.ok_or_else(|| Error::invalid("keyData is not base64"))?;
            keys.push(PublicKey::parse(&pem).map_err(|e| e.within("keyData"))?);
        }
        let identity = signed_identity.as_ref().map(SignedIdentity::identity);
        Ok(Demand::Signed {
            keys,
            identity: identity.unwrap_or(Identity::RepositoryByDigestOrExact),
        })
    }
}

/// The public key in a file.
pub fn read_key(path: &Path) -> Result<PublicKey> {
    let text = read_text(path)?
        .ok_or_else(|| Error::not_found(format!("key \"{}\" does not exist", path.display())))?;
    PublicKey::parse(&text).map_err(|e| e.within(format!("key \"{}\"", path.display())))
}

/// `HOST[:PORT]`.
fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    let is_label = |label: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty()
            && label.chars().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(is_label) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

impl SignedIdentity {
    fn check(&self) -> Result<(), String> {
        let bare = |text: &str| Reference::parse_written(text).map(|(_, bare)| bare);
        match self {
            Self::ExactReference {
                docker_reference: text,
            } => match bare(text) {
                Ok(false) => Ok(()),
                Ok(true) => Err(format!(
                    "dockerReference \"{text}\" has neither a tag nor a digest"
                )),
                Err(e) => Err(format!("dockerReference \"{text}\": {e}")),
            },
            Self::ExactRepository {
                docker_repository: text,
            } => bare(text)
                .map(drop)
                .map_err(|e| format!("dockerRepository \"{text}\": {e}")),
            Self::RemapIdentity {
                prefix,
                signed_prefix,
            } => {
                let is_prefix = |text: &str| is_host(text) || bare(text).is_ok_and(|bare| bare);
                match [prefix, signed_prefix]
                    .into_iter()
                    .find(|text| !is_prefix(text))
                {
                    Some(text) => Err(format!("prefix \"{text}\" is not valid")),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn identity(&self) -> Identity {
        match self.clone() {
            Self::MatchExact {} => Identity::Exact,
            Self::MatchRepoDigestOrExact {} => Identity::RepositoryByDigestOrExact,
            Self::MatchRepository {} => Identity::Repository,
            Self::ExactReference { docker_reference } => Identity::ExactReference(docker_reference),
            Self::ExactRepository { docker_repository } => {
                Identity::ExactRepository(docker_repository)
            }
            Self::RemapIdentity {
                prefix,
                signed_prefix,
            } => Identity::Remapped {
                prefix,
                signed_prefix,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn parse(value: &Value) -> Result<Policy> {
        Policy::parse("/p".into(), &value.to_string())
    }

    fn name(text: &str) -> Reference {
        Reference::parse(text).unwrap()
    }

    const ANY: &str = r#"[{"type":"insecureAcceptAnything"}]"#;

    #[test]
    fn the_longest_scope_counts() {
        let any: Value = serde_json::from_str(ANY).unwrap();
        let no = json!([{"type": "reject"}]);
        let policy = parse(&json!({"default": no, "transports": {
            "docker": {"docker.io/library": any, "docker.io/library/evil": no,
                       "h.example.org:5000": any, "h.example.org:5000/a/b:bad": no,
                       "*.example.com": any, "a.b.example.com": no},
            "oci-archive": {"/srv": any, "/srv/bad": no}, "tarball": {"": any}}}))
        .unwrap();
        for (image, taken) in [
            ("alpine", true),
            ("evil:1", false),
            ("user/app", false),
            ("h.example.org:5000/a/b", true),
            ("h.example.org:5000/a/b:bad", false),
            ("h.example.org/a/b", false),
            ("b.example.com/x", true),
            ("b.example.com:99/x", true),
            ("c.b.example.com/x", true),
            ("a.b.example.com/x", false),
            ("example.com/x", false),
        ] {
            let demands = policy.of_registry(&name(image)).unwrap();
            assert_eq!(demands == [Demand::Anything], taken, "{image}");
        }
        for (transport, path, taken) in [
            (Transport::OciArchive, Some("/srv/x/y.tar"), true),
            (Transport::OciArchive, Some("/srv/bad/y.tar"), false),
            (Transport::OciArchive, None, false),
            (Transport::DockerArchive, Some("/srv/x/y.tar"), false),
            (Transport::Tarball, None, true),
        ] {
            let demands = policy.of_archive(transport, path.map(Path::new)).unwrap();
            assert_eq!(
                demands == [Demand::Anything],
                taken,
                "{transport:?} {path:?}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_makes_the_file_an_error() {
        for (text, says) in [
            ("{}", "missing field `default`"),
            (r#"{"default":[]}"#, "is empty"),
            (r#"{"default":[{"type":"maybe"}]}"#, "unknown variant"),
            (r#"{"default":[{"type":"reject","x":1}]}"#, "unknown field"),
            (r#"{"default":[{"type":"reject"}],"x":1}"#, "unknown field"),
            (
                r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a":[{"type":"reject"}],"a":[{"type":"reject"}]}}}"#,
                "is there twice",
            ),
            (
                r#"{"default":[{"type":"sigstoreSigned"}]}"#,
                "no key is named",
            ),
            (
                r#"{"default":[{"type":"sigstoreSigned","keyPath":"/k","keyData":""}]}"#,
                "more than one way",
            ),
            (
                r#"{"default":[{"type":"sigstoreSigned","keyPath":"/k","signedIdentity":{"type":"x"}}]}"#,
                "unknown variant",
            ),
            ("[", "EOF"),
        ] {
            let error = Policy::parse("/p".into(), text).unwrap_err();
            assert!(error.message().contains(says), "{text}: {error}");
            assert!(error.message().starts_with("policy \"/p\" is broken"));
        }
    }

    #[test]
    fn what_is_not_supported_is_never_met() {
        for (requirement, says) in [
            (
                json!({"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"}),
                "GPG",
            ),
            (
                json!({"type": "sigstoreSigned", "fulcio": {"caPath": "/x"}}),
                "fulcio",
            ),
            (json!({"type": "sigstoreSigned", "pki": {}}), "pki"),
            (
                json!({"type": "sigstoreSigned", "keyPath": "/k", "rekorPublicKeyPath": "/r"}),
                "log",
            ),
        ] {
            let policy = parse(&json!({"default": [requirement]})).unwrap();
            let demands = policy.of_registry(&name("x")).unwrap();
            assert!(
                matches!(&demands[..], [Demand::Never(why)] if why.contains(says)),
                "{demands:?}"
            );
        }
        let missing = json!({"default": [{"type": "sigstoreSigned", "keyPath": "/nowhere"}]});
        let error = parse(&missing)
            .unwrap()
            .of_registry(&name("x"))
            .unwrap_err();
        assert!(
            error.message().contains("\"/nowhere\" does not exist"),
            "{error}"
        );
    }
}
