//! `wherry login`.

use super::server::{self, HUB};
use crate::cli::{Front, Verb, prompt, stdout};
use crate::config::{Credential, Kept, Logins, Registries, Source};
use crate::error::{Context, Error, Kind, Result};
use crate::registry::{self, Options};
use std::io::{IsTerminal, Read};

#[derive(clap::Args)]
pub struct LoginArgs {
    /// Password or Personal Access Token (PAT)
    #[arg(short, long, value_name = "string")]
    password: Option<String>,
    /// Take the Password or Personal Access Token (PAT) from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Username
    #[arg(short, long, value_name = "string")]
    username: Option<String>,
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

/// The most that a password may have, in bytes.
const MAX_PASSWORD: u64 = 1 << 20;

impl Verb for LoginArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let given = self.given(front)?;
        let host = server::host(self.server.as_deref())?;
        let logins = server::logins(front);
        let registries = Registries::find()?;
        let ask = |credential: &Credential| {
            let source = Source::of_host(&registries, &host, credential.clone())?;
            let options = Options::find()?;
            registry::log_in(source, &options)
        };
        if given == Given::default() && again(front, &host, &logins, &ask)? {
            stdout::line("Login Succeeded")?;
            return Ok(0);
        }
        let (username, password) = given.completed(&host, front)?;
        let credential = Credential::Password {
            username: username.clone(),
            password,
        };
        let credential = match ask(&credential)? {
            Some(token) => Credential::IdentityToken(token),
            None => credential,
        };
        if let Kept::File(path) = logins.store(&host, &username, &credential)? {
            caution(
                front,
                &format!(
                    "\nWARNING! Your credentials are stored unencrypted in '{}'.\n\
                     Configure a credential helper to remove this warning. See\n\
                     https://docs.docker.com/go/credential-store/\n",
                    path.display()
                ),
            );
        }
        stdout::line("Login Succeeded")?;
        Ok(0)
    }
}

/// With a login that is stored already. `false`: there is none, or it is not
/// right any more.
fn again(
    front: &Front,
    host: &str,
    logins: &Logins,
    ask: &dyn Fn(&Credential) -> Result<Option<String>>,
) -> Result<bool> {
    let credential = logins.credential(host, "")?;
    let user = match &credential {
        Credential::Anonymous => return Ok(false),
        Credential::Password { username, .. } => format!(" [Username: {username}]"),
        Credential::IdentityToken(_) => String::new(),
    };
    front.note(&format!(
        "Authenticating with existing credentials...{user}\n\
         To log in with a different account, run '{0} logout' and then '{0} login'",
        front.program
    ));
    match ask(&credential) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == Kind::Denied => {
            front.note("Stored credentials invalid or expired");
            Ok(false)
        }
        Err(e) => Err(e),
    }
}

/// What was said on the command line.
#[derive(Default, PartialEq, Eq)]
struct Given {
    username: String,
    password: String,
}

impl LoginArgs {
    fn given(&self, front: &Front) -> Result<Given> {
        let mut password = self.password.clone().unwrap_or_default();
        let username = self.username.clone().unwrap_or_default();
        if self.password.is_some() {
            if self.password_stdin {
                return Err(Error::invalid(
                    "conflicting options: cannot specify both --password and --password-stdin",
                ));
            }
            caution(
                front,
                "WARNING! Using --password via the CLI is insecure. Use --password-stdin.",
            );
        }
        if self.password_stdin {
            if username.trim().is_empty() {
                return Err(Error::invalid(
                    "the --password-stdin option requires --username to be set",
                ));
            }
            password = password_from_stdin()?;
        }
        Ok(Given {
            username: username.trim().into(),
            password,
        })
    }
}

impl Given {
    /// Asks for what is missing.
    fn completed(self, host: &str, front: &Front) -> Result<(String, String)> {
        let missing = self.username.is_empty() || self.password.is_empty();
        if missing && !std::io::stdin().is_terminal() {
            return Err(Error::invalid(
                "Cannot perform an interactive login from a non TTY device",
            )
            .hint("use --username with --password-stdin"));
        }
        let mut username = self.username;
        if username.is_empty() {
            if host == HUB {
                stdout::line(
                    "Log in with your Docker ID or email address to push and pull images from Docker Hub. \
                     If you don't have a Docker ID, head over to https://hub.docker.com/ to create one.",
                )?;
            }
            username = prompt::line("Username: ")?.trim().to_string();
        }
        if username.is_empty() {
            return Err(Error::invalid("Non-null Username Required"));
        }
        let mut password = self.password;
        if password.is_empty() {
            front.note("A Personal Access Token (PAT) can be used instead of the password.");
            password = prompt::secret("Password: ")?;
        }
        if password.is_empty() {
            return Err(Error::invalid("Password Required"));
        }
        Ok((username, password))
    }
}

/// All of standard input without the end of its line.
fn password_from_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(MAX_PASSWORD)
        .read_to_string(&mut text)
        .context(|| "cannot read the password from standard input")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_string())
}

fn caution(front: &Front, text: &str) {
    if !front.quiet {
        front.note(text);
    }
}
