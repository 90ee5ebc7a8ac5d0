//! `wherry logout`.

use super::server::{self, HUB, INDEX};
use crate::cli::{Front, Verb, stdout};
use crate::error::Result;

#[derive(clap::Args)]
pub struct LogoutArgs {
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

impl Verb for LogoutArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let host = server::host(self.server.as_deref())?;
        let shown = if host == HUB { INDEX } else { &host };
        stdout::line(&format!("Removing login credentials for {shown}"))?;
        server::logins(front).erase(&host)?;
        Ok(0)
    }
}
