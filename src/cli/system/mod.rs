//! Commands about wherry itself.

pub mod version;
