//! `--sysctl`: only keys that the kernel keeps per namespace
//! (CVE-2022-0811), as runc and Docker allow them.

use super::c_string;
use super::namespaces::{Namespaces, Whose};
use crate::error::{Error, Result};
use crate::record::container::HostConfig;
use std::ffi::CString;

const IPC: [&str; 8] = [
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// Paths below procfs and their content; ours first, so that the user's win.
pub fn plan(
    host: &HostConfig,
    namespaces: &Namespaces,
    max_gid: u32,
) -> Result<Vec<(CString, Vec<u8>)>> {
    let mut all = Vec::new();
    if namespaces.network == Whose::Own {
        let mut add = |path: &str, value: String| -> Result<()> {
            all.push((c_string(path)?, value.into_bytes()));
            Ok(())
        };
        add("sys/net/ipv4/ip_unprivileged_port_start", "0".into())?;
        add("sys/net/ipv4/ping_group_range", format!("0 {max_gid}"))?;
    }
    for (key, value) in &host.sysctls {
        check(key, value, namespaces)?;
        all.push((
            c_string(&format!("sys/{}", key.replace('.', "/")))?,
            value.clone().into_bytes(),
        ));
    }
    Ok(all)
}

/// Refuses keys of the whole host, and text that could name another file.
pub fn check(key: &str, value: &str, namespaces: &Namespaces) -> Result<()> {
    let clean = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let plain = key.chars().all(clean) && !key.contains("..") && !key.ends_with('.');
    if !plain || value.contains(['\n', '\0']) {
        return Err(Error::invalid(format!(
            "sysctl '{}' is not valid",
            key.escape_default()
        )));
    }
    if key.starts_with("net.") {
        return match namespaces.network {
            Whose::Own => Ok(()),
            _ => Err(not_with(key, "network")),
        };
    }
    if IPC.contains(&key) || key.starts_with("fs.mqueue.") {
        return match namespaces.ipc {
            Whose::Own => Ok(()),
            _ => Err(not_with(key, "ipc")),
        };
    }
    Err(Error::invalid(format!("sysctl '{key}' is not allowed"))
        .hint("only net.*, fs.mqueue.* and the kernel.shm*, kernel.msg*, kernel.sem keys belong to a container"))
}

/// It would be changed for others.
fn not_with(key: &str, option: &str) -> Error {
    Error::invalid(format!(
        "sysctl '{key}' is not allowed with a --{option} that is not the container's own"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(network: &str, ipc: &str) -> Namespaces {
        Namespaces::of(&HostConfig {
            network_mode: network.into(),
            ipc_mode: ipc.into(),
            ..HostConfig::default()
        })
        .unwrap()
    }

    #[test]
    fn only_keys_of_a_namespace() {
        for good in [
            "net.ipv4.ip_forward",
            "kernel.shmmax",
            "fs.mqueue.msg_max",
            "net.core.somaxconn",
        ] {
            assert!(
                check(good, "1", &with("bridge", "private")).is_ok(),
                "{good}"
            );
        }
        for bad in [
            "kernel.core_pattern",
            "net/../kernel/core_pattern",
            "net.ipv4/../../kernel.core_pattern",
            "net..kernel",
            "net.",
            "vm.swappiness",
            "kernel.shmmax\n",
            "",
            "kernel/core_pattern",
        ] {
            assert!(
                check(bad, "1", &with("none", "shareable")).is_err(),
                "{bad}"
            );
        }
        assert!(check("kernel.shmmax", "1\n2", &with("none", "none")).is_err());
        for mode in ["host", "container:x"] {
            assert!(check("net.ipv4.ip_forward", "1", &with(mode, "private")).is_err());
            assert!(check("kernel.shmmax", "1", &with("none", mode)).is_err());
            assert!(check("fs.mqueue.msg_max", "1", &with("none", mode)).is_err());
        }
    }
}
