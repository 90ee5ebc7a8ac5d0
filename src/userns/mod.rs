//! The user's namespace U: 0 is the caller, 1… are his subordinate ids. Made
//! by the first command that needs it, joined through any living monitor by
//! later ones, gone with the last: nothing holds it open on purpose.

pub mod below;
pub mod enter;
pub mod layout;
pub mod map;
pub mod monitors;
pub mod subid;
pub mod task;
