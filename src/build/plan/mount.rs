//! `RUN --mount=…`.

use super::Source;
use crate::error::{Error, Result};
use crate::text::size;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Absolute; empty for a secret that is only a variable.
    pub target: String,
    pub what: What,
    /// `None`: as the kind has it.
    pub read_only: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Bind {
        from: Source,
        /// Below the source.
        path: String,
    },
    Cache {
        id: String,
        sharing: Sharing,
        /// What a new cache begins with.
        from: Source,
        path: String,
        mode: u32,
        uid: u32,
        gid: u32,
    },
    Tmpfs {
        /// Bytes; 0 is no limit of its own.
        size: u64,
    },
    Secret(Secret),
    /// The socket of an agent.
    Ssh(Secret),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    pub id: String,
    pub required: bool,
    /// A variable that has its content.
    pub env: Option<String>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

/// What two steps do that want one cache at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Both use it.
    Shared,
    /// The second gets another one.
    Private,
    /// The second waits.
    Locked,
}

/// The fields of a mount, variables expanded; `from` is a name still.
#[derive(Debug, Default)]
pub struct Fields {
    pub kind: String,
    pub from: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: Option<bool>,
    id: Option<String>,
    sharing: Option<String>,
    required: Option<bool>,
    size: Option<u64>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    env: Option<String>,
}

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
];

/// Takes `type=…,target=…` apart; `expand` is for the values.
pub fn fields(text: &str, expand: &mut dyn FnMut(&str, &str) -> Result<String>) -> Result<Fields> {
    let mut fields = Fields::default();
    for field in split(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field.as_str(), None),
        };
        let key = key.to_ascii_lowercase();
        if !KEYS.contains(&key.as_str()) {
            let error = Error::invalid(format!("unexpected key '{key}' in '{field}'"));
            let near = KEYS
                .iter()
                .find(|known| strsim::osa_distance(known, &key) < 3);
            return Err(match near {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error,
            });
        }
        let value = match (key.as_str(), value) {
            // A stage must be known before any variable is.
            (_, None) => None,
            ("from", Some(value)) if value.contains('$') => {
                return Err(Error::invalid(
                    "'from' doesn't support variable expansion, define alias stage instead",
                ));
            }
            ("from", Some(value)) => Some(value.to_string()),
            (key, Some(value)) => Some(expand(key, value)?),
        };
        fields.take(&key, value.as_deref(), &field)?;
    }
    if fields.kind.is_empty() {
        fields.kind = "bind".into();
    }
    Ok(fields)
}

/// Fields as in a line of comma-separated values: quotes keep commas.
fn split(text: &str) -> Result<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().expect("there is one").push(c),
        }
    }
    match quoted {
        true => Err(Error::invalid(format!("a quote is not closed in '{text}'"))),
        false => Ok(fields),
    }
}

impl Fields {
    fn take(&mut self, key: &str, value: Option<&str>, field: &str) -> Result<()> {
        let bad = |what: &str| Error::invalid(format!("invalid value for {key}: '{field}'{what}"));
        let truth = || match value {
            None | Some("" | "true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(bad(", true or false is wanted")),
        };
        let text = || match value {
            Some(value) if !value.is_empty() => Ok(value.to_string()),
            _ => Err(Error::invalid(format!(
                "invalid field '{field}' must be a key=value pair"
            ))),
        };
        let number = |radix: u32| {
            let text = text()?;
            let plain = text.bytes().all(|b| b.is_ascii_digit());
            u32::from_str_radix(&text, radix)
                .ok()
                .filter(|_| plain)
                .ok_or_else(|| bad(""))
        };
        match key {
            "type" => self.kind = text()?.to_ascii_lowercase(),
            "from" => self.from = Some(text()?),
            "source" | "src" => self.source = Some(text()?),
            "target" | "dst" | "destination" => self.target = Some(text()?),
            "readonly" | "ro" => self.read_only = Some(truth()?),
            "readwrite" | "rw" => self.read_only = Some(!truth()?),
            "id" => self.id = Some(text()?),
            "sharing" => self.sharing = Some(text()?),
            "required" => self.required = Some(truth()?),
            "size" => {
                let bytes = size::parse(&text()?).map_err(|_| bad(""))?;
                self.size = Some(u64::try_from(bytes).map_err(|_| bad(""))?);
            }
            "mode" => self.mode = Some(number(8)?),
            "uid" => self.uid = Some(number(10)?),
            "gid" => self.gid = Some(number(10)?),
            _ => self.env = Some(text()?),
        }
        Ok(())
    }

    /// Fields that this kind of mount has no use for are errors.
    fn check(&self) -> Result<()> {
        let kind = self.kind.as_str();
        let secret = matches!(kind, "secret" | "ssh");
        for (given, name, good) in [
            (
                self.from.is_some(),
                "from",
                matches!(kind, "bind" | "cache"),
            ),
            (
                self.source.is_some(),
                "source",
                matches!(kind, "bind" | "cache" | "secret"),
            ),
            (self.sharing.is_some(), "sharing", kind == "cache"),
            (self.required.is_some(), "required", secret),
            (self.size.is_some(), "size", kind == "tmpfs"),
            (self.mode.is_some(), "mode", secret || kind == "cache"),
            (self.uid.is_some(), "uid", secret || kind == "cache"),
            (self.gid.is_some(), "gid", secret || kind == "cache"),
            (self.env.is_some(), "env", kind == "secret"),
            (self.id.is_some(), "id", secret || kind == "cache"),
        ] {
            if given && !good {
                return Err(Error::invalid(format!(
                    "unexpected key '{name}' for mount type '{kind}'"
                )));
            }
        }
        Ok(())
    }

    /// The mount; `from` is where [`Fields::from`] leads, paths begin at `directory`.
    pub fn mount(self, from: Option<Source>, directory: &str) -> Result<Mount> {
        self.check()?;
        let target = self
            .target
            .as_ref()
            .map(|target| super::path::join(directory, target));
        let needed = || {
            target
                .clone()
                .ok_or_else(|| Error::invalid(format!("{} mount requires a target", self.kind)))
        };
        let path = self.source.clone().unwrap_or_else(|| "/".into());
        let (what, target) = match self.kind.as_str() {
            "bind" => {
                let from = from.unwrap_or(Source::Context);
                (What::Bind { from, path }, needed()?)
            }
            "cache" => {
                let target = needed()?;
                let sharing = match self.sharing.as_deref() {
                    None | Some("shared") => Sharing::Shared,
                    Some("private") => Sharing::Private,
                    Some("locked") => Sharing::Locked,
                    Some(other) => {
                        return Err(Error::invalid(format!(
                            "unsupported sharing value {other:?}: shared, private or locked"
                        )));
                    }
                };
                let what = What::Cache {
                    id: self.id.clone().unwrap_or_else(|| target.clone()),
                    sharing,
                    from: from.unwrap_or(Source::Scratch),
                    path,
                    mode: self.mode.unwrap_or(0o755),
                    uid: self.uid.unwrap_or(0),
                    gid: self.gid.unwrap_or(0),
                };
                (what, target)
            }
            "tmpfs" => (
                What::Tmpfs {
                    size: self.size.unwrap_or(0),
                },
                needed()?,
            ),
            "secret" => return self.secret(target),
            "ssh" => {
                let id = self.id.clone().unwrap_or_else(|| "default".into());
                let socket = target.unwrap_or_else(|| "/run/buildkit/ssh_agent.0".into());
                (What::Ssh(self.secret_of(id, 0o600)), socket)
            }
            other => {
                return Err(Error::invalid(format!("unsupported mount type {other:?}"))
                    .hint("bind, cache, tmpfs, secret or ssh"));
            }
        };
        if target == "/" {
            return Err(Error::invalid("the target of a mount cannot be '/'"));
        }
        Ok(Mount {
            target,
            what,
            read_only: self.read_only,
        })
    }

    fn secret(self, target: Option<String>) -> Result<Mount> {
        let named = self.id.clone().or_else(|| self.source.clone());
        let from_target = || {
            target
                .as_ref()
                .and_then(|t| t.rsplit('/').next())
                .map(str::to_string)
        };
        let id = named.or_else(from_target).ok_or_else(|| {
            Error::invalid("invalid secret mount: one of source, target required")
        })?;
        let target = match (&self.env, target) {
            (_, Some(target)) => target,
            (Some(_), None) => String::new(),
            (None, None) => format!("/run/secrets/{}", id.rsplit('/').next().unwrap_or(&id)),
        };
        if target == "/" {
            return Err(Error::invalid("the target of a mount cannot be '/'"));
        }
        Ok(Mount {
            target,
            read_only: self.read_only,
            what: What::Secret(self.secret_of(id, 0o400)),
        })
    }

    fn secret_of(&self, id: String, mode: u32) -> Secret {
        Secret {
            id,
            required: self.required.unwrap_or(false),
            env: self.env.clone(),
            mode: self.mode.unwrap_or(mode),
            uid: self.uid.unwrap_or(0),
            gid: self.gid.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Mount> {
        let fields = fields(text, &mut |_, value| Ok(value.replace("$X", "x")))?;
        let from = fields.from.clone().map(Source::Named);
        fields.mount(from, "/work")
    }

    #[test]
    fn kinds() {
        let bind = read("target=/a,from=b,source=/c,rw").unwrap();
        assert_eq!((bind.target.as_str(), bind.read_only), ("/a", Some(false)));
        assert_eq!(
            bind.what,
            What::Bind {
                from: Source::Named("b".into()),
                path: "/c".into()
            }
        );
        assert_eq!(read("target=.").unwrap().target, "/work");
        let cache = read("type=cache,target=/c/$X,sharing=locked,mode=0700,uid=5").unwrap();
        let What::Cache {
            id,
            sharing,
            mode,
            uid,
            ..
        } = cache.what
        else {
            panic!()
        };
        assert_eq!(
            (id.as_str(), sharing, mode, uid),
            ("/c/x", Sharing::Locked, 0o700, 5)
        );
        let tmpfs = read("type=tmpfs,target=/t,size=1m").unwrap();
        assert_eq!(tmpfs.what, What::Tmpfs { size: 1 << 20 });
        let secret = read("type=secret,id=a/tok").unwrap();
        assert_eq!(secret.target, "/run/secrets/tok");
        let env = read("type=secret,id=tok,env=TOK,required").unwrap();
        assert_eq!(env.target, "");
        let What::Secret(env) = env.what else {
            panic!()
        };
        assert!(env.required && env.env.as_deref() == Some("TOK"));
        assert_eq!(
            read("type=ssh").unwrap().target,
            "/run/buildkit/ssh_agent.0"
        );
        assert_eq!(read("type=bind,\"target=/a,b\"").unwrap().target, "/a,b");
    }

    #[test]
    fn what_is_refused() {
        for (text, want) in [
            ("type=bind", "bind mount requires a target"),
            ("type=cache", "cache mount requires a target"),
            ("type=bind,target=/", "cannot be '/'"),
            ("type=bind,target=/a/..", "cannot be '/'"),
            ("type=x,target=/a", "unsupported mount type \"x\""),
            (
                "target=/a,bind-propagation=shared",
                "unexpected key 'bind-propagation'",
            ),
            ("target=/a,tragte=/b", "unexpected key 'tragte'"),
            (
                "target=/a,size=1",
                "unexpected key 'size' for mount type 'bind'",
            ),
            (
                "type=tmpfs,target=/a,from=b",
                "unexpected key 'from' for mount type 'tmpfs'",
            ),
            (
                "from=$X,target=/a",
                "'from' doesn't support variable expansion",
            ),
            ("target=", "must be a key=value pair"),
            ("target=/a,ro=maybe", "true or false"),
            ("type=cache,target=/a,mode=9", "invalid value for mode"),
            ("type=cache,target=/a,uid=+1", "invalid value for uid"),
            (
                "type=cache,target=/a,uid=4294967296",
                "invalid value for uid",
            ),
            (
                "type=cache,target=/a,sharing=x",
                "unsupported sharing value",
            ),
            ("type=secret", "one of source, target required"),
            ("target=\"/a", "a quote is not closed"),
        ] {
            let error = read(text).unwrap_err();
            assert!(
                error.message().contains(want),
                "{text}: {}",
                error.message()
            );
        }
    }
}
