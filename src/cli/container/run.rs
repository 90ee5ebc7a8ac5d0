//! `wherry run`.

use super::flags::{CreateFlags, Stream};
use super::{create, streams};
use crate::cli::{Front, Verb, stdout};
use crate::container::attach::attach;
use crate::container::relay::{RelayOptions, parse_detach_keys};
use crate::container::remove;
use crate::container::start::{Way, launch};
use crate::engine::Engine;
use crate::error::{Error, Result};

#[derive(clap::Args)]
pub struct RunArgs {
    /// Run container in background and print container ID
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, default_value = "", hide_default_value = true)]
    detach_keys: String,
    /// Proxy received signals to the process
    #[arg(long, default_value = "true")]
    sig_proxy: bool,
    #[command(flatten)]
    flags: CreateFlags,
    #[arg(required = true, value_name = "IMAGE", trailing_var_arg = true, num_args = 1..)]
    words: Vec<String>,
}

impl Verb for RunArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let options = self.relay_options()?;
        let (detach, quiet) = (self.detach, self.flags.quiet);
        let (image, command) = self.flags.split(self.words);
        let mut request = self.flags.into_request(&image, command)?;
        request.run = true;
        if detach {
            request.config.attach_stdin = false;
            request.config.attach_stdout = false;
            request.config.attach_stderr = false;
            request.config.stdin_once = false;
        }
        let engine = Engine::open()?;
        let found = create::find(&engine, front, &request, quiet)?;
        let way = Way::prepare(&engine)?;
        let created = create::make(&engine, request, &found)?;
        if detach {
            stdout::line(&created.container.id)?;
        }
        let (id, name) = (created.container.id.clone(), created.state.name.clone());
        let auto_remove = created.container.host_config.auto_remove;
        let launched = match launch(
            &engine,
            created.container,
            created.state,
            streams::size(),
            way,
        ) {
            Ok(launched) => launched,
            Err(e) => {
                // A monitor that came to be has removed it already.
                if auto_remove && engine.paths.container(&id).exists() {
                    let _ = remove::discard(&engine, &id, &name, created.lock);
                }
                return Err(e);
            }
        };
        drop((created.lock, created.starter));
        for warning in &launched.warnings {
            front.warn(warning);
        }
        if detach {
            return Ok(0);
        }
        attach(launched.client, &options).map(|outcome| streams::status(&outcome))
    }
}

impl RunArgs {
    fn relay_options(&self) -> Result<RelayOptions> {
        let attached = self.flags.attach();
        if self.detach && !attached.is_empty() {
            return Err(Error::usage(
                "conflicting options: cannot specify both --attach and --detach",
            ));
        }
        let wants = |stream| attached.is_empty() || attached.contains(&stream);
        let stdin = self.flags.interactive() && wants(Stream::Stdin) && !self.detach;
        streams::check_terminal(stdin, self.flags.tty())?;
        Ok(RelayOptions {
            stdin,
            stdout: wants(Stream::Stdout),
            stderr: wants(Stream::Stderr),
            terminal: self.flags.tty(),
            signals: self.sig_proxy,
            detach_keys: parse_detach_keys(&self.detach_keys)?,
        })
    }
}
