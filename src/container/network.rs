//! A container's way to the network: which it asked for, and its files in /etc.

use crate::error::Result;
use crate::monitor::protocol::{Init, Network};
use crate::paths::Paths;
use crate::record::container::Container;

/// What is prepared before the container starts.
pub struct Attachment {}

impl Attachment {
    pub fn prepare(_container: &Container) -> Result<Self> {
        Ok(Self {})
    }

    pub fn wants_uplink(&self) -> bool {
        false
    }

    /// hosts, hostname and resolv.conf.
    pub fn files(&self, container: &Container) -> Result<Vec<(&'static str, String)>> {
        Ok(vec![
            ("hosts", "127.0.0.1\tlocalhost\n".to_string()),
            ("hostname", format!("{}\n", container.config.hostname)),
            ("resolv.conf", String::new()),
        ])
    }

    pub fn connect(self, _init: &Init, _paths: &Paths, _container: &Container) -> Result<Network> {
        Ok(Network::default())
    }
}
