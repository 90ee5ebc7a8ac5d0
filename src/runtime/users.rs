//! Whom a process runs as: `--user` text, looked up in the container's own
//! /etc/passwd and /etc/group (passwd(5), group(5)), read with limits because
//! an image may have put anything there.

use super::sync::User;
use crate::error::{Error, Result};
use std::io::Read;
use std::os::fd::OwnedFd;

/// Larger files are cut here (row S20 of the security table).
const MAX_FILE: u64 = 10 << 20;
/// The largest id: 2^32-1 means "no change" to the kernel.
const MAX_ID: u32 = u32::MAX - 1;

/// The two files; a missing one is empty.
#[derive(Default)]
pub struct Files {
    passwd: String,
    group: String,
}

impl Files {
    pub fn read(passwd: Option<OwnedFd>, group: Option<OwnedFd>) -> Self {
        let text = |fd: Option<OwnedFd>| {
            let mut bytes = Vec::new();
            if let Some(fd) = fd {
                let _ = std::fs::File::from(fd)
                    .take(MAX_FILE)
                    .read_to_end(&mut bytes);
            }
            String::from_utf8(bytes)
                .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
        };
        Self {
            passwd: text(passwd),
            group: text(group),
        }
    }

    pub fn from_text(passwd: &str, group: &str) -> Self {
        Self {
            passwd: passwd.into(),
            group: group.into(),
        }
    }
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// Resolves `user[:group]` (empty: root) and `--group-add` names or ids.
/// Docker's rule: a number is always an id, never a name (CVE-2016-3697).
pub fn resolve(spec: &str, group_add: &[String], files: &Files) -> Result<User> {
    let (user, group) = spec.split_once(':').unwrap_or((spec, ""));
    let wanted = number(user, "user")?;
    let account = accounts(&files.passwd).find(|a| match wanted {
        Some(uid) => a.uid == uid,
        None if user.is_empty() => a.uid == 0,
        None => a.name == user,
    });
    let (uid, mut gid, home, name) = match &account {
        Some(a) => (a.uid, a.gid, a.home, Some(a.name)),
        None if user.is_empty() => (0, 0, "/root", None),
        None => match wanted {
            Some(uid) => (uid, 0, "/", None),
            None => {
                return Err(Error::not_found(format!(
                    "unable to find user {user}: no matching entries in passwd file"
                )));
            }
        },
    };
    let mut groups = Vec::new();
    if group.is_empty() {
        groups.extend(name.into_iter().flat_map(|n| memberships(&files.group, n)));
    } else {
        gid = group_id(group, files)?;
    }
    for extra in group_add {
        groups.push(group_id(extra, files)?);
    }
    Ok(User {
        uid,
        gid,
        groups: with_primary(gid, groups),
        home: if home.is_empty() {
            b"/".to_vec()
        } else {
            home.as_bytes().to_vec()
        },
    })
}

/// The primary group belongs into the supplementary list, or permissions that
/// deny a group can be shed (CVE-2022-2995).
fn with_primary(gid: u32, groups: Vec<u32>) -> Vec<u32> {
    let mut all = vec![gid];
    for group in groups {
        if !all.contains(&group) {
            all.push(group);
        }
    }
    all
}

fn group_id(text: &str, files: &Files) -> Result<u32> {
    if let Some(gid) = number(text, "group")? {
        return Ok(gid);
    }
    files
        .group
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            Some((name, fields.nth(1)?.parse::<u32>().ok()?))
        })
        .find_map(|(name, gid)| (name == text).then_some(gid))
        .ok_or_else(|| {
            Error::not_found(format!(
                "unable to find group {text}: no matching entries in group file"
            ))
        })
}

/// `Some` for a decimal number; an error for one that no id can have.
fn number(text: &str, what: &str) -> Result<Option<u32>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if id <= MAX_ID && !text.starts_with('+') => Ok(Some(id)),
        _ => Err(Error::invalid(format!(
            "invalid {what} \"{text}\": uids and gids must be in range 0-{MAX_ID}"
        ))),
    }
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|n| !n.is_empty())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = fields.nth(1).unwrap_or("");
        Some(Account {
            name,
            uid,
            gid,
            home,
        })
    })
}

fn memberships<'a>(group: &'a str, user: &'a str) -> impl Iterator<Item = u32> + 'a {
    group.lines().filter_map(move |line| {
        let mut fields = line.split(':');
        let gid = fields.nth(2)?.parse().ok()?;
        fields
            .next()?
            .split(',')
            .any(|m| m.trim() == user)
            .then_some(gid)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\n1000:x:0:0::/evil:/bin/sh\n4294967296:x:0:0::/:/bin/sh\nbroken\n:x:5:5::/:/\n";
    const GROUP: &str = "root:x:0:root\ntty:x:5:postgres,other\nstaff:x:50:root\nwheel:x:10:root\n";

    fn ids(spec: &str) -> Result<(u32, u32, Vec<u32>, String)> {
        let files = Files::from_text(PASSWD, GROUP);
        resolve(spec, &[], &files)
            .map(|u| (u.uid, u.gid, u.groups, String::from_utf8(u.home).unwrap()))
    }

    #[test]
    fn names_numbers_and_groups() {
        assert_eq!(ids("").unwrap(), (0, 0, vec![0, 50, 10], "/root".into()));
        assert_eq!(
            ids("postgres").unwrap(),
            (70, 70, vec![70, 5], "/var/lib/postgresql".into())
        );
        assert_eq!(
            ids("70").unwrap(),
            (70, 70, vec![70, 5], "/var/lib/postgresql".into())
        );
        assert_eq!(
            ids("70:0").unwrap(),
            (70, 0, vec![0], "/var/lib/postgresql".into())
        );
        assert_eq!(ids("postgres:tty").unwrap().1, 5);
        assert_eq!(ids("1:").unwrap(), (1, 0, vec![0], "/".into()));
        assert_eq!(ids(":1").unwrap().1, 1);
        assert_eq!(ids("12345").unwrap(), (12345, 0, vec![0], "/".into()));
    }

    #[test]
    fn numbers_are_never_names() {
        assert_eq!(ids("1000").unwrap().0, 1000);
        assert_eq!(ids("00").unwrap().0, 0);
        for bad in [
            "4294967296",
            "4294967295",
            "-1",
            "18446744073709551616",
            "+1",
            "1:-1",
            "0:4294967295",
        ] {
            assert!(ids(bad).is_err(), "{bad}");
        }
        for unknown in [
            "0x0",
            "1 ",
            " 1",
            "nobody",
            "Root",
            "root ",
            "postgres:nogroup",
        ] {
            assert!(ids(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn groups_are_added_once() {
        let files = Files::from_text(PASSWD, GROUP);
        let add = ["staff".into(), "50".into(), "7".into()];
        assert_eq!(resolve("70", &add, &files).unwrap().groups, [70, 5, 50, 7]);
        assert!(resolve("70", &["nope".into()], &files).is_err());
    }
}
