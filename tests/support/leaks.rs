//! The oracle for leaks: what is on the machine before and after. It only
//! looks. Take [`super::Env::alone`], or other tests' containers are seen.

use super::{env, eventually, user};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Sets of lines by kind: processes, mounts, interfaces, cgroups, sockets,
/// shared memory, files.
#[derive(Debug, Clone)]
pub struct Snapshot {
    roots: Vec<PathBuf>,
    kinds: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Snapshot {
    /// Files are looked at below `roots`.
    pub fn take(roots: &[&Path]) -> Self {
        let kinds = BTreeMap::from([
            ("process", processes(roots)),
            (
                "mount",
                lines("/proc/self/mountinfo", |line| Some(mount(line))),
            ),
            ("interface", names("/sys/class/net")),
            ("named network namespace", names("/run/netns")),
            ("cgroup", cgroups()),
            ("unix socket", unix_sockets(roots)),
            ("listening port", listeners()),
            ("/dev/shm", shared_memory()),
            (
                "SysV shared memory",
                lines("/proc/sysvipc/shm", |line| Some(line.into())),
            ),
            ("loop device", loops(roots)),
            ("file", roots.iter().flat_map(|root| files(root)).collect()),
        ]);
        Self {
            roots: roots.iter().map(|root| root.to_path_buf()).collect(),
            kinds,
        }
    }

    /// What is there now and was not before (`+`), and the reverse (`-`); one
    /// line each, empty when all is the same.
    pub fn difference(&self, now: &Self) -> String {
        let mut text = String::new();
        for (kind, before) in &self.kinds {
            let after = &now.kinds[kind];
            for line in after.difference(before) {
                let _ = writeln!(text, "+ {kind}: {line}");
            }
            // What another test had and has ended since is no leak.
            let may_end = ["process", "listening port"].contains(kind);
            for line in before.difference(after).filter(|_| !may_end) {
                let _ = writeln!(text, "- {kind}: {line}");
            }
        }
        text
    }

    /// Fails with what was left behind: the lines of the difference that are
    /// there for 10 s. Some of the clean-up may come after the command has
    /// ended, and other users of the machine come and go.
    #[track_caller]
    pub fn assert_same(&self) {
        let roots: Vec<&Path> = self.roots.iter().map(PathBuf::as_path).collect();
        let mut left: Option<BTreeSet<String>> = None;
        let same = eventually(10, || {
            let now = self.difference(&Self::take(&roots));
            let lines = left.get_or_insert_with(|| now.lines().map(str::to_owned).collect());
            lines.retain(|line| now.lines().any(|l| l == line));
            lines.is_empty()
        });
        let lines: Vec<String> = left.unwrap_or_default().into_iter().collect();
        assert!(same, "this was left behind:\n{}", lines.join("\n"));
    }

    /// The same without some kinds, say `file` after a pull.
    pub fn without(mut self, kinds: &[&'static str]) -> Self {
        for kind in kinds {
            let found = self.kinds.get_mut(kind);
            *found.unwrap_or_else(|| panic!("no kind {kind:?}")) = BTreeSet::new();
        }
        self
    }
}

fn lines(path: &str, each: impl Fn(&str) -> Option<String>) -> BTreeSet<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(each).collect()
}

fn names(dir: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// What is ours and no other test run's.
fn shared_memory() -> BTreeSet<String> {
    let other = |name: &str| {
        let pid = name.strip_prefix('w').and_then(|rest| rest.split_once('-'));
        pid.is_some_and(|(pid, _)| {
            pid.parse::<u32>()
                .is_ok_and(|pid| pid != std::process::id())
        })
    };
    let mut found = names("/dev/shm");
    found.retain(|name| {
        let meta = Path::new("/dev/shm").join(name).symlink_metadata();
        !other(name) && meta.is_ok_and(|meta| user::is_ours(meta.uid()))
    });
    found
}

/// Without its number, which a remount changes.
fn mount(line: &str) -> String {
    line.splitn(3, ' ').nth(2).unwrap_or(line).into()
}

/// Processes of wherry, its helpers and its containers.
fn processes(roots: &[&Path]) -> BTreeSet<String> {
    let ours: BTreeSet<u32> = descendants();
    let mut found = BTreeSet::new();
    for name in names("/proc") {
        let Ok(pid) = name.parse::<u32>() else {
            continue;
        };
        if ours.contains(&pid) || !is_of_wherry(pid, roots) {
            continue;
        }
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let comm = stat.split(['(', ')']).nth(1).unwrap_or("?").to_owned();
        let after: Vec<_> = stat
            .rsplit(") ")
            .next()
            .unwrap_or_default()
            .split(' ')
            .collect();
        let (state, parent) = (after[0], after.get(1).copied().unwrap_or_default());
        // Ended, and of nobody else: init is slow in some places.
        if (state, parent) == ("Z", "1") {
            continue;
        }
        if !stat.is_empty() {
            found.insert(format!("{pid} {comm} {command}"));
        }
    }
    found
}

/// The test process itself and what it started directly (registries, strace).
fn descendants() -> BTreeSet<u32> {
    let me = std::process::id();
    let mut ours = BTreeSet::from([me]);
    for task in names(&format!("/proc/{me}/task")) {
        let children = std::fs::read_to_string(format!("/proc/{me}/task/{task}/children"));
        ours.extend(
            children
                .unwrap_or_default()
                .split_whitespace()
                .filter_map(|p| p.parse::<u32>().ok()),
        );
    }
    ours
}

fn is_of_wherry(pid: u32, roots: &[&Path]) -> bool {
    let dir = PathBuf::from(format!("/proc/{pid}"));
    let link = |name: &str| std::fs::read_link(dir.join(name)).unwrap_or_default();
    if link("exe") == Path::new(env::wherry_path()) {
        return true;
    }
    let comm = std::fs::read_to_string(dir.join("comm")).unwrap_or_default();
    let owner = std::fs::metadata(&dir).map_or(u32::MAX, |meta| meta.uid());
    let helper = [
        "pasta",
        "pasta.avx2",
        "passt.avx2",
        "slirp4netns",
        "fuse-overlayfs",
    ]
    .contains(&comm.trim());
    if helper && user::is_ours(owner) {
        return true;
    }
    // Of an ordinary user's processes those in subordinate IDs are containers'.
    if !user::is_root() && user::is_ours(owner) && owner != nix::unistd::geteuid().as_raw() {
        return true;
    }
    let own = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let namespace = link("ns/pid");
    if !namespace.as_os_str().is_empty() && namespace != own {
        return true;
    }
    let environ = std::fs::read(dir.join("environ")).unwrap_or_default();
    let environ = String::from_utf8_lossy(&environ);
    roots
        .iter()
        .any(|root| environ.contains(root.to_str().unwrap_or("?")))
}

/// Directories of all cgroup v2 hierarchies.
fn cgroups() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in std::fs::read_to_string("/proc/self/mountinfo")
        .unwrap_or_default()
        .lines()
    {
        let Some((before, after)) = line.split_once(" - ") else {
            continue;
        };
        if after.starts_with("cgroup2 ") {
            let mut below = vec![PathBuf::from(before.split(' ').nth(4).unwrap_or_default())];
            while let Some(dir) = below.pop() {
                for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                    // Those of other users are not ours to judge.
                    let meta = entry.metadata();
                    if meta.is_ok_and(|m| m.is_dir() && user::is_ours(m.uid())) {
                        found.insert(entry.path().display().to_string());
                        below.push(entry.path());
                    }
                }
            }
        }
    }
    found
}

fn unix_sockets(roots: &[&Path]) -> BTreeSet<String> {
    lines("/proc/net/unix", |line| {
        let path = line.split_whitespace().nth(7)?;
        let ours = roots
            .iter()
            .any(|root| path.contains(root.to_str().unwrap_or("?")));
        (ours || path.contains("wherry")).then(|| path.into())
    })
}

/// TCP ports of ours that listen, and UDP ports that are bound.
fn listeners() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (file, state) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
        found.extend(lines(&format!("/proc/net/{file}"), |line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let uid = fields.get(7)?.parse().ok()?;
            (fields[3] == state && user::is_ours(uid)).then(|| format!("{file} {}", fields[1]))
        }));
    }
    found
}

fn loops(roots: &[&Path]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in names("/sys/block") {
        let file = std::fs::read_to_string(format!("/sys/block/{name}/loop/backing_file"));
        if let Ok(file) = file
            && roots.iter().any(|root| Path::new(&file).starts_with(root))
        {
            found.insert(format!("{name} {file}"));
        }
    }
    found
}

/// All below `root` with type and size; a directory that we may not read is
/// one line.
fn files(root: &Path) -> Vec<String> {
    let (mut found, mut below) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = below.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else {
            found.push(format!("{} (closed)", dir.display()));
            continue;
        };
        for entry in entries.flatten() {
            let Ok(meta) = entry.path().symlink_metadata() else {
                continue;
            };
            let kind = meta.file_type();
            let path = entry.path();
            let shown = path.display();
            if kind.is_dir() {
                found.push(format!("{shown}/"));
                below.push(path);
            } else if kind.is_file() {
                found.push(format!("{shown} ({} bytes)", meta.len()));
            } else if kind.is_socket() {
                found.push(format!("{shown} (socket)"));
            } else {
                found.push(format!("{shown} (special)"));
            }
        }
    }
    found
}

mod tests {
    use super::*;

    #[test]
    fn sees_what_is_left_behind() {
        let env = super::super::Env::alone();
        let before = env.snapshot();
        before.assert_same();
        let file = env.path("data/left");
        std::fs::write(&file, "x").unwrap();
        let socket = std::os::unix::net::UnixListener::bind(env.path("data/s")).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        // Its parent ends at once, so that it is nobody's child of ours.
        let mut sh = env.command("sh");
        sh.args(["-c", "sleep 30 >/dev/null 2>&1 & echo $!"]);
        let pid = env::run(sh, b"", 10).ok().text();
        let left = before.difference(&env.snapshot());
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid.trim().parse().unwrap()),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
        for kind in [
            "+ file: ",
            "+ unix socket: ",
            "+ listening port: tcp ",
            "+ process: ",
        ] {
            assert!(left.contains(kind), "{kind} not in\n{left}");
        }
        assert!(
            left.contains("(1 bytes)") && left.contains("sleep"),
            "{left}"
        );
        drop((socket, port));
        std::fs::remove_file(env.path("data/s")).unwrap();
        std::fs::remove_file(file).unwrap();
        before.assert_same();
    }
}
