//! Which ids of the host the namespaces U and C have, and the helpers that are
//! allowed to write U's maps (newuidmap(1), newgidmap(1)).

use super::subid::{self, Owner, Range};
use crate::error::{Context, Error, Kind, Result};
use crate::host::Need;
use crate::sys::{program, xattr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// No image uses ids above this; a larger subordinate range is not needed.
const WANTED: u32 = 65_536;

/// What U maps, for users and for groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maps {
    uid: u32,
    gid: u32,
    users: Vec<Range>,
    groups: Vec<Range>,
}

impl Maps {
    /// The caller's maps from /etc/subuid and /etc/subgid. Without ranges (or
    /// without the helpers) only the caller himself is mapped, to 0.
    pub fn of_caller() -> Result<Self> {
        let uid = nix::unistd::geteuid().as_raw();
        let gid = nix::unistd::getegid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let owner = Owner::of(uid, &passwd);
        let mut users = subid::ranges(Path::new("/etc/subuid"), &owner)?;
        let mut groups = subid::ranges(Path::new("/etc/subgid"), &owner)?;
        let helpers = helper("newuidmap").is_some() && helper("newgidmap").is_some();
        if users.is_empty() || groups.is_empty() || !helpers {
            users.clear();
            groups.clear();
        }
        Ok(Self {
            uid,
            gid,
            users: limited(users),
            groups: limited(groups),
        })
    }

    /// Whether only a single id is mapped.
    pub fn is_single(&self) -> bool {
        self.users.is_empty()
    }

    /// Number of ids mapped from 0 on, for users and groups.
    pub fn counts(&self) -> (u32, u32) {
        let sum = |ranges: &[Range]| 1 + ranges.iter().map(|r| r.count).sum::<u32>();
        (sum(&self.users), sum(&self.groups))
    }

    /// Where extents of U end, for users and groups.
    pub fn cuts(&self) -> (Vec<u32>, Vec<u32>) {
        let cuts = |ranges: &[Range]| {
            let mut end = 1;
            let mut cuts = vec![end];
            for range in ranges {
                end += range.count;
                cuts.push(end);
            }
            cuts
        };
        (cuts(&self.users), cuts(&self.groups))
    }

    /// Begins to write U's maps for the process `pid`, which was just cloned
    /// into it. Both helpers run side by side: each takes a millisecond.
    pub fn begin(&self, pid: i32) -> Result<Writing> {
        if self.is_single() {
            self.write_single(pid)?;
            return Ok(Writing(None));
        }
        let users = start_helper("newuidmap", pid, self.uid, &self.users)?;
        let groups = start_helper("newgidmap", pid, self.gid, &self.groups)?;
        Ok(Writing(Some((users, groups))))
    }

    fn write_single(&self, pid: i32) -> Result<()> {
        let write = |file: &str, text: String| {
            std::fs::write(format!("/proc/{pid}/{file}"), text)
                .context(|| format!("cannot write {file} of the user namespace"))
        };
        write("uid_map", format!("0 {} 1\n", self.uid))?;
        // The kernel wants this before an unprivileged gid_map (CVE-2014-8989).
        write("setgroups", "deny".to_string())?;
        write("gid_map", format!("0 {} 1\n", self.gid))
    }
}

/// Why the namespace that this process is in has fewer ids than containers may
/// want.
pub fn lacking() -> Option<Need> {
    if helper("newuidmap").is_none() || helper("newgidmap").is_none() {
        return Some(Need::MapTools);
    }
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let counts = map
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    match counts.sum() {
        1 => Some(Need::SubordinateIds),
        count if count <= u64::from(WANTED) => Some(Need::MoreSubordinateIds),
        _ => None,
    }
}

/// Maps that are being written.
pub struct Writing(Option<(Child, Child)>);

impl Writing {
    /// Waits until they are there.
    pub fn finish(self) -> Result<()> {
        let Some((users, groups)) = self.0 else {
            return Ok(());
        };
        let users = finish_helper("newuidmap", users, "/etc/subuid");
        let groups = finish_helper("newgidmap", groups, "/etc/subgid");
        users.and(groups)
    }
}

fn limited(ranges: Vec<Range>) -> Vec<Range> {
    let mut left = WANTED;
    let mut kept = Vec::new();
    for mut range in ranges {
        range.count = range.count.min(left);
        left -= range.count;
        if range.count > 0 {
            kept.push(range);
        }
    }
    kept
}

fn helper(name: &str) -> Option<PathBuf> {
    program::find(&program::DIRECTORIES.map(Path::new), name)
}

fn start_helper(name: &str, pid: i32, own: u32, ranges: &[Range]) -> Result<Child> {
    let path = helper(name).ok_or_else(|| {
        Error::not_found(format!("{name} is not installed")).hint(Need::MapTools.hint())
    })?;
    let mut command = Command::new(path);
    command
        .arg(pid.to_string())
        .args(["0", &own.to_string(), "1"]);
    let mut inside = 1;
    for range in ranges {
        command.args([
            inside.to_string(),
            range.first.to_string(),
            range.count.to_string(),
        ]);
        inside += range.count;
    }
    command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context(|| format!("cannot run {name}"))
}

fn finish_helper(name: &str, child: Child, file: &str) -> Result<()> {
    let output = child
        .wait_with_output()
        .context(|| format!("cannot wait for {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let need = match helper(name).is_some_and(|path| !has_rights(&path)) {
        true => Need::MapToolRights,
        false => Need::OwnSubordinateIds,
    };
    Err(Error::new(
        Kind::Denied,
        format!("{name} refused your ids of {file}: {}", said.trim()),
    )
    .hint(need.hint()))
}

/// Whether newuidmap or newgidmap may do its work: by the set-uid bit, or by
/// file capabilities.
pub fn has_rights(program: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::File::open(program).is_ok_and(|file| {
        file.metadata().is_ok_and(|meta| meta.mode() & 0o4000 != 0)
            || xattr::get(&file, c"security.capability").is_ok_and(|value| value.is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_end_where_ranges_do() {
        let range = |first, count| Range { first, count };
        let maps = Maps {
            uid: 1000,
            gid: 1000,
            users: vec![range(5, 10), range(100_000, 65_526)],
            groups: vec![],
        };
        assert_eq!(maps.cuts(), (vec![1, 11, 65_537], vec![1]));
        assert_eq!(maps.counts(), (65_537, 1));
    }

    #[test]
    fn no_more_than_an_image_can_use() {
        let big = Range {
            first: 1,
            count: 4_000_000,
        };
        assert_eq!(
            limited(vec![big, big]),
            [Range {
                first: 1,
                count: 65_536
            }]
        );
        let small = Range {
            first: 1,
            count: 10,
        };
        assert_eq!(limited(vec![small, small]), [small, small]);
    }
}
