//! Commands about wherry itself.

pub mod df;
pub mod doctor;
pub mod version;
