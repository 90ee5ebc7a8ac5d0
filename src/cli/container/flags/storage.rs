//! What is mounted.

use super::{listed, mount, volume};
use crate::error::{Error, Result};
use crate::record::container::{HostConfig, Mount};
use crate::text::size;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Storage")]
pub struct StorageFlags {
    /// Bind mount a host directory or file (/host:/container[:ro])
    #[arg(short, long)]
    volume: Vec<String>,
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
    pub fn apply(self, host: &mut HostConfig) -> Result<()> {
        let cwd = std::env::current_dir().map_err(|e| {
            Error::usage(format!(
                "cannot find the working directory: {}",
                crate::error::reason(&e)
            ))
        })?;
        let volumes = &self.volume;
        // The same words twice are one bind.
        let again = |i: usize| volumes[..i].contains(&volumes[i]);
        let binds: Vec<_> = (0..volumes.len())
            .filter(|&i| !again(i))
            .map(|i| &volumes[i])
            .map(|v| volume::parse(v, &cwd))
            .collect::<Result<_>>()?;
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
            .map(volume::clean)
            .chain(binds.iter().map(|b| b.target.clone()))
            .collect();
        volume::refuse_twice(targets.iter().map(String::as_str))?;
        host.binds = listed(binds.into_iter().map(|b| b.text).collect());
        host.mounts = self.mount;
        host.volumes_from = listed(self.volumes_from);
        host.readonly_rootfs = self.read_only;
        if let Some(bytes) = self.shm_size.filter(|b| *b > 0) {
            host.shm_size = bytes;
        }
        Ok(())
    }
}
