//! `wherry run`.

use super::flags::CreateFlags;
use super::{create, streams};
use crate::cli::{Front, Verb, stdout};
use crate::container::attach::attach;
use crate::container::create::Created;
use crate::container::relay::RelayOptions;
use crate::container::remove;
use crate::container::start::{Way, launch};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::monitor::protocol::Attach;
use crate::monitor::spawn::Client;

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
        if self.detach && !self.flags.attach().is_empty() {
            return Err(Error::new(
                Kind::Streams,
                "conflicting options: cannot specify both --attach and --detach",
            ));
        }
        let quiet = self.flags.quiet;
        let (image, command) = self.flags.split(self.words);
        let mut request = self.flags.into_request(&image, command)?;
        request.run = true;
        let config = &mut request.config;
        if self.detach {
            config.attach_stdin = false;
            config.attach_stdout = false;
            config.attach_stderr = false;
            config.stdin_once = false;
        }
        streams::check_terminal(config.attach_stdin, config.tty)?;
        let options = RelayOptions {
            attach: Attach {
                stdin: config.attach_stdin,
                stdout: config.attach_stdout,
                stderr: config.attach_stderr,
            },
            terminal: config.tty,
            redraw: false,
            signals: self.sig_proxy,
            detach_keys: streams::detach_keys(
                front,
                &self.detach_keys,
                config.tty && config.attach_stdin,
            )?,
        };
        let engine = Engine::open()?;
        let found = create::find(&engine, front, &request, quiet)?;
        let way = Way::prepare(&engine)?;
        let created = create::make(&engine, request, &found)?;
        // Without output of its own, the ID is the command's.
        if !options.attach.stdout && !options.attach.stderr {
            stdout::line(&created.container.id)?;
        }
        let client = start(&engine, front, created, options.attach, way)?;
        if options.attach.is_none() {
            return Ok(0);
        }
        let outcome = attach(client, &options)?;
        Ok(match (options.attach.stdout, options.attach.stderr) {
            (false, false) => 0,
            _ => streams::status(front, &outcome),
        })
    }
}

/// Starts what was just created.
fn start(
    engine: &Engine,
    front: &Front,
    created: Created,
    attach: Attach,
    way: Way,
) -> Result<Client> {
    let (id, name) = (created.container.id.clone(), created.state.name.clone());
    let auto_remove = created.container.host_config.auto_remove;
    let size = streams::size();
    match launch(engine, created.container, created.state, size, attach, way) {
        Ok(launched) => {
            for warning in &launched.warnings {
                front.warn(warning);
            }
            Ok(launched.client)
        }
        Err(e) => {
            // A monitor that came to be has removed it already.
            if auto_remove && engine.paths.container(&id).exists() {
                let _ = remove::discard(engine, &id, &name, created.lock, true);
            }
            Err(e)
        }
    }
}
