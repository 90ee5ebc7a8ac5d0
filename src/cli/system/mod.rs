//! Commands about wherry itself.

pub mod df;
pub mod version;
