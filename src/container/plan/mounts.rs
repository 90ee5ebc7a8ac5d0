//! The list of mounts: the engine's own first, then the user's, parents before
//! children. Docker's defaults (moby, oci/defaults_linux.go) as data.

use super::namespaces::{Namespaces, Whose};
use super::security::Security;
use super::{c_path, c_string, devices, wanted};
use crate::error::Result;
use crate::paths::Paths;
use crate::record::container::Container;
use crate::runtime::plan::{Mount, Source, Step};
use crate::sys::mount::{ATTR_NODEV, ATTR_NOEXEC, ATTR_NOSUID, ATTR_RDONLY, ATTR_STRICTATIME};
use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Device nodes of every container.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 6] = [
    ("dev/ptmx", "pts/ptmx"),
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
    ("dev/core", "/proc/kcore"),
];

/// The group that owns terminals.
const TTY_GROUP: u32 = 5;

pub struct Tree<'a> {
    pub paths: &'a Paths,
    pub container: &'a Container,
    pub security: &'a Security,
    pub rootless: bool,
    pub single_id: bool,
    pub private_network: bool,
    pub namespaces: &'a Namespaces,
    /// The /dev/shm that goes with another's IPC namespace.
    pub shared_memory: Option<&'a OwnedFd>,
    /// See [`super::Material`].
    pub mounted: &'a HashMap<String, OwnedFd>,
}

impl Tree<'_> {
    /// All steps.
    pub fn steps(&self) -> Result<Vec<Step>> {
        let wanted = wanted::all(self.paths, self.container, self.mounted, self.rootless)?;
        let targets: Vec<String> = wanted.iter().map(|w| w.target.clone()).collect();
        let has = |path: &str| targets.iter().any(|target| target == path);
        let mut steps = vec![Step::Mount(self.proc()?)];
        if !has("/dev") {
            self.devices(&mut steps, &has)?;
        }
        self.sysfs(&mut steps)?;
        if !has("/dev") && !has("/dev/mqueue") {
            steps.push(Step::Mount(self.message_queues()?));
        }
        for name in ["hosts", "hostname", "resolv.conf"] {
            if !has(&format!("/etc/{name}")) {
                steps.push(Step::Mount(self.etc_file(name)?));
            }
        }
        steps.extend(wanted.into_iter().map(|w| Step::Mount(w.mount)));
        if !has("/dev") {
            self.host_devices(&mut steps)?;
        }
        Ok(steps)
    }

    fn devices(&self, steps: &mut Vec<Step>, has: &dyn Fn(&str) -> bool) -> Result<()> {
        let options = [("mode", "755"), ("size", "65536k")];
        steps.push(Step::Mount(new(
            "tmpfs",
            "dev",
            &options,
            ATTR_NOSUID | ATTR_STRICTATIME,
        )?));
        let group = TTY_GROUP.to_string();
        let mut options = vec![("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")];
        // Only a group that the namespace knows can own terminals.
        if !self.single_id {
            options.push(("gid", &group));
        }
        steps.push(Step::Mount(new(
            "devpts",
            "dev/pts",
            &options,
            ATTR_NOSUID | ATTR_NOEXEC,
        )?));
        if !has("/dev/shm") && self.container.host_config.ipc_mode != "none" {
            steps.push(Step::Mount(self.shared_memory()?));
        }
        for (name, major, minor) in DEVICES {
            let path = format!("dev/{name}");
            steps.push(self.device(
                &format!("/{path}"),
                &path,
                libc::makedev(major, minor),
                libc::S_IFCHR,
                0o666,
            )?);
        }
        for (path, target) in LINKS {
            steps.push(Step::Link {
                path: c_string(path)?,
                target: c_string(target)?,
            });
        }
        Ok(())
    }

    /// A new procfs belongs to a process namespace, and only its owner makes
    /// one: of the host's processes the host's is shown.
    fn proc(&self) -> Result<Mount> {
        if self.rootless && self.namespaces.pid == Whose::Host {
            return of_host("proc", NOEXEC);
        }
        new("proc", "proc", &[], NOEXEC)
    }

    fn message_queues(&self) -> Result<Mount> {
        if self.rootless && self.namespaces.ipc == Whose::Host {
            let mut mount = of_host("dev/mqueue", NOEXEC)?;
            mount.optional = true;
            return Ok(mount);
        }
        new("mqueue", "dev/mqueue", &[], NOEXEC)
    }

    fn shared_memory(&self) -> Result<Mount> {
        if self.namespaces.ipc == Whose::Host {
            return of_host("dev/shm", NOEXEC);
        }
        if let Some(mount) = self.shared_memory {
            use crate::error::Context;
            let copy = mount.try_clone().context(|| "cannot use /dev/shm")?;
            return Ok(plain(Source::Detached(copy), c_string("dev/shm")?, 0));
        }
        let size = self.container.host_config.shm_size.to_string();
        let options = [("mode", "1777"), ("size", size.as_str())];
        new("tmpfs", "dev/shm", &options, NOEXEC)
    }

    /// A node where mknod(2) is allowed: then its mode and owner are its own
    /// and not the host's. Else the host's node, mounted.
    fn device(
        &self,
        host: &str,
        path: &str,
        device: libc::dev_t,
        kind: libc::mode_t,
        mode: libc::mode_t,
    ) -> Result<Step> {
        if self.rootless {
            return Ok(Step::Mount(bind(Path::new(host), path, false)?));
        }
        Ok(Step::Node {
            path: c_string(path)?,
            kind,
            permissions: mode,
            device,
        })
    }

    /// `--device`, and with `--privileged` whatever the host has.
    fn host_devices(&self, steps: &mut Vec<Step>) -> Result<()> {
        for device in &self.container.host_config.devices {
            let found = devices::find(device)?;
            let target = wanted::relative(&device.path_in_container)?;
            steps.push(self.device(
                &device.path_on_host,
                &target,
                found.number,
                found.kind,
                found.permissions,
            )?);
        }
        if self.security.privileged {
            self.all_devices(Path::new("/dev"), steps)?;
        }
        Ok(())
    }

    fn all_devices(&self, dir: &Path, steps: &mut Vec<Step>) -> Result<()> {
        let own = ["pts", "shm", "mqueue", "fd", "console", "ptmx"];
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let known = name
                .to_str()
                .is_none_or(|n| own.contains(&n) || DEVICES.iter().any(|d| d.0 == n));
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let path = entry.path();
            if known && dir == Path::new("/dev") {
                continue;
            }
            if kind.is_dir() {
                self.all_devices(&path, steps)?;
            } else if kind.is_char_device() || kind.is_block_device() {
                let mut mount = bind(&path, &wanted::relative(&path.to_string_lossy())?, false)?;
                mount.optional = true;
                steps.push(Step::Mount(mount));
            }
        }
        Ok(())
    }

    /// sysfs belongs to a network namespace; with the host's network the host's
    /// is shown, read-only.
    fn sysfs(&self, steps: &mut Vec<Step>) -> Result<()> {
        let writable = self.security.privileged;
        let read_only = if writable { 0 } else { ATTR_RDONLY };
        if self.private_network || !self.rootless {
            steps.push(Step::Mount(new("sysfs", "sys", &[], NOEXEC | read_only)?));
            let read_only = if self.security.writable_cgroups {
                0
            } else {
                ATTR_RDONLY
            };
            let mut cgroup = match self.namespaces.cgroup {
                // As with procfs, a new one belongs to the namespace.
                Whose::Host => of_host("sys/fs/cgroup", NOEXEC | read_only)?,
                _ => new("cgroup2", "sys/fs/cgroup", &[], NOEXEC | read_only)?,
            };
            // A host without cgroup v2 has no such directory.
            cgroup.optional = true;
            steps.push(Step::Mount(cgroup));
        } else {
            let mut sys = bind(Path::new("/sys"), "sys", true)?;
            sys.attributes = ATTR_RDONLY | NOEXEC;
            sys.recursive = true;
            steps.push(Step::Mount(sys));
        }
        Ok(())
    }

    fn etc_file(&self, name: &str) -> Result<Mount> {
        let path = self.paths.run_container(&self.container.id).join(name);
        let mut mount = bind(&path, &format!("etc/{name}"), false)?;
        if self.container.host_config.readonly_rootfs {
            mount.attributes = ATTR_RDONLY;
        }
        Ok(mount)
    }
}

pub const NOEXEC: u64 = ATTR_NOSUID | ATTR_NODEV | ATTR_NOEXEC;

pub fn new(fstype: &str, target: &str, options: &[(&str, &str)], attributes: u64) -> Result<Mount> {
    let options = options
        .iter()
        .map(|(key, value)| {
            Ok((
                c_string(key)?,
                (!value.is_empty()).then(|| c_string(value)).transpose()?,
            ))
        })
        .collect::<Result<_>>()?;
    let source = Source::New {
        fstype: c_string(fstype)?,
        device: c_string(fstype)?,
        options,
    };
    Ok(plain(source, c_string(target)?, attributes))
}

pub fn plain(source: Source, target: CString, attributes: u64) -> Mount {
    Mount {
        source,
        target,
        attributes,
        propagation: 0,
        recursive: false,
        optional: false,
        follow: false,
    }
}

/// What the host has in the same place.
fn of_host(target: &str, attributes: u64) -> Result<Mount> {
    let mut mount = bind(&Path::new("/").join(target), target, true)?;
    mount.attributes = attributes;
    Ok(mount)
}

pub fn bind(path: &Path, target: &str, recursive: bool) -> Result<Mount> {
    Ok(Mount {
        source: Source::Host {
            path: c_path(path)?,
            subpath: None,
            recursive,
        },
        target: c_string(target)?,
        attributes: 0,
        propagation: libc::MS_PRIVATE,
        recursive,
        optional: false,
        follow: false,
    })
}
