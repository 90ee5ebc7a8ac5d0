//! Commands about wherry itself.

pub mod df;
pub mod doctor;
pub mod info;
pub mod prune;
pub mod version;
