//! Seccomp: which system calls a container may make. Turns a profile (Docker's
//! default, or JSON of the user) and a bounding set into a BPF program; loading
//! it is `sys::seccomp`. Neither runs anything nor reads the environment.

mod abi;
mod builtin;
mod compile;
mod custom;
mod table;

use crate::error::{Error, Result};
use crate::sys::caps::CapSet;
use compile::Plan;
use libc::sock_filter;

pub use custom::Document;

/// What `--security-opt seccomp=…` says.
#[derive(Debug, Clone, Default)]
pub enum Profile {
    /// Docker's default profile.
    #[default]
    Builtin,
    /// No filter.
    Unconfined,
    Custom(Box<Document>),
}

/// A program ready for `sys::seccomp::load`.
pub struct Filter {
    pub program: Vec<sock_filter>,
    /// SECCOMP_FILTER_FLAG_… bits.
    pub flags: u64,
}

/// BPF_MAXINSNS of linux/bpf_common.h.
const MAX_INSTRUCTIONS: usize = 4096;

impl Profile {
    /// Reads the value of `seccomp=` as typed: `unconfined`, `builtin`, or the
    /// path of a JSON file. The answer is what a container's record keeps, and
    /// what [`Profile::parse`] takes.
    pub fn read(value: &str) -> Result<String> {
        match value {
            "unconfined" | "builtin" => Ok(value.into()),
            path => custom::read(path),
        }
    }

    /// From a container's record: `unconfined`, `builtin`, or JSON.
    pub fn parse(recorded: &str) -> Result<Self> {
        match recorded {
            "unconfined" => Ok(Self::Unconfined),
            "builtin" => Ok(Self::Builtin),
            json => Ok(match custom::parse(json)? {
                Some(document) => Self::Custom(Box::new(document)),
                None => Self::Unconfined,
            }),
        }
    }
}

/// The filter of a profile for a container with this bounding set; `None` when
/// there is nothing to load.
pub fn filter(profile: &Profile, bounding: CapSet) -> Result<Option<Filter>> {
    let filter = match profile {
        Profile::Unconfined => return Ok(None),
        Profile::Builtin => builtin_filter(bounding),
        Profile::Custom(document) => document.filter(bounding)?,
    };
    if filter.program.len() > MAX_INSTRUCTIONS {
        return Err(Error::invalid(format!(
            "seccomp profile: too many rules: {} instructions, the kernel takes {MAX_INSTRUCTIONS}",
            filter.program.len()
        )));
    }
    Ok(Some(filter))
}

fn builtin_filter(bounding: CapSet) -> Filter {
    let (outcomes, tests) = builtin::profile(bounding);
    let abis: [_; abi::ABIS.len()] = std::array::from_fn(|n| &abi::ABIS[n]);
    let plan = Plan {
        outcomes: &outcomes,
        tests: &tests,
        default: builtin::DEFAULT,
        abis: &abis,
    };
    Filter {
        program: plan.compile(),
        flags: libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
    }
}

#[cfg(test)]
mod tests;
