//! A network that containers are in one after the other, without one of their
//! own: the steps of a build. In the records it is a container that never runs,
//! for others to see whose its addresses are.

use super::donor::Donor;
use super::network::Attachment;
use super::network::endpoints::Leases;
use super::plan::namespaces::Namespaces;
use super::plan::sysctl;
use super::start::Way;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::fs::lock::Lock;
use crate::fs::private;
use crate::fs::replace::Durability;
use crate::monitor::room;
use crate::record::container::{Container, State};
use crate::record::containers::New;
use crate::sys::procfs::Process;
use crate::text::id;

/// There until it is dropped.
pub struct Room {
    network: room::Room,
    container: Container,
    /// Tells others that its addresses are in use.
    _lock: Lock,
}

impl Room {
    /// For containers like this one. An error where the host has no way out
    /// without a helper for each of them.
    pub fn begin(engine: &Engine, like: &Container) -> Result<Self> {
        let paths = &engine.paths;
        let container = Container {
            id: id::random()?,
            ..like.clone()
        };
        let state = State::nameless(&container.id, Process::me());
        let new = New::begin(paths, &container.id)?;
        let lock = new.finish(&container, &state, Durability::Passing)?;
        let way = Way::prepare(engine)?;
        let mut leases = Leases::new(paths, &container.id);
        let network = Attachment::prepare(engine, &container, &state, &mut leases)?;
        let net = network
            .net()
            .ok_or_else(|| Error::internal("the steps have no network"))?;
        let dir = paths.run_container(&container.id);
        private::dir(&dir).context(|| format!("cannot make directory \"{}\"", dir.display()))?;
        for (name, text) in network.files(&container)? {
            let path = dir.join(name);
            std::fs::write(&path, &text)
                .context(|| format!("cannot write \"{}\"", path.display()))?;
        }
        let Way { maps, userns } = way;
        let max_gid = maps
            .as_ref()
            .map_or(i32::MAX as u32, |maps| container.ids.last_group(maps));
        let namespaces = Namespaces::of(&container.host_config)?;
        let order = room::Order {
            paths: paths.clone(),
            id: container.id.clone(),
            net,
            id_maps: maps.map(|maps| container.ids.maps(&maps)),
            sysctls: sysctl::plan(&container.host_config, &namespaces, max_gid)?,
        };
        let network = room::Room::begin(order, userns)?;
        leases.keep();
        Ok(Self {
            network,
            container,
            _lock: lock,
        })
    }

    /// The mode of a container that is in it.
    pub fn mode(&self) -> String {
        format!("container:{}", self.container.id)
    }

    pub(super) fn donor(&self) -> Result<Donor> {
        let init = self.network.init.try_clone();
        Ok(Donor {
            id: self.container.id.clone(),
            init: init.context(|| "cannot keep the network of the steps")?,
            container: self.container.clone(),
        })
    }
}
