//! What runs: the program's surroundings and its three streams.

use super::health::HealthFlags;
use super::{env, labels};
use crate::error::{Error, Result};
use crate::record::container::{Config, HostConfig};
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdin,
    Stdout,
    Stderr,
}

#[derive(Debug, clap::Args)]
pub struct ProcessFlags {
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    pub interactive: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    pub tty: bool,
    /// Attach to STDIN, STDOUT or STDERR
    #[arg(short, long, value_parser = stream)]
    pub attach: Vec<Stream>,
    /// Set environment variables
    #[arg(short, long, value_parser = env::parse)]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long)]
    env_file: Vec<PathBuf>,
    /// Working directory inside the container
    #[arg(short, long)]
    workdir: Option<String>,
    /// Username or UID (format: <name|uid>[:<group|gid>])
    #[arg(short, long)]
    user: Option<String>,
    /// Overwrite the default ENTRYPOINT of the image
    #[arg(long)]
    entrypoint: Option<String>,
    /// Container host name
    #[arg(short = 'h', long)]
    hostname: Option<String>,
    /// Container NIS domain name
    #[arg(long)]
    domainname: Option<String>,
    /// Run an init inside the container that forwards signals and reaps
    /// processes
    #[arg(long)]
    init: bool,
    /// Set meta data on a container
    #[arg(short, long, value_parser = labels::parse)]
    label: Vec<(String, String)>,
    /// Read in a line delimited file of labels
    #[arg(long)]
    label_file: Vec<PathBuf>,
    /// Add an annotation to the container
    #[arg(long, value_name = "map", value_parser = super::pair)]
    annotation: Vec<(String, String)>,
    /// Signal to stop the container
    #[arg(long)]
    stop_signal: Option<String>,
    /// Timeout (in seconds) to stop a container, -1 for no limit
    #[arg(long)]
    stop_timeout: Option<i64>,
    #[command(flatten)]
    health: HealthFlags,
}

impl ProcessFlags {
    pub fn apply(self, config: &mut Config, host: &mut HostConfig) -> Result<()> {
        let attached = |stream| self.attach.contains(&stream);
        let all = self.attach.is_empty();
        config.attach_stdin = attached(Stream::Stdin) || self.interactive;
        config.attach_stdout = attached(Stream::Stdout) || all;
        config.attach_stderr = attached(Stream::Stderr) || all;
        config.tty = self.tty;
        config.open_stdin = self.interactive;
        config.stdin_once = config.open_stdin && config.attach_stdin;
        let own = |name: &str| std::env::var(name).ok();
        config.env = env::join(&self.env_file, self.env, &own)?;
        config.working_dir = self.workdir.unwrap_or_default();
        config.user = self.user.unwrap_or_default();
        // An empty entrypoint removes the image's.
        config.entrypoint = self.entrypoint.map(|word| {
            if word.is_empty() {
                Vec::new()
            } else {
                vec![word]
            }
        });
        config.hostname = self.hostname.unwrap_or_default();
        config.domainname = self.domainname.unwrap_or_default();
        config.labels = labels::join(&self.label_file, self.label)?;
        config.stop_signal = self.stop_signal;
        config.stop_timeout = self.stop_timeout;
        config.healthcheck = self.health.check()?;
        host.init = self.init.then_some(true);
        host.annotations = self.annotation.into_iter().collect();
        Ok(())
    }
}

fn stream(text: &str) -> Result<Stream> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" => Ok(Stream::Stdin),
        "stdout" => Ok(Stream::Stdout),
        "stderr" => Ok(Stream::Stderr),
        _ => Err(Error::usage("valid streams are STDIN, STDOUT and STDERR")),
    }
}
