//! A file system tree in memory, to be written as a layer or a directory.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

#[derive(Debug, Clone)]
pub enum Kind {
    Dir,
    File(Vec<u8>),
    Symlink(String),
    /// Of an entry that comes before.
    Hard(String),
    Fifo,
    Char(u32, u32),
    Block(u32, u32),
}

#[derive(Debug, Clone)]
pub struct Entry {
    /// Relative to the root, without a leading slash.
    pub path: String,
    pub kind: Kind,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: u64,
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// Entries in the order in which they are written.
#[derive(Debug, Clone, Default)]
pub struct Tree(pub Vec<Entry>);

impl Tree {
    /// What a small image has: busybox with its applets, users, and the usual
    /// directories. Fails with advice when there is no static busybox.
    pub fn busybox() -> Self {
        let binary = std::fs::read("/bin/busybox")
            .expect("/bin/busybox is there (Debian: apt-get install busybox-static)");
        let interpreter = b"/ld-linux";
        assert!(
            !binary[..4096]
                .windows(interpreter.len())
                .any(|w| w == interpreter),
            "/bin/busybox is not static; install busybox-static instead of busybox"
        );
        let list = std::process::Command::new("/bin/busybox")
            .arg("--list")
            .output()
            .unwrap();
        let mut tree = Self::default();
        for (dir, mode) in [
            ("bin", 0o755),
            ("dev", 0o755),
            ("etc", 0o755),
            ("home", 0o755),
            ("proc", 0o755),
            ("root", 0o700),
            ("sys", 0o755),
            ("tmp", 0o1777),
            ("usr", 0o755),
            ("usr/bin", 0o755),
            ("var", 0o755),
            ("var/www", 0o755),
        ] {
            tree.dir(dir, mode);
        }
        tree.file("bin/busybox", binary, 0o755);
        for applet in String::from_utf8(list.stdout).unwrap().lines() {
            if applet != "busybox" {
                // Docker gives a file the mode that its last link has.
                tree.hard(&format!("bin/{applet}"), "bin/busybox").mode = 0o755;
            }
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/var/www:/bin/false\n\
                      alice:x:1000:1000:Alice:/home:/bin/sh\n";
        tree.file("etc/passwd", passwd, 0o644);
        tree.file(
            "etc/group",
            "root:x:0:\nwww:x:33:\nalice:x:1000:\nwheel:x:10:alice\n",
            0o644,
        );
        tree
    }

    pub fn add(&mut self, path: &str, kind: Kind, mode: u32) -> &mut Entry {
        self.0.push(Entry {
            path: path.into(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            mtime: 1_700_000_000,
            xattrs: Vec::new(),
        });
        self.0.last_mut().expect("just added")
    }

    pub fn dir(&mut self, path: &str, mode: u32) -> &mut Entry {
        self.add(path, Kind::Dir, mode)
    }

    pub fn file(&mut self, path: &str, bytes: impl Into<Vec<u8>>, mode: u32) -> &mut Entry {
        self.add(path, Kind::File(bytes.into()), mode)
    }

    pub fn symlink(&mut self, path: &str, target: &str) -> &mut Entry {
        self.add(path, Kind::Symlink(target.into()), 0o777)
    }

    pub fn hard(&mut self, path: &str, target: &str) -> &mut Entry {
        self.add(path, Kind::Hard(target.into()), 0o644)
    }

    /// Takes away an entry and what is below it.
    pub fn remove(&mut self, path: &str) -> &mut Self {
        let below = format!("{path}/");
        self.0
            .retain(|entry| entry.path != path && !entry.path.starts_with(&below));
        self
    }

    /// As an uncompressed layer.
    pub fn tar(&self) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for entry in &self.0 {
            let xattrs: Vec<_> = entry
                .xattrs
                .iter()
                .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value))
                .collect();
            let pax = xattrs
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_slice()));
            if !xattrs.is_empty() {
                tar.append_pax_extensions(pax).unwrap();
            }
            entry.append_to(&mut tar);
        }
        tar.into_inner().unwrap()
    }

    /// As a directory for `--rootfs`. Owners are the caller's; device nodes
    /// are made by root only, others leave them out.
    pub fn write_to(&self, dir: &Path) {
        for entry in &self.0 {
            entry.write_below(dir);
        }
        // Last and from below, so that a closed directory hinders nothing.
        let mut dirs: Vec<_> = self
            .0
            .iter()
            .filter(|entry| matches!(entry.kind, Kind::Dir))
            .collect();
        dirs.sort_by_key(|entry| std::cmp::Reverse(Path::new(&entry.path).components().count()));
        for entry in dirs {
            let path = dir.join(entry.path.trim_start_matches("./"));
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(entry.mode)).unwrap();
        }
    }
}

impl Entry {
    pub fn owner(&mut self, uid: u64, gid: u64) -> &mut Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    pub fn xattr(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.xattrs.push((name.into(), value.into()));
        self
    }

    fn append_to(&self, tar: &mut tar::Builder<Vec<u8>>) {
        use tar::EntryType as T;
        let mut header = tar::Header::new_gnu();
        header.set_mode(self.mode);
        header.set_uid(self.uid);
        header.set_gid(self.gid);
        header.set_mtime(self.mtime);
        header.set_size(0);
        let mut data: &[u8] = &[];
        match &self.kind {
            Kind::Dir => header.set_entry_type(T::Directory),
            Kind::File(bytes) => {
                data = bytes;
                header.set_entry_type(T::Regular);
                header.set_size(bytes.len() as u64);
            }
            Kind::Symlink(target) => {
                header.set_entry_type(T::Symlink);
                tar.append_link(&mut header, &self.path, target).unwrap();
                return;
            }
            Kind::Hard(target) => {
                header.set_entry_type(T::Link);
                tar.append_link(&mut header, &self.path, target).unwrap();
                return;
            }
            Kind::Fifo => header.set_entry_type(T::Fifo),
            Kind::Char(major, minor) | Kind::Block(major, minor) => {
                let block = matches!(self.kind, Kind::Block(..));
                header.set_entry_type(if block { T::Block } else { T::Char });
                header.set_device_major(*major).unwrap();
                header.set_device_minor(*minor).unwrap();
            }
        }
        if self.path.split('/').any(|part| part == "..") {
            // The crate refuses such a name; a hostile archive has it.
            header.as_gnu_mut().unwrap().name[..self.path.len()]
                .copy_from_slice(self.path.as_bytes());
            header.set_cksum();
            tar.append(&header, data).unwrap();
            return;
        }
        tar.append_data(&mut header, &self.path, data).unwrap();
    }

    fn write_below(&self, dir: &Path) {
        let path = dir.join(&self.path);
        let shown = |e: &dyn std::fmt::Display| panic!("cannot make {}: {e}", path.display());
        let done = match &self.kind {
            Kind::Dir => std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(&path),
            Kind::File(bytes) => std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(self.mode)
                .open(&path)
                .and_then(|mut file| {
                    file.write_all(bytes)?;
                    file.set_permissions(std::fs::Permissions::from_mode(self.mode))
                }),
            Kind::Symlink(target) => std::os::unix::fs::symlink(target, &path),
            Kind::Hard(target) => std::fs::hard_link(dir.join(target), &path),
            Kind::Fifo => {
                nix::unistd::mkfifo(&path, mode_of(self.mode)).map_err(std::io::Error::from)
            }
            Kind::Char(major, minor) | Kind::Block(major, minor) => {
                use nix::sys::stat::{SFlag, makedev, mknod};
                let block = matches!(self.kind, Kind::Block(..));
                let kind = if block {
                    SFlag::S_IFBLK
                } else {
                    SFlag::S_IFCHR
                };
                let device = makedev(u64::from(*major), u64::from(*minor));
                match mknod(&path, kind, mode_of(self.mode), device) {
                    Err(nix::errno::Errno::EPERM) if !super::user::is_root() => Ok(()),
                    result => result.map_err(std::io::Error::from),
                }
            }
        };
        done.unwrap_or_else(|e| shown(&e));
    }
}

fn mode_of(mode: u32) -> nix::sys::stat::Mode {
    nix::sys::stat::Mode::from_bits_truncate(mode)
}
