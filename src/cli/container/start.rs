//! `wherry start`.

use super::streams;
use crate::cli::{Front, Verb, show, stdout};
use crate::container::attach::{attach as relay, join};
use crate::container::relay::RelayOptions;
use crate::container::start::{Started, start};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::monitor::protocol::Attach;
use crate::record::containers;

#[derive(clap::Args)]
pub struct StartArgs {
    /// Attach STDOUT/STDERR and forward signals
    #[arg(short, long)]
    attach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, default_value = "", hide_default_value = true)]
    detach_keys: String,
    /// Attach container's STDIN
    #[arg(short, long)]
    interactive: bool,
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Verb for StartArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        if self.attach || self.interactive {
            return self.attached(&engine, front);
        }
        let mut failed = Vec::new();
        for name in &self.containers {
            match start(&engine, name, (0, 0), Attach::NONE) {
                Ok(started) => {
                    stdout::line(name)?;
                    if let Started::Now(launched) = started {
                        launched.warnings.iter().for_each(|w| front.warn(w));
                    }
                }
                Err(e) => {
                    show(&e, front);
                    failed.push(name.as_str());
                }
            }
        }
        if failed.is_empty() {
            return Ok(0);
        }
        let failed = failed.join(", ");
        front.note(&format!(
            "failed to start containers: {}",
            crate::text::escape::visible(&failed)
        ));
        Ok(1)
    }
}

impl StartArgs {
    fn attached(&self, engine: &Engine, front: &Front) -> Result<u8> {
        let [name] = self.containers.as_slice() else {
            return Err(Error::invalid(
                "you cannot start and attach multiple containers at once",
            ));
        };
        let id = containers::find(&engine.paths, name)?;
        let config = containers::config(&engine.paths, &id)?.config;
        let attach = Attach {
            stdin: self.interactive && config.open_stdin,
            ..Attach::OUTPUT
        };
        let detach_keys =
            streams::detach_keys(front, &self.detach_keys, config.tty && attach.stdin)?;
        let started = start(engine, &id, streams::size(), attach)?;
        let redraw = matches!(started, Started::Before);
        let client = match started {
            Started::Now(launched) => {
                launched.warnings.iter().for_each(|w| front.warn(w));
                launched.client
            }
            Started::Before => join(engine, &id, attach)?,
        };
        let options = RelayOptions {
            attach,
            terminal: config.tty,
            redraw,
            signals: !config.tty,
            detach_keys,
        };
        Ok(streams::status(front, &relay(client, &options)?))
    }
}
