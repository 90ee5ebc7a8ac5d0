//! Starting one process in a container: the plan is built and checked
//! beforehand, the child carries it out between clone and exec, and what it
//! has to say goes through one protocol (`sync`).

pub mod beside;
pub mod child;
pub mod explain;
pub mod fuse;
pub mod init_layer;
pub mod member;
pub mod offline;
pub mod outside;
pub mod overlay;
pub mod plan;
pub mod seccomp;
pub mod shift;
pub mod streams;
pub mod sync;
pub mod users;
