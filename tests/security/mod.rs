//! Isolation: what a container's process may not do.

mod bpf;
mod docker_profile;
#[cfg(target_arch = "x86_64")]
mod seccomp_libseccomp;
#[cfg(target_arch = "x86_64")]
mod syscall_table;
