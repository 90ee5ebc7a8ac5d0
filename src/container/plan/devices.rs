//! `--device`: the host's node, and what may be done with it.

use crate::cgroup::devices::{Kind as DeviceKind, MKNOD, READ, Rule, WRITE};
use crate::error::{Error, Kind, Result, reason};
use crate::record::container::{DeviceMapping, HostConfig};
use std::os::unix::fs::MetadataExt;

/// A device node of the host.
pub struct Device {
    /// S_IFCHR or S_IFBLK.
    pub kind: libc::mode_t,
    pub permissions: libc::mode_t,
    pub number: libc::dev_t,
}

/// Looks at the host's node.
pub fn find(mapping: &DeviceMapping) -> Result<Device> {
    let path = &mapping.path_on_host;
    // Docker ends with 127 when it is missing, and scripts may look at that.
    let meta = std::fs::metadata(path).map_err(|e| {
        Error::new(
            Kind::NoSuchCommand,
            format!(
                "error gathering device information while adding custom device \"{path}\": {}",
                reason(&e)
            ),
        )
    })?;
    let kind = meta.mode() & libc::S_IFMT;
    if kind != libc::S_IFCHR && kind != libc::S_IFBLK {
        return Err(Error::invalid(format!("\"{path}\" is not a device node")));
    }
    Ok(Device {
        kind,
        permissions: meta.mode() & 0o777,
        number: meta.rdev(),
    })
}

/// The devices of the container's cgroup beyond the default ones.
pub fn rules(host: &HostConfig) -> Result<Vec<Rule>> {
    host.devices
        .iter()
        .map(|mapping| {
            let device = find(mapping)?;
            let bit = |c: char, access: u32| {
                if mapping.cgroup_permissions.contains(c) {
                    access
                } else {
                    0
                }
            };
            Ok(Rule {
                kind: if device.kind == libc::S_IFBLK {
                    DeviceKind::Block
                } else {
                    DeviceKind::Character
                },
                major: libc::major(device.number),
                minor: Some(libc::minor(device.number)),
                access: bit('r', READ) | bit('w', WRITE) | bit('m', MKNOD),
            })
        })
        .collect()
}
