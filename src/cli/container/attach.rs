//! `wherry attach`.

use super::streams;
use crate::cli::{Front, Verb};
use crate::container::attach::{attach, attachable, join};
use crate::container::relay::RelayOptions;
use crate::engine::Engine;
use crate::error::Result;
use crate::monitor::protocol::Attach;
use crate::record::containers;

#[derive(clap::Args)]
pub struct AttachArgs {
    /// Override the key sequence for detaching a container
    #[arg(long, default_value = "", hide_default_value = true)]
    detach_keys: String,
    /// Do not attach STDIN
    #[arg(long)]
    no_stdin: bool,
    /// Proxy all received signals to the process
    #[arg(long, default_value = "true")]
    sig_proxy: bool,
    #[arg(required = true, value_name = "CONTAINER")]
    container: String,
}

impl Verb for AttachArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        let id = containers::find(&engine.paths, &self.container)?;
        let config = containers::config(&engine.paths, &id)?.config;
        attachable(&engine, &id)?;
        streams::check_terminal(!self.no_stdin, config.tty)?;
        let stdin = !self.no_stdin && config.open_stdin;
        let options = RelayOptions {
            attach: Attach {
                stdin,
                ..Attach::OUTPUT
            },
            terminal: config.tty,
            redraw: true,
            // On a terminal they are keys.
            signals: self.sig_proxy && !config.tty,
            detach_keys: streams::detach_keys(front, &self.detach_keys, config.tty && stdin)?,
        };
        let client = join(&engine, &id, options.attach)?;
        streams::status_of_guest(front, &attach(client, &options)?)
    }
}
