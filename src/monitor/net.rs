//! The container's networks, as its monitor keeps them: N, the container's
//! connections in it, its names, and its name server.

use crate::error::{Context, Error, Result};
use crate::network::dns::{self, Dns, Upstream, View};
use crate::network::inside::Inside;
use crate::network::namespace::Hold;
use crate::network::register::Register;
use crate::network::uplink::embedded::{Embedded, Local, Sockets};
use crate::network::wire::{self, Change, Wire};
use crate::paths::Paths;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// What a container is to be connected to, and how it resolves names.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Wiring {
    /// In the order of their interfaces.
    pub wires: Vec<Connection>,
    /// Name in this container, and ID of the one that it stands for.
    pub links: Vec<(String, String)>,
    /// Whom other names are asked of; none: the host's own.
    pub servers: Vec<IpAddr>,
    /// Also where no network resolves names: the host's servers can only be
    /// reached from the host.
    pub resolves: bool,
}

/// One network, and the names that the container has there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Connection {
    pub wire: Wire,
    pub names: Vec<String>,
    pub priority: i64,
}

impl Wiring {
    /// The connection that leads out: of the highest priority, the first by
    /// name among several.
    pub fn way_out(&self) -> Option<&Connection> {
        let open = self.wires.iter().filter(|c| !c.wire.internal);
        open.min_by_key(|c| (-c.priority, &c.wire.network))
    }

    /// The way out is one of the host's own: nothing has to be carried.
    fn is_on_host(&self) -> bool {
        self.way_out().is_some_and(|way| way.wire.lan.is_some())
    }

    /// All addresses, in the order in which they are tried from outside.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let all = self.wires.iter().flat_map(|c| &c.wire.addresses);
        all.map(IpNet::addr).collect()
    }

    /// What is reached without a way out.
    fn local(&self) -> Local {
        if self.is_on_host() {
            return Local::everything();
        }
        let all = self.wires.iter().flat_map(|c| &c.wire.addresses);
        let open = self.wires.iter().filter(|c| !c.wire.internal);
        Local {
            subnets: all.map(IpNet::trunc).collect(),
            gateways: open.flat_map(|c| c.wire.ways()).collect(),
        }
    }

    fn needs_dns(&self) -> bool {
        self.resolves || self.wires.iter().any(|c| c.wire.resolves)
    }

    fn default_route(&self) -> Option<(String, Vec<IpAddr>)> {
        let wire = &self.way_out()?.wire;
        Some((wire.interface.clone(), wire.ways()))
    }
}

/// Kept over all runs of the container.
#[derive(Debug)]
pub struct Net {
    pub wiring: Wiring,
    /// The default route is another's to make: that of a helper.
    has_helper: bool,
    hold: Option<Hold>,
}

/// What there is during one run.
pub struct Connected {
    netns: OwnedFd,
    dns: Option<Dns>,
    way: Option<Embedded>,
    /// Why it has no way out, where it is to have one.
    lacks: Option<Error>,
}

impl Net {
    pub fn new(wiring: Wiring) -> Self {
        Self {
            wiring,
            has_helper: false,
            hold: None,
        }
    }

    /// Connects the container with this network namespace.
    pub fn connect(&mut self, paths: &Paths, id: &str, netns: OwnedFd) -> Result<Connected> {
        let change = Change {
            add: self.wiring.wires.iter().map(|c| c.wire.clone()).collect(),
            remove: Vec::new(),
            default: None,
        };
        let resolves = self.wiring.needs_dns();
        let (local, leads) = (self.wiring.local(), self.wiring.default_route());
        let carries = !self.wiring.is_on_host();
        let (sockets, way) = wire::change(paths, &mut self.hold, netns.as_fd(), &change, || {
            let sockets = resolves.then(dns::listen).transpose()?;
            let way = match leads {
                Some(leads) if carries => Some(open(&local, &leads)),
                Some(leads) => wire::lead_out(&leads).map(|()| None)?,
                None => None,
            };
            Ok((sockets, way))
        })?;
        let (way, lacks) = match way.transpose() {
            Ok(way) => (way, None),
            Err(error) => (None, Some(error)),
        };
        self.has_helper = lacks.is_some();
        for connection in &self.wiring.wires {
            enter(paths, id, connection)?;
        }
        let dns = sockets.map(|sockets| {
            let upstream = self.upstream(&netns)?;
            Dns::new(sockets, self.view(paths), upstream)
        });
        let way = way.map(|sockets| carry(sockets, &netns, local));
        Ok(Connected {
            dns: dns.transpose()?,
            way: way.transpose()?,
            lacks,
            netns,
        })
    }

    /// Connects and disconnects while the container runs.
    pub fn rewire(
        &mut self,
        paths: &Paths,
        id: &str,
        connected: &mut Connected,
        wanted: Wiring,
    ) -> Result<()> {
        let is_in = |list: &Wiring, wire: &Wire| list.wires.iter().any(|c| c.wire.id == wire.id);
        let (old, new) = (&self.wiring, &wanted);
        let added = new.wires.iter().filter(|c| !is_in(old, &c.wire));
        let removed = old.wires.iter().filter(|c| !is_in(new, &c.wire));
        let change = Change {
            add: added.clone().map(|c| c.wire.clone()).collect(),
            remove: removed.clone().map(|c| c.wire.interface.clone()).collect(),
            default: wanted.default_route().filter(|_| !self.has_helper),
        };
        let needs = wanted.needs_dns() && connected.dns.is_none();
        let local = wanted.local();
        let leads = change.default.is_some();
        let opens = leads && connected.way.is_none() && !wanted.is_on_host();
        let hold = &mut self.hold;
        let (sockets, way) = wire::change(paths, hold, connected.netns.as_fd(), &change, || {
            let sockets = needs.then(dns::listen).transpose()?;
            Ok((
                sockets,
                opens.then(|| Sockets::open_again(&local)).transpose()?,
            ))
        })?;
        connected.lead(way, leads, local)?;
        for connection in removed {
            leave(paths, id, connection);
        }
        for connection in added {
            enter(paths, id, connection)?;
        }
        for old in &self.wiring.wires {
            let new = wanted.wires.iter().find(|c| c.wire.id == old.wire.id);
            if let Some(new) = new.filter(|new| new.names != old.names) {
                leave(paths, id, old);
                enter(paths, id, new)?;
            }
        }
        self.wiring = wanted;
        let view = self.view(paths);
        match (&mut connected.dns, sockets) {
            (Some(dns), _) => dns.set_view(view),
            (None, Some(sockets)) => {
                let upstream = self.upstream(&connected.netns)?;
                connected.dns = Some(Dns::new(sockets, view, upstream)?);
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Nobody is to find it any more; its addresses stay its own.
    pub fn leave(&self, paths: &Paths, id: &str) {
        for connection in &self.wiring.wires {
            leave(paths, id, connection);
        }
    }

    /// Gives back all that it has been given.
    pub fn release(&self, paths: &Paths, id: &str) {
        self.leave(paths, id);
        for connection in &self.wiring.wires {
            let register = Register::of(paths, &connection.wire.id);
            for address in &connection.wire.addresses {
                register.release(address.addr(), id);
            }
        }
    }

    fn view(&self, paths: &Paths) -> View {
        let wires = self.wiring.wires.iter().map(|c| &c.wire);
        let resolving = wires.filter(|wire| wire.resolves);
        View {
            networks: resolving
                .map(|wire| (Register::of(paths, &wire.id), wire.network.clone()))
                .collect(),
            links: self.wiring.links.clone(),
            forwards: self.wiring.way_out().is_some(),
        }
    }

    fn upstream(&self, netns: &OwnedFd) -> Result<Upstream> {
        if self.wiring.servers.is_empty() {
            return Ok(Upstream::host());
        }
        let netns = netns
            .try_clone()
            .context(|| "cannot keep the container's network")?;
        let inside = Inside::new(netns, Vec::new());
        Ok(Upstream::container(&self.wiring.servers, inside))
    }
}

impl Connected {
    /// Readable when there is something to do.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.dns.as_ref().map(Dns::fd)
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.dns.as_ref().and_then(Dns::deadline)
    }

    pub fn turn(&mut self) {
        if let Some(dns) = &mut self.dns {
            dns.turn();
        }
    }

    /// The same for the way out.
    pub fn way_fd(&self) -> Option<BorrowedFd<'_>> {
        self.way.as_ref().map(Embedded::fd)
    }

    pub fn carry(&mut self) {
        if let Some(way) = &mut self.way {
            way.turn();
        }
    }

    /// Why it needs a helper for its way out, if it does.
    pub fn lacks(&self) -> Option<&Error> {
        self.lacks.as_ref()
    }

    /// The networks have changed: what was opened for a way out, if anything,
    /// and whether there is to be one.
    fn lead(&mut self, opened: Option<Sockets>, leads: bool, local: Local) -> Result<()> {
        match (&mut self.way, opened) {
            (_, Some(sockets)) => self.way = Some(carry(sockets, &self.netns, local)?),
            (Some(way), None) if leads => way.set_local(local)?,
            // Internal networks have none, whatever routes the container makes.
            _ => self.way = None,
        }
        Ok(())
    }

    /// Another descriptor of the container's network namespace.
    pub fn netns(&self) -> Result<OwnedFd> {
        self.netns
            .try_clone()
            .context(|| "cannot keep the container's network")
    }
}

/// Opens a way out for the container that this thread is in.
fn open(local: &Local, leads: &(String, Vec<IpAddr>)) -> Result<Sockets> {
    let sockets = Sockets::open(local)?;
    wire::lead_out(leads)?;
    Ok(sockets)
}

fn carry(sockets: Sockets, netns: &OwnedFd, local: Local) -> Result<Embedded> {
    let netns = netns
        .try_clone()
        .context(|| "cannot keep the container's network")?;
    Embedded::new(sockets, netns, local)
}

fn enter(paths: &Paths, id: &str, connection: &Connection) -> Result<()> {
    let wire = &connection.wire;
    let addresses: Vec<IpAddr> = wire.addresses.iter().map(IpNet::addr).collect();
    Register::of(paths, &wire.id).enter(&connection.names, id, &addresses)
}

fn leave(paths: &Paths, id: &str, connection: &Connection) {
    Register::of(paths, &connection.wire.id).leave(&connection.names, id);
}
