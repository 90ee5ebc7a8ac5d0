//! Which containers have a part in a network.

use crate::container::state::truth;
use crate::error::Result;
use crate::fs::lock;
use crate::network::register::{Owners, Register};
use crate::paths::Paths;
use crate::record::container::{State, Status};
use crate::record::containers;
use crate::record::endpoint::{Endpoint, Given};
use std::net::IpAddr;

/// A container in a network.
#[derive(Debug, Clone)]
pub struct Member {
    pub id: String,
    pub name: String,
    pub runs: bool,
    pub endpoint: Endpoint,
}

impl Member {
    /// What it has there now.
    pub fn given(&self) -> Option<&Given> {
        self.endpoint.given.as_ref().filter(|_| self.runs)
    }
}

/// Whether a container in this state has what it has been given.
pub fn is_up(state: &State) -> bool {
    matches!(
        state.status,
        Status::Running | Status::Paused | Status::Restarting
    )
}

/// Those of this network, also the ones that do not run.
pub fn of(paths: &Paths, network: &str) -> Result<Vec<Member>> {
    let mut all = all(paths)?;
    all.retain(|member| member.endpoint.network == network);
    Ok(all)
}

/// Every container's part in every network.
pub fn all(paths: &Paths) -> Result<Vec<Member>> {
    let mut found = Vec::new();
    for id in containers::ids(paths)? {
        // One that vanishes, or cannot be read, is in none.
        let Ok(written) = containers::state(paths, &id) else {
            continue;
        };
        let now = truth(&written);
        let runs = is_up(&now);
        found.extend(now.networks.into_iter().map(|endpoint| Member {
            id: id.clone(),
            name: now.name.clone(),
            runs,
            endpoint,
        }));
    }
    Ok(found)
}

/// Who of a network's containers is still there.
pub struct Living<'a> {
    pub paths: &'a Paths,
    pub network: &'a str,
}

impl Owners for Living<'_> {
    fn uses(&self, id: &str) -> bool {
        uses(self.paths, id)
    }

    fn all(&self) -> Vec<(IpAddr, String)> {
        let members = of(self.paths, self.network).unwrap_or_default();
        let mut all = Vec::new();
        for member in &members {
            let addresses = member.given().into_iter().flat_map(|g| &g.addresses);
            all.extend(addresses.map(|net| (net.addr(), member.id.clone())));
        }
        all
    }
}

/// Gives back what a container had whose monitor was killed.
pub fn forget(paths: &Paths, id: &str, networks: &[Endpoint]) {
    for given in networks.iter().filter_map(|e| e.given.as_ref()) {
        let register = Register::of(paths, &given.network_id);
        register.leave(&given.names, id);
        for net in &given.addresses {
            register.release(net.addr(), id);
        }
    }
}

/// Whether the container runs, or is being started by somebody: one of the
/// user's, or a step of a build.
pub fn uses(paths: &Paths, id: &str) -> bool {
    let has = |place: &Paths| {
        let Ok(written) = containers::state(place, id) else {
            return false;
        };
        if is_up(&truth(&written)) {
            return true;
        }
        let lock = place.container(id).join("lock");
        lock.exists() && !matches!(lock::try_exclusive(&lock), Ok(Some(_)))
    };
    paths.with_containers().iter().any(has)
}
