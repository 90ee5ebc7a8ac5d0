//! The caller's subordinate id ranges (subuid(5), subgid(5)), read from the
//! files themselves: a static binary has no NSS.

use crate::error::{Context, Result};
use std::path::Path;

/// One range of subordinate ids of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub first: u32,
    pub count: u32,
}

/// What a user needs to know about himself.
#[derive(Debug, Clone)]
pub struct Owner {
    pub uid: u32,
    /// Login name, when /etc/passwd has it.
    pub name: Option<String>,
}

impl Owner {
    pub fn of(uid: u32, passwd: &str) -> Self {
        let name = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_string())
        });
        Self { uid, name }
    }

    fn is(&self, who: &str) -> bool {
        who == self.uid.to_string() || self.name.as_deref() == Some(who)
    }
}

/// The ranges of `owner` in `path`, in the file's order; none when the file is
/// missing. Lines that are not `owner:first:count` are somebody else's problem.
pub fn ranges(path: &Path, owner: &Owner) -> Result<Vec<Range>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).context(|| format!("cannot read \"{}\"", path.display())),
    };
    Ok(parse(&text, owner))
}

fn parse(text: &str, owner: &Owner) -> Vec<Range> {
    let own = lines(text).filter(|(who, _)| owner.is(who));
    own.map(|(_, range)| range).collect()
}

/// The ranges in the text of such a file that belong to others.
pub fn of_others(text: &str, owner: &Owner) -> Vec<Range> {
    let others = lines(text).filter(|(who, _)| !owner.is(who));
    others.map(|(_, range)| range).collect()
}

fn lines(text: &str) -> impl Iterator<Item = (&str, Range)> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let who = fields.next()?;
        let first: u32 = fields.next()?.parse().ok()?;
        let count: u32 = fields.next()?.parse().ok()?;
        let valid = count > 0 && first.checked_add(count).is_some();
        (valid && fields.next().is_none()).then_some((who, Range { first, count }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_by_name_and_uid() {
        let owner = Owner::of(
            1000,
            "root:x:0:0::/:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n",
        );
        assert_eq!(owner.name.as_deref(), Some("ann"));
        let text = "bob:1:5\nann:100000:65536\n1000:300000:10\nann:x:1\nann:5\nann:4294967295:9\nann:1:0\n";
        assert_eq!(
            parse(text, &owner),
            [
                Range {
                    first: 100_000,
                    count: 65_536
                },
                Range {
                    first: 300_000,
                    count: 10
                }
            ]
        );
    }
}
