//! Asking a registry whether a login is right, before it is stored.

use super::Options;
use super::Watch;
use super::auth::Pass;
use super::failure::Failure;
use super::session::Session;
use super::wire::Call;
use crate::config::Source;
use crate::error::{Error, Kind, Result};
use reqwest::StatusCode;

/// Asks `source` (of no repository) with its credential. Gives the identity
/// token that is to be kept in place of the password, if there is one.
pub fn log_in(source: Source, options: &Options) -> Result<Option<String>> {
    let session = Session::new(source, options.clone());
    match session.retrying(Watch::nobody(), || session.log_in()) {
        Ok(()) => Ok(session.auth.identity()),
        Err(failure) if failure.error.kind() == Kind::Denied => Err(failure.error.hint(DENIED)),
        Err(failure) => Err(failure.error),
    }
}

const DENIED: &str = "the user name or the password is wrong; registries with two-factor login \
                      want an access token as the password";

impl Session {
    fn log_in(&self) -> Result<(), Failure> {
        let root = self.root()?;
        let door = root.join("v2/").expect("constant");
        let mut call = Call::get(door.clone());
        let mut pass = Pass::default();
        for _ in 0..2 {
            call.authorization.clone_from(&pass.header);
            let reply = self.wire.send(&root, &call)?;
            let status = reply.response.status();
            if status.is_success() {
                return Ok(());
            }
            let better = match status {
                StatusCode::UNAUTHORIZED if !reply.foreign => {
                    let headers = reply.response.headers();
                    self.auth
                        .renew(&pass, headers, &self.wire, &root, "")
                        .map_err(|mut failure| {
                            failure.error = failure.error.within(format!("Get \"{door}\""));
                            failure
                        })?
                }
                _ => None,
            };
            match better {
                Some(better) => pass = better,
                None => return Err(refused(&door, status)),
            }
        }
        Err(refused(&door, StatusCode::UNAUTHORIZED))
    }
}

fn refused(door: &reqwest::Url, status: StatusCode) -> Failure {
    let kind = match status.as_u16() {
        401 | 403 => Kind::Denied,
        404 => Kind::NotFound,
        _ => Kind::Unavailable,
    };
    Error::new(
        kind,
        format!("login attempt to {door} failed with status: {status}"),
    )
    .into()
}
