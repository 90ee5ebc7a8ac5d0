//! What is done with networks and depends on the containers in them.

use super::members::{self, Member};
use crate::container::prune::Filters;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::network::record::Network;
use crate::network::store;
use serde_json::{Map, Value, json};

/// Removes a network that nobody is in.
pub fn remove(engine: &Engine, wanted: &str) -> Result<()> {
    let paths = &engine.paths;
    let network = store::find(paths, wanted)?;
    if network.is_predefined() {
        return Err(Error::new(
            Kind::Denied,
            format!(
                "{} is a pre-defined network and cannot be removed",
                network.name
            ),
        ));
    }
    let _lock = store::lock(paths)?;
    // Removed, or made anew, meanwhile.
    let now = store::by_name(paths, &network.name)?;
    if now.is_none_or(|now| now.id != network.id) {
        return Err(Error::not_found(format!("network {wanted} not found")));
    }
    let active = active(engine, &network)?;
    if active.is_empty() {
        return store::remove(paths, &network);
    }
    let list: Vec<String> = active
        .iter()
        .map(|(id, name)| format!("name:\"{name}\" id:\"{}\"", crate::text::id::short(id)))
        .collect();
    Err(Error::conflict(format!(
        "error while removing network: network {} id {} has active endpoints ({})",
        network.name,
        network.id,
        list.join(", ")
    ))
    .hint(format!(
        "`wherry network disconnect {} {}` takes it out, or stop it",
        network.name, active[0].1
    )))
}

/// ID and name of those that run in it, or are just starting.
fn active(engine: &Engine, network: &Network) -> Result<Vec<(String, String)>> {
    let members = members::of(&engine.paths, &network.name)?;
    let is_active = |m: &Member| m.runs || members::uses(&engine.paths, &m.id);
    Ok(members
        .into_iter()
        .filter(is_active)
        .map(|m| (m.id, m.name))
        .collect())
}

/// Removes the networks that nobody uses; gives their names.
pub fn prune(engine: &Engine, filters: &Filters) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    for network in store::written(&engine.paths)? {
        if network.is_predefined() || !filters.passes(&network.labels, &network.created) {
            continue;
        }
        match remove(engine, &network.id) {
            Ok(()) => gone.push(network.name),
            // In use, or removed by somebody else.
            Err(e) if matches!(e.kind(), Kind::Conflict | Kind::NotFound) => {}
            Err(e) => return Err(e),
        }
    }
    gone.sort();
    Ok(gone)
}

/// Which networks `ls` shows.
#[derive(Debug, Default)]
pub struct Wanted(Vec<(String, String)>);

impl Wanted {
    /// Checks keys and values.
    pub fn parse(list: Vec<(String, String)>) -> Result<Self> {
        for (key, value) in &list {
            let bad = || Error::invalid(format!("invalid filter: '{key}'='{value}'"));
            match key.as_str() {
                "driver" | "scope" | "id" | "name" | "label" => {}
                "type" if matches!(value.as_str(), "builtin" | "custom") => {}
                "dangling" if matches!(value.as_str(), "true" | "false" | "1" | "0") => {}
                "type" | "dangling" => return Err(bad()),
                _ => {
                    return Err(Error::invalid(format!("invalid filter '{key}'"))
                        .hint("dangling, driver, id, label, name, scope and type are known"));
                }
            }
        }
        Ok(Self(list))
    }
}

/// The networks asked for, by name.
pub fn list(engine: &Engine, wanted: &Wanted) -> Result<Vec<Network>> {
    let mut found = store::all(&engine.paths)?;
    let used = match wanted.0.iter().any(|(key, _)| key == "dangling") {
        true => members::all(&engine.paths)?,
        false => Vec::new(),
    };
    let passes = |network: &Network, key: &str, value: &str| match key {
        "driver" => network.driver == value,
        "scope" => network.scope == value,
        "id" => network.id.contains(value),
        "name" => network.name.contains(value),
        "type" => network.is_predefined() == (value == "builtin"),
        "dangling" => {
            let in_use = used
                .iter()
                .any(|m| m.runs && m.endpoint.network == network.name);
            let dangling = !network.is_predefined() && !in_use;
            dangling == matches!(value, "true" | "1")
        }
        _ => match value.split_once('=') {
            Some((key, value)) => network.labels.get(key).is_some_and(|v| v == value),
            None => network.labels.contains_key(value),
        },
    };
    found.retain(|network| {
        wanted.0.iter().all(|(key, value)| {
            let same = wanted.0.iter().filter(|(other, _)| other == key);
            match key.as_str() {
                "label" => passes(network, key, value),
                _ => same.clone().any(|(key, value)| passes(network, key, value)),
            }
        })
    });
    Ok(found)
}

/// A network as `inspect` shows it: Docker's document.
pub fn inspect(engine: &Engine, wanted: &str) -> Result<Value> {
    let network = store::find(&engine.paths, wanted)?;
    let mut containers = Map::new();
    let mut members = members::of(&engine.paths, &network.name)?;
    members.sort_by(|a, b| a.id.cmp(&b.id));
    for member in members {
        let Some(given) = member.given() else {
            continue;
        };
        let address = |four| {
            given
                .address(four)
                .map_or(String::new(), |net| net.to_string())
        };
        let entry = json!({
            "Name": member.name,
            "EndpointID": given.id,
            "MacAddress": given.mac,
            "IPv4Address": address(true),
            "IPv6Address": address(false),
        });
        containers.insert(member.id.clone(), entry);
    }
    let pools: Vec<Value> = network
        .pools()
        .iter()
        .map(|pool| {
            let mut all = Map::new();
            all.insert("Subnet".into(), pool.subnet.to_string().into());
            if let Some(range) = pool.ip_range {
                all.insert("IPRange".into(), range.to_string().into());
            }
            if let Some(gateway) = pool.gateway {
                all.insert("Gateway".into(), gateway.to_string().into());
            }
            if !pool.auxiliary.is_empty() {
                all.insert("AuxiliaryAddresses".into(), json!(pool.auxiliary));
            }
            Value::Object(all)
        })
        .collect();
    let options = match network.is_predefined() && network.ipam.options.is_empty() {
        true => Value::Null,
        false => json!(network.ipam.options),
    };
    Ok(json!({
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": network.scope,
        "Driver": network.driver,
        "EnableIPv4": network.enable_ipv4,
        "EnableIPv6": network.enable_ipv6,
        "IPAM": {"Driver": "default", "Options": options, "Config": pools},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": false,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": false,
        "Containers": containers,
        "Options": network.options,
        "Labels": network.labels,
    }))
}
