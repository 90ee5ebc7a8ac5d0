//! `network connect` and `network disconnect`, of containers in every state.
//! While one runs its monitor does the work: it keeps N and the container's
//! network.

use super::endpoints::{self, Leases, check, has_networks};
use super::{asked, links, members};
use crate::container::state;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::fs::replace::Durability;
use crate::monitor::door;
use crate::monitor::net::{Connection, Wiring};
use crate::monitor::protocol::{self, Attach, Kind, MAX_PAYLOAD};
use crate::network::dns;
use crate::network::etc::{Resolver, own_line};
use crate::network::record::Network;
use crate::network::register::Register;
use crate::network::store;
use crate::network::wire::Wire;
use crate::record::container::{Container, State, Status};
use crate::record::containers;
use crate::record::endpoint::{Endpoint, Given};
use std::net::IpAddr;

/// Connects a container to the network that `endpoint` names.
pub fn connect(engine: &Engine, wanted: &str, mut endpoint: Endpoint) -> Result<()> {
    let paths = &engine.paths;
    crate::container::sweep::sweep(engine);
    let network = store::find(paths, &endpoint.network)?;
    let id = containers::find(paths, wanted)?;
    let _lock = containers::lock(paths, &id)?;
    let container = containers::config(paths, &id)?;
    let now = state::settle(paths, &id)?;
    refuse_mode(&container)?;
    check(&network, &endpoint)
        .map_err(|e| e.within(format!("invalid config for network {}", network.name)))?;
    if now.networks.iter().any(|e| e.network == network.name) {
        return Err(Error::conflict(format!(
            "endpoint with name {} already exists in network {}",
            now.name, network.name
        )));
    }
    endpoint.network.clone_from(&network.name);
    for link in &endpoint.links {
        links::target(paths, link)?;
    }
    if !members::is_up(&now) {
        return write(engine, &id, |state| state.networks.push(endpoint));
    }
    must_run(&now)?;
    let number = free_number(&now.networks);
    let mut leases = Leases::new(paths, &id);
    leases.give(&container, &now.name, &mut endpoint, &network, number)?;
    let mut networks = now.networks.clone();
    networks.push(endpoint.clone());
    tell(engine, &id, &wiring(engine, &container, &networks)?)?;
    leases.keep();
    adapt_files(engine, &container, &now.networks, &networks);
    write(engine, &id, |state| state.networks.push(endpoint))
}

/// Disconnects a container from a network.
pub fn disconnect(engine: &Engine, network: &str, wanted: &str, force: bool) -> Result<()> {
    let paths = &engine.paths;
    crate::container::sweep::sweep(engine);
    let network = store::find(paths, network)?;
    let id = containers::find(paths, wanted)?;
    let _lock = containers::lock(paths, &id)?;
    let container = containers::config(paths, &id)?;
    let now = state::settle(paths, &id)?;
    if network.name == "host" || container.host_config.network_mode == "host" {
        return Err(Error::conflict(
            "container cannot be disconnected from host network or connected to host network",
        ));
    }
    let left: Vec<Endpoint> = now
        .networks
        .iter()
        .filter(|e| e.network != network.name)
        .cloned()
        .collect();
    if left.len() == now.networks.len() {
        return Err(Error::conflict(format!(
            "container {id} is not connected to network {}",
            network.name
        )));
    }
    if members::is_up(&now) {
        let told = must_run(&now)
            .and_then(|()| wiring(engine, &container, &left))
            .and_then(|wiring| tell(engine, &id, &wiring));
        // With `force` the record at least says so.
        if let Err(e) = told
            && !force
        {
            return Err(e);
        }
        adapt_files(engine, &container, &now.networks, &left);
        release(engine, &id, &now.networks, &network);
    }
    write(engine, &id, |state| state.networks = left)
}

/// What is asked for has to survive, as config.json does.
fn write(engine: &Engine, id: &str, change: impl FnOnce(&mut State)) -> Result<()> {
    containers::change_state(&engine.paths, id, Durability::Durable, change).map(drop)
}

fn refuse_mode(container: &Container) -> Result<()> {
    let host = &container.host_config;
    if has_networks(host) {
        return Ok(());
    }
    Err(Error::conflict(match host.network_mode.as_str() {
        "none" => {
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        }
        "host" => "container cannot be disconnected from host network or connected to host network",
        _ => {
            "container sharing network namespace with another container or host cannot be connected to any other network"
        }
    }))
}

/// Between two runs there is nobody who could do it.
fn must_run(now: &State) -> Result<()> {
    match now.status {
        Status::Restarting => Err(Error::conflict(format!(
            "container {} is restarting: its networks cannot be changed now",
            now.name
        ))
        .hint("wait until it is running, or stop it first")),
        _ => Ok(()),
    }
}

fn free_number(networks: &[Endpoint]) -> u32 {
    let is_used = |number: &u32| {
        let given = networks.iter().filter_map(|e| e.given.as_ref());
        given.clone().any(|given| given.number == *number)
    };
    (0..).find(|number| !is_used(number)).unwrap_or(0)
}

/// The connections of a container that runs, by its record.
fn wiring(engine: &Engine, container: &Container, networks: &[Endpoint]) -> Result<Wiring> {
    let paths = &engine.paths;
    let mut wires = Vec::new();
    for endpoint in networks {
        if let Some(given) = &endpoint.given {
            let network = store::find(paths, &endpoint.network)?;
            wires.push(connection(endpoint, given, &network));
        }
    }
    let direct = Resolver::of_host().for_container(asked(container), None)?;
    let servers = container.host_config.dns.iter();
    Ok(Wiring {
        wires,
        links: links::names(paths, networks)?,
        servers: servers.filter_map(|server| server.parse().ok()).collect(),
        resolves: direct.servers.is_empty(),
    })
}

fn connection(endpoint: &Endpoint, given: &Given, network: &Network) -> Connection {
    let mut mac = [0; 6];
    for (byte, word) in mac.iter_mut().zip(given.mac.split(':')) {
        *byte = u8::from_str_radix(word, 16).unwrap_or(0);
    }
    Connection {
        wire: Wire::new(network, given.number, mac, given.addresses.clone()),
        names: given.names.clone(),
        priority: endpoint.gw_priority,
    }
}

/// Has the monitor do it.
fn tell(engine: &Engine, id: &str, wiring: &Wiring) -> Result<()> {
    let failed = || format!("cannot reach the monitor of container {id}");
    let advice = "the container works on; it can be changed again after a restart";
    let text = serde_json::to_vec(wiring).context(failed)?;
    if text.len() > MAX_PAYLOAD {
        return Err(Error::unsupported("the container is in too many networks"));
    }
    let mut buffer = vec![0; MAX_PAYLOAD + 1];
    let mut reply = || -> nix::Result<Option<Result<()>>> {
        let socket = door::knock(&engine.paths.run_container(id), Attach::NONE)?;
        socket.send(Kind::Wiring, &text)?;
        while let Some(message) = socket.receive(&mut buffer)? {
            match message.kind {
                Kind::Done => return Ok(Some(Ok(()))),
                Kind::Failed => return Ok(Some(Err(protocol::parse_error(message.payload)))),
                // It has ended meanwhile: the end of its networks, too.
                Kind::Exited => return Ok(Some(Ok(()))),
                _ => {}
            }
        }
        Ok(None)
    };
    match reply().context(failed).map_err(|e| e.hint(advice))? {
        Some(done) => done,
        None => Err(Error::unavailable(failed()).hint(advice)),
    }
}

fn release(engine: &Engine, id: &str, networks: &[Endpoint], network: &Network) {
    let register = Register::of(&engine.paths, &network.id);
    for endpoint in networks.iter().filter(|e| e.network == network.name) {
        for net in endpoint.given.iter().flat_map(|given| &given.addresses) {
            register.release(net.addr(), id);
        }
    }
}

/// Its addresses in /etc/hosts, and whom it asks for names. A file that the
/// container has changed is its own: only our lines are touched.
fn adapt_files(engine: &Engine, container: &Container, old: &[Endpoint], new: &[Endpoint]) {
    let dir = engine.paths.run_container(&container.id);
    let addresses = |list: &[Endpoint]| -> Vec<IpAddr> {
        let given = list.iter().filter_map(|e| e.given.as_ref());
        given
            .flat_map(|g| g.addresses.iter().map(ipnet::IpNet::addr))
            .collect()
    };
    let (before, after) = (addresses(old), addresses(new));
    let hosts = dir.join("hosts");
    if let Ok(text) = std::fs::read_to_string(&hosts) {
        let config = &container.config;
        let line = |ip: &IpAddr| own_line(*ip, &config.hostname, &config.domainname);
        let gone: Vec<String> = before
            .iter()
            .filter(|ip| !after.contains(ip))
            .map(line)
            .collect();
        let mut text: String = text
            .split_inclusive('\n')
            .filter(|have| !gone.iter().any(|gone| gone == have))
            .collect();
        for ip in after.iter().filter(|ip| !before.contains(ip)) {
            text += &line(ip);
        }
        let _ = std::fs::write(&hosts, text);
    }
    let resolves = |list: &[Endpoint]| list.iter().any(|e| e.network != "bridge");
    if resolves(old) == resolves(new) {
        return;
    }
    let Ok(direct) = Resolver::of_host().for_container(asked(container), None) else {
        return;
    };
    let behind = |names: bool| match names || direct.servers.is_empty() {
        true => direct.clone().behind(dns::ADDRESS.into(), names).text(),
        false => direct.text(),
    };
    let file = dir.join("resolv.conf");
    let (was, is) = (behind(resolves(old)), behind(resolves(new)));
    if std::fs::read_to_string(&file).is_ok_and(|text| text == was) {
        let _ = std::fs::write(&file, is);
    }
}

/// Another name of a container that runs: others find it by that.
pub fn rename(engine: &Engine, container: &Container, new: &str) -> Result<()> {
    let now = state::truth(&containers::state(&engine.paths, &container.id)?);
    if !members::is_up(&now) || now.networks.iter().all(|e| e.given.is_none()) {
        return Ok(());
    }
    let mut networks = now.networks.clone();
    for endpoint in &mut networks {
        let names = endpoints::names(container, new, endpoint);
        if let Some(given) = endpoint
            .given
            .as_mut()
            .filter(|given| !given.names.is_empty())
        {
            given.names = names;
        }
    }
    // One that cannot be told keeps its old name until its next start.
    let told = wiring(engine, container, &networks)
        .and_then(|wiring| tell(engine, &container.id, &wiring));
    match told {
        Ok(()) => {
            let durability = Durability::Fast;
            containers::change_state(&engine.paths, &container.id, durability, |state| {
                state.networks = networks;
            })?;
            Ok(())
        }
        Err(_) => Ok(()),
    }
}
