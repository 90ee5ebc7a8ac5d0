//! Credential helpers: `docker-credential-NAME`, which keep logins in a
//! desktop's keyring or the like. Found on PATH by absolute directories only,
//! run in `/` with a chosen environment; what they need comes on stdin.

use super::{Credential, HUB_HOSTS, HUB_KEY};
use crate::error::{Context, Error, Result};
use serde::Deserialize;
use serde_json::json;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The most that a helper may answer, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// How much of a helper's own words is shown, in characters.
const MAX_WORDS: usize = 300;

/// Where credential helpers are looked for, and the environment they get.
#[derive(Debug, Clone, Default)]
pub struct Helpers {
    pub dirs: Vec<PathBuf>,
    pub environment: Vec<(OsString, OsString)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Helpers {
    /// Runs `docker-credential-NAME get`; "not found" is no error.
    pub fn ask(&self, name: &str, host: &str) -> Result<Credential> {
        let said = self.run(name, "get", key(host).as_bytes())?;
        if said.status.success() {
            return understand(&said.answer, &said.program);
        }
        if said.knows_nothing() {
            return Ok(Credential::Anonymous);
        }
        Err(Error::unavailable(format!(
            "credential helper \"{}\" failed for {host}: {}",
            said.program.display(),
            said.status
        )))
    }

    /// Runs `docker-credential-NAME store`.
    pub fn store(&self, name: &str, host: &str, username: &str, secret: &str) -> Result<()> {
        let login = json!({"ServerURL": key(host), "Username": username, "Secret": secret});
        let said = self.run(name, "store", login.to_string().as_bytes())?;
        match said.status.success() {
            true => Ok(()),
            false => Err(said.refusal("store", host, Some(secret))),
        }
    }

    /// Runs `docker-credential-NAME erase`; "not found" is no error.
    pub fn erase(&self, name: &str, host: &str) -> Result<()> {
        let said = self.run(name, "erase", key(host).as_bytes())?;
        match said.status.success() || said.knows_nothing() {
            true => Ok(()),
            false => Err(said.refusal("erase", host, None)),
        }
    }

    fn run(&self, name: &str, verb: &str, input: &[u8]) -> Result<Said> {
        let program = self.program(name)?;
        let failed = || format!("cannot run credential helper \"{}\"", program.display());
        let mut child = Command::new(&program)
            .arg(verb)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context(failed)?;
        // A helper that does not read its input must not end us.
        let _ = child.stdin.take().expect("piped").write_all(input);
        let mut answer = Vec::new();
        let output = child.stdout.take().expect("piped");
        let read = output.take(MAX_ANSWER).read_to_end(&mut answer);
        let status = child.wait().context(failed)?;
        read.context(failed)?;
        Ok(Said {
            program,
            status,
            answer,
        })
    }

    /// The first `docker-credential-NAME` in a directory that not everybody
    /// may write.
    fn program(&self, name: &str) -> Result<PathBuf> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if !name.bytes().all(ok) {
            return Err(Error::invalid(format!(
                "credential helper {name:?} has an impossible name"
            ))
            .hint("a helper's name has only a-z, 0-9 and -"));
        }
        let file = format!("docker-credential-{name}");
        let mode = |path: &Path| std::fs::metadata(path).map_or(0o002, |m| m.permissions().mode());
        self.dirs
            .iter()
            .filter(|dir| mode(dir) & 0o002 == 0)
            .map(|dir| dir.join(&file))
            .find(|path| path.is_file() && mode(path) & 0o111 != 0 && mode(path) & 0o002 == 0)
            .ok_or_else(|| {
                Error::not_found(format!("credential helper \"{file}\" not found in PATH"))
                    .hint("install it, or remove it from credsStore or credHelpers")
            })
    }
}

/// How a helper ended, and what it said.
struct Said {
    program: PathBuf,
    status: ExitStatus,
    answer: Vec<u8>,
}

impl Said {
    fn knows_nothing(&self) -> bool {
        String::from_utf8_lossy(&self.answer).contains("credentials not found")
    }

    fn refusal(&self, verb: &str, host: &str, secret: Option<&str>) -> Error {
        let words = String::from_utf8_lossy(&self.answer);
        let words: String = words.trim().chars().take(MAX_WORDS).collect();
        let tells = secret.is_some_and(|secret| words.contains(secret));
        let why = match words.is_empty() || tells {
            true => self.status.to_string(),
            false => words,
        };
        Error::unavailable(format!(
            "credential helper \"{}\" cannot {verb} the login for {host}: {why}",
            self.program.display()
        ))
    }
}

/// The name of a registry that helpers know it by.
fn key(host: &str) -> &str {
    match HUB_HOSTS.contains(&host) {
        true => HUB_KEY,
        false => host,
    }
}

fn understand(answer: &[u8], program: &Path) -> Result<Credential> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| {
        Error::invalid(format!(
            "credential helper \"{}\" gave no valid answer",
            program.display()
        ))
    })?;
    Ok(match answer.username.as_str() {
        "<token>" => Credential::IdentityToken(answer.secret),
        "" => Credential::Anonymous,
        _ => Credential::Password {
            username: answer.username,
            password: answer.secret,
        },
    })
}

/// Whether helpers of the known kinds (desktop keyrings, pass, cloud vendors)
/// need this variable of the user's; they get no other.
pub fn is_for_helpers(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "DBUS_SESSION_BUS_ADDRESS",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "GNUPGHOME",
        "GPG_TTY",
        "PASSWORD_STORE_DIR",
        "HTTPS_PROXY",
        "NO_PROXY",
    ];
    const PREFIXES: [&str; 4] = ["AWS_", "AZURE_", "GOOGLE_", "CLOUDSDK_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|p| name.starts_with(p))
}
