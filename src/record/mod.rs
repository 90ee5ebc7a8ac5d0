//! What is kept on disk, as types: Docker's own names, so that `inspect` needs
//! no second shape.

pub mod container;
