//! The options that `run` and `create` share. One file per group that is
//! written into the record, one per sort of value that needs reading. What is
//! here is carried out; an option that cannot be is not here.

pub mod address;
mod block;
mod device;
pub mod env;
mod health;
pub mod labels;
mod lines;
mod logging;
mod mount;
pub mod network;
mod process;
mod publish;
mod refused;
mod resources;
mod security;
mod storage;
pub mod ulimit;
mod volume;

use crate::container::create::{CreateRequest, Pull};
use crate::error::{Error, Result};
use crate::record::container::{Config, HostConfig, RestartPolicy};
use std::path::PathBuf;

pub use process::Stream;

/// Flatten this into a command's own arguments.
#[derive(Debug, clap::Args)]
pub struct CreateFlags {
    /// Assign a name to the container
    #[arg(long)]
    name: Option<String>,
    /// Set platform if server is multi-platform capable
    #[arg(long)]
    platform: Option<String>,
    /// Pull image before running ("always", "missing", "never")
    #[arg(long, default_value = "missing")]
    pull: String,
    /// Suppress the pull output
    #[arg(short, long)]
    pub quiet: bool,
    /// Write the container ID to the file
    #[arg(long)]
    cidfile: Option<PathBuf>,
    /// Automatically remove the container and its associated anonymous
    /// volumes when it exits
    #[arg(long)]
    rm: bool,
    /// Restart policy to apply when a container exits
    #[arg(long, default_value = "no")]
    restart: String,
    /// Runtime to use for this container
    #[arg(long)]
    runtime: Option<String>,
    /// A directory of the host as root file system, instead of an image
    #[arg(long, value_name = "dir")]
    rootfs: Option<PathBuf>,
    #[command(flatten)]
    process: process::ProcessFlags,
    #[command(flatten)]
    storage: storage::StorageFlags,
    #[command(flatten)]
    network: network::NetworkFlags,
    #[command(flatten)]
    security: security::SecurityFlags,
    #[command(flatten)]
    resources: resources::ResourceFlags,
    #[command(flatten)]
    block: block::BlockFlags,
    #[command(flatten)]
    logging: logging::LoggingFlags,
    #[command(flatten)]
    refused: refused::RefusedFlags,
}

impl CreateFlags {
    pub fn interactive(&self) -> bool {
        self.process.interactive
    }
    pub fn tty(&self) -> bool {
        self.process.tty
    }
    pub fn remove(&self) -> bool {
        self.rm
    }
    /// `-a`; empty when not given.
    pub fn attach(&self) -> &[Stream] {
        &self.process.attach
    }

    /// The image and the command from the words after the options. With
    /// `--rootfs` there is no image, and every word is the command's.
    pub fn split(&self, mut words: Vec<String>) -> (String, Vec<String>) {
        if self.rootfs.is_some() || words.is_empty() {
            return (String::new(), words);
        }
        let image = words.remove(0);
        (image, words)
    }

    /// What is asked for. `image` is empty with `--rootfs`; an empty `command`
    /// is the image's own.
    pub fn into_request(self, image: &str, command: Vec<String>) -> Result<CreateRequest> {
        let pull = self.pull()?;
        let restart_policy = restart_policy(&self.restart)?;
        if self.rm && !restart_policy.is_none() {
            return Err(Error::usage(
                "conflicting options: cannot specify both --restart and --rm",
            ));
        }
        self.refused.check()?;
        let mut config = Config {
            image: image.to_string(),
            cmd: (!command.is_empty()).then_some(command),
            ..Config::default()
        };
        let mut host = HostConfig {
            auto_remove: self.rm,
            restart_policy,
            container_id_file: self
                .cidfile
                .as_ref()
                .map(|p| p.display().to_string())
                .unwrap_or_default(),
            runtime: runtime(self.runtime)?,
            ..HostConfig::default()
        };
        self.process.apply(&mut config, &mut host)?;
        self.storage.apply(&mut config, &mut host)?;
        let networks = self.network.apply(&mut config, &mut host)?;
        self.security.apply(&mut host)?;
        self.resources.apply(&mut host)?;
        self.block.apply(&mut host);
        self.logging.apply(&mut host)?;
        Ok(CreateRequest {
            name: self.name.filter(|name| !name.is_empty()),
            platform: self.platform,
            pull,
            config,
            host_config: host,
            networks,
            rootfs: self.rootfs,
            cidfile: self.cidfile,
            run: false,
        })
    }

    fn pull(&self) -> Result<Pull> {
        match self.pull.as_str() {
            "always" => Ok(Pull::Always),
            "missing" | "" => Ok(Pull::Missing),
            "never" => Ok(Pull::Never),
            other => Err(Error::usage(format!(
                "invalid pull option: '{other}': must be one of \"always\", \"missing\" or \"never\""
            ))),
        }
    }
}

/// wherry is its own runtime; Docker's names for its default mean the same.
fn runtime(given: Option<String>) -> Result<String> {
    match given.unwrap_or_default().as_str() {
        "" => Ok(HostConfig::default().runtime),
        known @ ("wherry" | "runc" | "io.containerd.runc.v2") => Ok(known.into()),
        other => Err(Error::not_found(format!(
            "Unknown runtime specified {other}"
        ))),
    }
}

/// `--restart`: `no`, `always`, `unless-stopped`, `on-failure[:MOST]`.
pub fn restart_policy(text: &str) -> Result<RestartPolicy> {
    let (name, most) = text.split_once(':').unwrap_or((text, ""));
    let invalid = |what: &str| Error::usage(format!("invalid restart policy format: {what}"));
    if name.is_empty() && text.contains(':') {
        return Err(invalid("no policy provided before colon"));
    }
    let count: i64 = match most {
        "" => 0,
        most => most
            .parse()
            .map_err(|_| invalid("maximum retry count must be an integer"))?,
    };
    let invalid = |what: String| Error::invalid(format!("invalid restart policy: {what}"));
    match name {
        "on-failure" => {}
        "no" | "" | "always" | "unless-stopped" if count == 0 => {}
        "no" | "" | "always" | "unless-stopped" => {
            return Err(invalid(
                "maximum retry count can only be used with 'on-failure'".into(),
            ));
        }
        _ => {
            return Err(invalid(format!(
                "unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            )));
        }
    }
    Ok(RestartPolicy {
        name: if name.is_empty() { "no" } else { name }.to_string(),
        maximum_retry_count: u32::try_from(count)
            .map_err(|_| invalid("maximum retry count cannot be negative".into()))?,
    })
}

/// `KEY=value`, or `KEY` with an empty value.
fn pair(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err(Error::usage(format!("'{text}' has no name before the '='")));
    }
    Ok((key.to_string(), value.to_string()))
}

/// `None` for an empty list: what Docker writes as null.
fn listed<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests;
