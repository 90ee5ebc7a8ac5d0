//! What is mounted.

use super::{listed, mount, volume};
use crate::error::{Error, Result};
use crate::record::container::{Config, HostConfig, Mount};
use crate::text::path::absolute;
use crate::text::size;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Storage")]
pub struct StorageFlags {
    /// Bind mount a volume
    #[arg(short, long)]
    volume: Vec<String>,
    /// Optional volume driver for the container
    #[arg(long)]
    volume_driver: Option<String>,
    /// Attach a filesystem mount to the container
    #[arg(long, value_name = "mount", value_parser = mount::parse)]
    mount: Vec<Mount>,
    /// Mount volumes from the specified container(s)
    #[arg(long, value_name = "list")]
    volumes_from: Vec<String>,
    /// Mount a tmpfs directory
    #[arg(long)]
    tmpfs: Vec<String>,
    /// Mount the container's root filesystem as read only
    #[arg(long)]
    read_only: bool,
    /// Size of /dev/shm
    #[arg(long, value_name = "bytes", value_parser = size::parse)]
    shm_size: Option<i64>,
}

impl StorageFlags {
    pub fn apply(self, config: &mut Config, host: &mut HostConfig) -> Result<()> {
        let cwd = std::env::current_dir().map_err(|e| {
            Error::usage(format!(
                "cannot find the working directory: {}",
                crate::error::reason(&e)
            ))
        })?;
        let volumes = &self.volume;
        // The same words twice are one bind.
        let again = |i: usize| volumes[..i].contains(&volumes[i]);
        let mut binds = Vec::new();
        let mut places = Vec::new();
        for spec in (0..volumes.len())
            .filter(|&i| !again(i))
            .map(|i| &volumes[i])
        {
            match volume::parse(spec, &cwd)? {
                volume::Spec::Named { text, target } => {
                    binds.push(text);
                    places.push(target);
                }
                volume::Spec::Anonymous(target) => {
                    let all = config.volumes.get_or_insert_default();
                    all.entry(target).or_default();
                }
            }
        }
        self.mount.iter().try_for_each(mount::check)?;
        host.tmpfs = self
            .tmpfs
            .iter()
            .map(|t| mount::tmpfs(t))
            .collect::<Result<_>>()?;
        let targets: Vec<String> = self
            .mount
            .iter()
            .map(|m| m.target.as_str())
            .chain(host.tmpfs.keys().map(String::as_str))
            .map(absolute)
            .chain(places)
            .collect();
        volume::refuse_twice(targets.iter().map(String::as_str))?;
        host.binds = listed(binds);
        host.volume_driver = driver(self.volume_driver)?;
        host.mounts = self.mount;
        host.volumes_from = listed(self.volumes_from);
        host.readonly_rootfs = self.read_only;
        if let Some(bytes) = self.shm_size.filter(|b| *b > 0) {
            host.shm_size = bytes;
        }
        Ok(())
    }
}

/// There is one; of others Docker says the same.
fn driver(given: Option<String>) -> Result<String> {
    let given = given.unwrap_or_default();
    match given.as_str() {
        "" | "local" => Ok(given),
        other => Err(Error::not_found(format!(
            "error looking up volume plugin {other}: plugin \"{other}\" not found"
        ))),
    }
}
