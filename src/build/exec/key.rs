//! Keys of the cache: a digest over everything that a step depends on. Fields
//! are written with their lengths, so that no two lists of fields are alike.
//! Secrets are no fields: their names are.

use crate::build::plan::mount::{Mount, What};
use crate::build::plan::{Copy, Run};
use crate::image::digest::{Algorithm, Hasher};

/// Part of every key: other rules, other number.
const RULES: &str = "wherry-step-1";

pub struct Key(Hasher);

impl Key {
    pub fn new(kind: &str) -> Self {
        let mut key = Self(Hasher::new(Algorithm::Sha256));
        key.field(RULES);
        key.field(kind);
        key
    }

    pub fn field(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        let text = text.as_ref();
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text);
        self
    }

    fn list<'a>(&mut self, list: impl IntoIterator<Item = &'a String>) -> &mut Self {
        let list: Vec<&String> = list.into_iter().collect();
        self.field(list.len().to_le_bytes());
        for text in list {
            self.field(text);
        }
        self
    }

    fn option(&mut self, text: Option<&String>) -> &mut Self {
        self.list(text)
    }

    /// 64 hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finish().hex().to_string()
    }
}

/// A RUN; `sources` are the keys of what its mounts show, in their order.
pub fn run(
    parent: &str,
    run: &Run,
    sources: &[String],
    network: &str,
    hosts: &[String],
    epoch: Option<i64>,
) -> String {
    let mut key = Key::new("run");
    key.field(parent).list(&run.words);
    if let Some(script) = &run.script {
        key.field(&script.name).field(&script.data);
    }
    let named = |v: &&String| {
        let name = v.split_once('=').map_or(v.as_str(), |(name, _)| name);
        !run.unkeyed.contains(name)
    };
    key.list(run.env.iter().filter(named));
    key.field(&run.directory).field(&run.user).field(network);
    key.list(hosts);
    for mount in &run.mounts {
        key.field(described(mount));
    }
    key.list(sources).field(format!("{epoch:?}"));
    key.finish()
}

/// What of a mount the result may depend on. What a cache holds is not.
fn described(mount: &Mount) -> String {
    let kind = match &mount.what {
        What::Bind { path, .. } => format!("bind {path:?}"),
        What::Cache { id, path, .. } => format!("cache {id:?} {path:?}"),
        What::Tmpfs { .. } => "tmpfs".into(),
        What::Secret(secret) => format!("secret {:?} {:?}", secret.id, secret.env),
        What::Ssh(secret) => format!("ssh {:?}", secret.id),
    };
    format!("{kind} {:?} {:?}", mount.target, mount.read_only)
}

/// COPY and ADD without their content.
fn copy_of(kind: &str, parent: &str, copy: &Copy) -> Key {
    let mut key = Key::new(kind);
    // With --link the files below do not matter.
    key.field(if copy.link { "" } else { parent });
    key.field(if copy.add { "add" } else { "copy" });
    key.field(&copy.target);
    key.option(copy.chown.as_ref()).option(copy.chmod.as_ref());
    key.list(&copy.excludes);
    for flag in [copy.link, copy.parents, copy.keep_git_dir] {
        key.field([u8::from(flag)]);
    }
    key.field(format!("{:?}", copy.unpack));
    for heredoc in &copy.contents {
        key.field(&heredoc.name).field(heredoc.content());
    }
    key
}

/// COPY and ADD of this content.
pub fn copy(parent: &str, copy: &Copy, content: &str, epoch: Option<i64>) -> String {
    let mut key = copy_of("copy", parent, copy);
    key.field(content).field(format!("{epoch:?}"));
    key.finish()
}

/// The same of files that have not been looked at: those of another stage or
/// image, which have a key as a whole. It leads to the one above.
pub fn copy_unseen(parent: &str, copy: &Copy, source: &str, epoch: Option<i64>) -> String {
    let mut key = copy_of("copy-unseen", parent, copy);
    key.list(&copy.sources)
        .field(source)
        .field(format!("{epoch:?}"));
    key.finish()
}

pub fn directory(parent: &str, path: &str, user: &str, epoch: Option<i64>) -> String {
    let mut key = Key::new("directory");
    key.field(parent)
        .field(path)
        .field(user)
        .field(format!("{epoch:?}"));
    key.finish()
}

/// What follows a `--link`: its files lie on those of the stage.
pub fn joined(parent: &str, linked: &str) -> String {
    let mut key = Key::new("joined");
    key.field(parent).field(linked);
    key.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_kept_apart() {
        let of = |fields: &[&str]| {
            let mut key = Key::new("k");
            for field in fields {
                key.field(field);
            }
            key.finish()
        };
        let all = [
            of(&[]),
            of(&[""]),
            of(&["a", "b"]),
            of(&["ab"]),
            of(&["", "ab"]),
            of(&["a", "", "b"]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one));
        }
        assert_eq!(of(&["a"]), of(&["a"]));
    }
}
