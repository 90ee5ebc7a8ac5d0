//! The `local` driver: a directory below the data root, or with options
//! something that is mounted in its place (moby, volume/local/local_linux.go).

use super::Volume;
use crate::error::{Error, Result};
use crate::text::size;
use std::collections::BTreeMap;

pub const LOCAL: &str = "local";

/// What is mounted as the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// `_data`.
    Directory,
    /// `type=none o=bind`: a directory or file of the host.
    Bind {
        source: String,
        recursive: bool,
        flags: Vec<String>,
    },
    /// A file system that is mounted for as long as a container has it.
    Mounted {
        fstype: String,
        device: String,
        /// Those of the mount (`ro`, `nosuid`, …).
        flags: Vec<String>,
        /// The file system's own, with or without a value.
        options: Vec<(String, Option<String>)>,
    },
}

/// mount(8)'s options that are no file system's.
const FLAGS: [&str; 18] = [
    "ro",
    "rw",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "atime",
    "noatime",
    "diratime",
    "nodiratime",
    "relatime",
    "norelatime",
    "strictatime",
    "nostrictatime",
    "async",
    "defaults",
];

/// Refuses drivers that there are not and options that make no sense, in
/// Docker's words; and file systems that only root mounts, of others.
pub fn check(name: &str, driver: &str, options: &BTreeMap<String, String>) -> Result<()> {
    if !matches!(driver, "" | LOCAL) {
        return Err(Error::not_found(format!(
            "create {name}: error looking up volume plugin {driver}: plugin \"{driver}\" not found"
        ))
        .hint("there are no plugins; the driver is called local"));
    }
    let invalid = |why: String| Err(Error::invalid(format!("create {name}: {why}")));
    let known = ["type", "o", "device", "size"];
    if let Some(unknown) = options.keys().find(|key| !known.contains(&key.as_str())) {
        return invalid(format!("invalid option: \"{unknown}\""));
    }
    if let Some(text) = options.get("size") {
        match size::parse(text) {
            Err(e) => return invalid(e.message().to_string()),
            Ok(bytes) if bytes > 0 => {
                return invalid("quota size requested but no quota support".into())
                    .map_err(|e: Error| e.hint("a tmpfs has a size: --opt type=tmpfs --opt device=tmpfs --opt o=size=100m"));
            }
            Ok(_) => {}
        }
    }
    for (option, needs) in [
        ("device", &["type"][..]),
        ("o", &["device", "type"]),
        ("type", &["device"]),
    ] {
        let lacking = needs.iter().find(|need| !options.contains_key(**need));
        if let (true, Some(need)) = (options.contains_key(option), lacking) {
            return invalid(format!("missing required option: \"{need}\""));
        }
    }
    backing_of(name, options).map(drop)
}

/// What is mounted as this volume.
pub fn backing(volume: &Volume) -> Result<Backing> {
    match &volume.options {
        None => Ok(Backing::Directory),
        Some(options) => backing_of(&volume.name, options),
    }
}

fn backing_of(name: &str, options: &BTreeMap<String, String>) -> Result<Backing> {
    let (Some(fstype), Some(device)) = (options.get("type"), options.get("device")) else {
        return Ok(Backing::Directory);
    };
    let words: Vec<&str> = options
        .get("o")
        .map(String::as_str)
        .unwrap_or_default()
        .split(',')
        .filter(|word| !word.is_empty())
        .collect();
    let (flags, own): (Vec<&str>, Vec<&str>) =
        words.into_iter().partition(|word| FLAGS.contains(word));
    let flags = flags.into_iter().map(str::to_string).collect();
    if own.contains(&"bind") || own.contains(&"rbind") {
        if !device.starts_with('/') {
            return Err(Error::invalid(format!(
                "volume {name}: device \"{device}\" is no absolute path"
            )));
        }
        if let Some(other) = own.iter().find(|word| !matches!(**word, "bind" | "rbind")) {
            return Err(Error::unsupported(format!(
                "volume {name}: a bind has no option \"{other}\""
            )));
        }
        return Ok(Backing::Bind {
            source: device.clone(),
            recursive: own.contains(&"rbind"),
            flags,
        });
    }
    if matches!(fstype.as_str(), "none" | "bind") {
        return Err(Error::invalid(format!(
            "volume {name}: type {fstype} needs the option o=bind"
        )));
    }
    if fstype != "tmpfs" && !nix::unistd::geteuid().is_root() {
        return Err(Error::unsupported(format!(
            "volume {name}: only root can mount a file system of type {fstype}"
        ))
        .hint("mount it outside (fstab, a systemd mount unit) and use --opt type=none --opt o=bind --opt device=/PATH"));
    }
    Ok(Backing::Mounted {
        fstype: fstype.clone(),
        device: device.clone(),
        flags,
        options: own
            .into_iter()
            .map(|word| match word.split_once('=') {
                Some((key, value)) => (key.to_string(), Some(value.to_string())),
                None => (word.to_string(), None),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn what_docker_refuses() {
        for (list, want) in [
            (&[("foo", "1")][..], "create v: invalid option: \"foo\""),
            (
                &[("device", "/x")],
                "create v: missing required option: \"type\"",
            ),
            (
                &[("type", "tmpfs")],
                "create v: missing required option: \"device\"",
            ),
            (
                &[("o", "ro"), ("type", "none")],
                "create v: missing required option: \"device\"",
            ),
            (
                &[("size", "1g")],
                "create v: quota size requested but no quota support",
            ),
            (
                &[("type", "none"), ("device", "x"), ("o", "bind")],
                "volume v: device \"x\" is no absolute path",
            ),
        ] {
            let error = check("v", "", &options(list)).unwrap_err();
            assert_eq!(error.message(), want);
        }
        assert_eq!(
            check("v", "nfs", &options(&[])).unwrap_err().message(),
            "create v: error looking up volume plugin nfs: plugin \"nfs\" not found"
        );
        check("v", "local", &options(&[("size", "0")])).unwrap();
    }

    #[test]
    fn what_is_mounted() {
        let of = |list: &[(&str, &str)]| backing_of("v", &options(list)).unwrap();
        assert_eq!(of(&[]), Backing::Directory);
        assert_eq!(
            of(&[("type", "none"), ("device", "/srv"), ("o", "rbind,ro")]),
            Backing::Bind {
                source: "/srv".into(),
                recursive: true,
                flags: vec!["ro".into()],
            }
        );
        assert_eq!(
            of(&[
                ("type", "tmpfs"),
                ("device", "tmpfs"),
                ("o", "size=1m,noexec,uid=5,huge")
            ]),
            Backing::Mounted {
                fstype: "tmpfs".into(),
                device: "tmpfs".into(),
                flags: vec!["noexec".into()],
                options: vec![
                    ("size".into(), Some("1m".into())),
                    ("uid".into(), Some("5".into())),
                    ("huge".into(), None),
                ],
            }
        );
        let nfs = options(&[("type", "nfs"), ("device", ":/x"), ("o", "addr=1.2.3.4")]);
        if !nix::unistd::geteuid().is_root() {
            let error = backing_of("v", &nfs).unwrap_err();
            assert!(error.message().contains("only root"), "{error}");
        }
    }
}
