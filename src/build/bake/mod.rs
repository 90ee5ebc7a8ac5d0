//! Files of several builds (`docker-bake.hcl`, `docker-bake.json`): Docker's Bake
//! file reference. They are read in passes of pure functions: blocks and
//! expressions (`read`), values (`evaluate`), targets with what they inherit
//! (`target`), and those that are asked for, in the order in which they need each
//! other (`choose`).

mod choose;
mod evaluate;
mod functions;
mod read;
mod target;

#[cfg(test)]
mod tests;

pub use choose::{Chosen, Override, choose};
pub use evaluate::{Variable, evaluate};
pub use read::{File, read};
pub use target::{Field, Target};

use std::collections::BTreeMap;

/// What files say together; later ones add to earlier ones.
#[derive(Debug, Clone, Default)]
pub struct Definition {
    pub groups: BTreeMap<String, Group>,
    pub targets: BTreeMap<String, Target>,
    pub variables: Vec<Variable>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Names of targets and groups.
    pub members: Vec<String>,
    pub description: String,
}
