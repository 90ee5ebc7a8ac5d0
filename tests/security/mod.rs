//! Isolation: what a container's process may not do. Tests name the row of the
//! project's security table, or the CVE, that they are about.

mod bpf;
mod cage;
mod docker_profile;
mod entering;
mod golden;
mod hostile;
mod kernel;
mod outside;
mod races;
#[cfg(target_arch = "x86_64")]
mod seccomp_libseccomp;
#[cfg(target_arch = "x86_64")]
mod syscall_table;
mod users;
