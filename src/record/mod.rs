//! What is kept on disk, as types: Docker's own names, so that `inspect` needs
//! no second shape; and the directories that hold it.

pub mod container;
pub mod containers;
pub mod endpoint;
pub mod health;
pub mod mount;
pub mod names;
