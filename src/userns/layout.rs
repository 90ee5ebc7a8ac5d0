//! How the ids of a container stand for those of U: as they are, or with the
//! caller in another place (`--userns keep-id`), or without him (`nomap`).
//!
//! Files are on disk with ids of U (seen from the host: the caller, and his
//! subordinate ids). Layers are unpacked as for [`Layout::Same`].

use super::map::Maps;
use serde::{Deserialize, Serialize};

/// The kernel's overflow id.
const NOBODY: u32 = 65_534;

/// An extent of a map: first id inside, first id outside, how many.
pub type Extent = (u32, u32, u32);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Each id is itself; 0 is the caller.
    #[default]
    Same,
    /// The caller is `uid` and `gid`; those below move up by one.
    Keep { uid: u32, gid: u32 },
    /// The caller is nobody; all move up by one.
    Nomap,
}

impl Layout {
    pub fn is_same(&self) -> bool {
        *self == Self::Same
    }

    /// The ids of U that stand for a user and a group of the container.
    pub fn outside(self, uid: u32, gid: u32) -> (u32, u32) {
        match self {
            Self::Same => (uid, gid),
            Self::Keep {
                uid: kept,
                gid: kept_group,
            } => (moved(uid, kept), moved(gid, kept_group)),
            Self::Nomap => (uid.saturating_add(1), gid.saturating_add(1)),
        }
    }

    /// The user and group of the container that ids of U stand for; those that
    /// it does not have are nobody's.
    pub fn inside(self, uid: u32, gid: u32) -> (u32, u32) {
        match self {
            Self::Same => (uid, gid),
            Self::Keep {
                uid: kept,
                gid: kept_group,
            } => (moved_back(uid, kept), moved_back(gid, kept_group)),
            Self::Nomap => (
                uid.checked_sub(1).unwrap_or(NOBODY),
                gid.checked_sub(1).unwrap_or(NOBODY),
            ),
        }
    }

    /// uid_map and gid_map of a container's namespace below U. An extent may
    /// not straddle two of U's.
    pub fn maps(self, maps: &Maps) -> (String, String) {
        let (users, groups) = maps.counts();
        let (user_cuts, group_cuts) = maps.cuts();
        let (uids, gids) = self.extents(users, groups);
        (text(&uids, &user_cuts), text(&gids, &group_cuts))
    }

    /// The highest group that the container has.
    pub fn last_group(self, maps: &Maps) -> u32 {
        let (users, groups) = maps.counts();
        let (_, extents) = self.extents(users, groups);
        let ends = extents.iter().map(|(inside, _, count)| inside + count);
        ends.max().unwrap_or(1) - 1
    }

    /// Inside and outside of all ids, of which U has so many.
    pub fn extents(self, users: u32, groups: u32) -> (Vec<Extent>, Vec<Extent>) {
        match self {
            Self::Same => (vec![(0, 0, users)], vec![(0, 0, groups)]),
            Self::Keep { uid, gid } => (kept(uid, users), kept(gid, groups)),
            Self::Nomap => (vec![(0, 1, users - 1)], vec![(0, 1, groups - 1)]),
        }
    }
}

fn moved(id: u32, kept: u32) -> u32 {
    match id.cmp(&kept) {
        std::cmp::Ordering::Less => id + 1,
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Greater => id,
    }
}

fn moved_back(id: u32, kept: u32) -> u32 {
    match id {
        0 => kept,
        id if id <= kept => id - 1,
        id => id,
    }
}

fn kept(id: u32, count: u32) -> Vec<Extent> {
    let all = [
        (0, 1, id),
        (id, 0, 1),
        (id + 1, id + 1, count.saturating_sub(id + 1)),
    ];
    all.into_iter().filter(|extent| extent.2 > 0).collect()
}

/// One line per extent, cut where an extent of U ends.
fn text(extents: &[Extent], cuts: &[u32]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for &(mut inside, mut outside, mut count) in extents {
        while count > 0 {
            let end = cuts.iter().copied().find(|cut| *cut > outside);
            let most = end.map_or(count, |end| count.min(end - outside));
            let _ = writeln!(text, "{inside} {outside} {most}");
            inside += most;
            outside += most;
            count -= most;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Layout = Layout::Keep { uid: 70, gid: 0 };

    #[test]
    fn owners_outside() {
        for (layout, inside, outside) in [
            (Layout::Same, (5, 6), (5, 6)),
            (KEEP, (70, 0), (0, 0)),
            (KEEP, (0, 5), (1, 5)),
            (KEEP, (69, 1), (70, 1)),
            (KEEP, (71, 2), (71, 2)),
            (Layout::Nomap, (0, 65535), (1, 65536)),
        ] {
            assert_eq!(layout.outside(inside.0, inside.1), outside, "{inside:?}");
            assert_eq!(layout.inside(outside.0, outside.1), inside, "{outside:?}");
        }
    }

    #[test]
    fn maps_say_the_same_and_are_cut() {
        for layout in [KEEP, Layout::Nomap, Layout::Same] {
            let (uids, gids) = layout.extents(65_537, 65_537);
            let look = |extents: &[Extent], id: u32| {
                extents.iter().find_map(|&(inside, outside, count)| {
                    (inside..inside + count)
                        .contains(&id)
                        .then(|| outside + (id - inside))
                })
            };
            for id in [0, 1, 69, 70, 71, 1000, 65_535] {
                let found = (look(&uids, id).unwrap(), look(&gids, id).unwrap());
                assert_eq!(layout.outside(id, id), found, "{layout:?} {id}");
            }
        }
        // The caller, then 10 ids, then 65526 more.
        let cuts = [1, 11, 65_537];
        let (uids, _) = KEEP.extents(65_537, 65_537);
        assert_eq!(
            text(&uids, &cuts),
            "0 1 10\n10 11 60\n70 0 1\n71 71 65466\n"
        );
        assert_eq!(
            text(&[(0, 0, 65_537)], &cuts),
            "0 0 1\n1 1 10\n11 11 65526\n"
        );
        assert_eq!(Layout::Nomap.inside(0, 5), (NOBODY, 4));
        assert_eq!(kept(0, 3), [(0, 0, 1), (1, 1, 2)]);
    }

    #[test]
    fn on_disk() {
        for (layout, text) in [
            (Layout::Same, "\"same\""),
            (Layout::Nomap, "\"nomap\""),
            (KEEP, "{\"keep\":{\"uid\":70,\"gid\":0}}"),
        ] {
            assert_eq!(serde_json::to_string(&layout).unwrap(), text);
            assert_eq!(serde_json::from_str::<Layout>(text).unwrap(), layout);
        }
    }
}
