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

/// `--device-cgroup-rule` is about the filter that only root's containers have.
pub fn check_rules(host: &HostConfig) -> Result<()> {
    let given = host.device_cgroup_rules.iter().flatten().next();
    if given.is_none() || nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::unsupported(
        "--device-cgroup-rule is not supported without root: the kernel lets no device node be made in a user namespace",
    )
    .hint("--device gives a container a device that you may use yourself"))
}

/// `TYPE MAJOR:MINOR ACCESS`, checked when it was taken; `a` is both types.
fn from_text(text: &str) -> Vec<Rule> {
    let mut words = text.split(' ');
    let kinds = match words.next() {
        Some("b") => &[DeviceKind::Block][..],
        Some("c") => &[DeviceKind::Character],
        _ => &[DeviceKind::Block, DeviceKind::Character],
    };
    let numbers = words.next().and_then(|w| w.split_once(':'));
    let access = words.next().unwrap_or_default();
    let (major, minor) = numbers.unwrap_or_default();
    kinds
        .iter()
        .map(|&kind| Rule {
            kind,
            major: major.parse().ok(),
            minor: minor.parse().ok(),
            access: access_bits(access),
        })
        .collect()
}

fn access_bits(letters: &str) -> u32 {
    [('r', READ), ('w', WRITE), ('m', MKNOD)]
        .into_iter()
        .filter(|(letter, _)| letters.contains(*letter))
        .fold(0, |all, (_, bit)| all | bit)
}

/// The devices of the container's cgroup beyond the default ones.
pub fn rules(host: &HostConfig) -> Result<Vec<Rule>> {
    let given = host.device_cgroup_rules.iter().flatten();
    let more = given.flat_map(|text| from_text(text)).map(Ok);
    host.devices
        .iter()
        .map(|mapping| {
            let device = find(mapping)?;
            Ok(Rule {
                kind: if device.kind == libc::S_IFBLK {
                    DeviceKind::Block
                } else {
                    DeviceKind::Character
                },
                major: Some(libc::major(device.number)),
                minor: Some(libc::minor(device.number)),
                access: access_bits(&mapping.cgroup_permissions),
            })
        })
        .chain(more)
        .collect()
}
