//! `wherry start`.

use super::streams;
use crate::cli::{Front, Verb, show, stdout};
use crate::container::attach::attach;
use crate::container::relay::{RelayOptions, parse_detach_keys};
use crate::container::start::{Started, start};
use crate::engine::Engine;
use crate::error::{Error, Result};
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
            return self.attached(&engine);
        }
        let mut failed = Vec::new();
        for name in &self.containers {
            match start(&engine, name, (0, 0)) {
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
        if self.containers.len() > 1 {
            front.note(&format!("failed to start containers: {}", failed.join(" ")));
        }
        Ok(1)
    }
}

impl StartArgs {
    fn attached(&self, engine: &Engine) -> Result<u8> {
        let [name] = self.containers.as_slice() else {
            return Err(Error::invalid(
                "you cannot start and attach multiple containers at once",
            ));
        };
        let id = containers::find(&engine.paths, name)?;
        let config = containers::config(&engine.paths, &id)?.config;
        let stdin = self.interactive && config.open_stdin;
        streams::check_terminal(stdin, config.tty)?;
        let options = RelayOptions {
            stdin,
            stdout: true,
            stderr: true,
            terminal: config.tty,
            signals: true,
            detach_keys: parse_detach_keys(&self.detach_keys)?,
        };
        match start(engine, &id, streams::size())? {
            Started::Now(launched) => attach(launched.client, &options).map(|outcome| streams::status(&outcome)),
            Started::Before => Err(Error::unsupported(format!(
                "container {name} runs already, and attaching to a running container is not supported yet"
            ))
            .hint("`wherry logs -f` shows its output, `wherry exec` runs a program in it")),
        }
    }
}
