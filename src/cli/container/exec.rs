//! `wherry exec`.

use super::streams;
use crate::cli::container::flags;
use crate::cli::{Front, Verb};
use crate::container::exec::exec;
use crate::container::plan::ExecRequest;
use crate::container::relay::RelayOptions;
use crate::engine::Engine;
use crate::error::{Kind, Result};
use crate::monitor::protocol::Attach;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct ExecArgs {
    /// Detached mode: run command in the background
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, default_value = "", hide_default_value = true)]
    detach_keys: String,
    /// Set environment variables
    #[arg(short, long, value_name = "list", value_parser = flags::env::parse)]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "list")]
    env_file: Vec<PathBuf>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// Give extended privileges to the command
    #[arg(long)]
    privileged: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    /// Username or UID (format: "<name|uid>[:<group|gid>]")
    #[arg(short, long, default_value = "", hide_default_value = true)]
    user: String,
    /// Working directory inside the container
    #[arg(short, long, default_value = "", hide_default_value = true)]
    workdir: String,
    #[arg(required = true, value_name = "CONTAINER", trailing_var_arg = true, num_args = 2..)]
    words: Vec<String>,
}

impl Verb for ExecArgs {
    fn run(mut self, front: &Front) -> Result<u8> {
        let container = self.words.remove(0);
        streams::check_terminal(self.interactive && !self.detach, self.tty)?;
        let engine = Engine::open()?;
        let request = ExecRequest {
            args: self.words,
            env: flags::env::join(&self.env_file, self.env, &|name: &str| {
                std::env::var(name).ok()
            })
            // `run` fails otherwise.
            .map_err(|e| e.with_kind(Kind::Invalid))?,
            user: self.user,
            working_dir: self.workdir,
            terminal: self.tty,
            open_stdin: self.interactive,
            privileged: self.privileged,
            size: streams::size(),
        };
        let options = RelayOptions {
            attach: Attach {
                stdin: self.interactive,
                ..Attach::OUTPUT
            },
            terminal: self.tty,
            redraw: false,
            // As Docker: signals are the container's main process's.
            signals: false,
            detach_keys: streams::detach_keys(front, &self.detach_keys, self.tty)?,
        };
        let session = exec(&engine, &container, &request, self.detach);
        if self.detach {
            // Nobody takes the status for the command's.
            return session.map(|_| 0).map_err(|e| e.with_kind(Kind::Conflict));
        }
        streams::status_of_guest(front, &session?.attach(&options)?)
    }
}
