//! Networks of the driver macvlan: a container's interface is a part of one of
//! the host's, with a hardware address of its own, and its neighbours are the
//! host's. For root: the host's interfaces are nobody else's.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Driver options, as Docker has them.
const PARENT: &str = "parent";
const MODE: &str = "macvlan_mode";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lan {
    /// Name of the host's interface.
    pub parent: String,
    pub mode: Mode,
}

/// How the containers of one parent reach each other (`ip-link(8)`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    #[default]
    Bridge,
    Private,
    Vepa,
    Passthru,
}

impl Mode {
    /// The kernel's (`enum macvlan_mode`, linux/if_link.h).
    pub fn number(self) -> u32 {
        match self {
            Self::Private => 1,
            Self::Vepa => 2,
            Self::Bridge => 4,
            Self::Passthru => 8,
        }
    }
}

impl Lan {
    /// What a network's options say.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let parent = options.get(PARENT).filter(|name| !name.is_empty());
        let parent = parent.cloned().ok_or_else(|| {
            Error::invalid("a macvlan network needs an interface of the host's")
                .hint("`-o parent=eth0` names it")
        })?;
        let mode = match options.get(MODE).map_or("", String::as_str) {
            "" | "bridge" => Mode::Bridge,
            "private" => Mode::Private,
            "vepa" => Mode::Vepa,
            "passthru" => Mode::Passthru,
            other => {
                return Err(Error::invalid(format!(
                    "requested macvlan mode '{other}' is not valid, 'bridge' mode is the macvlan driver default"
                ))
                .hint("the modes are bridge, private, vepa and passthru"));
            }
        };
        Ok(Self { parent, mode })
    }

    /// Refuses what could not be used here and now.
    pub fn check(&self) -> Result<()> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Error::unsupported(format!(
                "the driver macvlan is for root: the interface {} is the host's",
                self.parent
            ))
            .hint("the driver bridge gives containers a network of their own; -p publishes ports on the host's addresses"));
        }
        match nix::net::if_::if_nametoindex(self.parent.as_str()) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::invalid(format!(
                "invalid parent interface {}: the host has none of that name",
                self.parent
            ))
            .hint("`ip link` shows the host's interfaces")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<Lan> {
        let options = options.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        Lan::parse(&options.collect())
    }

    #[test]
    fn options() {
        let lan = parse(&[("parent", "eth0")]).unwrap();
        assert_eq!((lan.parent.as_str(), lan.mode.number()), ("eth0", 4));
        let lan = parse(&[("parent", "eth0"), ("macvlan_mode", "vepa")]).unwrap();
        assert_eq!(lan.mode.number(), 2);
        for bad in [
            &[][..],
            &[("parent", "")],
            &[("parent", "eth0"), ("macvlan_mode", "x")],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
