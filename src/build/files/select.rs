//! The sources of COPY and ADD: which files of a tree a path or pattern names.

use super::ignore::Ignore;
use super::pattern::Pattern;
use super::tree::{Kind, Tree, kind};
use super::{join, shown};
use crate::error::Result;
use crate::text::path::plain;

/// One file or directory that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Where it is, without links.
    pub path: Vec<u8>,
    /// Its name at the target.
    pub name: Vec<u8>,
    /// The directories that `--parents` makes above it.
    pub parents: Vec<u8>,
    pub is_dir: bool,
}

/// What of a selection is left out: `--exclude`, from the source's root on.
pub struct Selection {
    pub selected: Vec<Selected>,
    pub excludes: Ignore,
}

impl Selection {
    pub fn excludes(&self, path: &[u8]) -> bool {
        !self.excludes.is_empty() && self.excludes.excludes(&String::from_utf8_lossy(path))
    }
}

/// Finds `sources` in `tree`. A path must be there; a pattern may fit nothing.
pub fn select(
    tree: &Tree,
    sources: &[String],
    parents: bool,
    excludes: &[String],
) -> Result<Selection> {
    let mut selected = Vec::new();
    for source in sources {
        let (pivot, source) = split_pivot(source, parents);
        let whole = plain(&join(pivot.as_bytes(), source.as_bytes()));
        let pivot = plain(pivot.as_bytes());
        if !has_signs(&whole) {
            let path = tree.canonical(&whole)?;
            selected.push(describe(tree, &whole, path, &pivot)?);
            continue;
        }
        let text = String::from_utf8_lossy(&whole).into_owned();
        let pattern = Pattern::parse(&text)?;
        let start = match pattern.prefix.rfind('/') {
            Some(at) => pattern.prefix.as_bytes()[..at].to_vec(),
            None => Vec::new(),
        };
        // The directory above the first sign may be reached through links.
        let Ok(real) = tree.canonical(&start) else {
            continue;
        };
        let depth = match text.contains("**") {
            true => usize::MAX,
            false => {
                text.matches('/').count() + 1
                    - start
                        .split(|&b| b == b'/')
                        .filter(|c| !c.is_empty())
                        .count()
            }
        };
        let mut found = Vec::new();
        find(tree, &real, &start, &pattern, depth, &mut found)?;
        for (path, written) in found {
            selected.push(describe(tree, &written, path, &pivot)?);
        }
    }
    Ok(Selection {
        selected,
        excludes: Ignore::of(excludes.iter().map(String::as_str))?,
    })
}

/// `a/./b` with `--parents`: only what follows the dot is kept.
fn split_pivot(source: &str, parents: bool) -> (&str, &str) {
    match source.split_once("/./").filter(|_| parents) {
        Some((pivot, rest)) => (pivot, rest),
        None => ("", source),
    }
}

fn describe(tree: &Tree, written: &[u8], path: Vec<u8>, pivot: &[u8]) -> Result<Selected> {
    let is_dir = kind(&tree.stat(&path)?) == Kind::Directory;
    let (parent, name) = match written.iter().rposition(|&b| b == b'/') {
        Some(at) => (&written[..at], &written[at + 1..]),
        None => (&written[..0], written),
    };
    // A directory's content is copied: its own name is one of the parents.
    let parents = if is_dir { written } else { parent };
    let parents = parents.strip_prefix(pivot).unwrap_or(parents);
    Ok(Selected {
        name: name.to_vec(),
        parents: parents.strip_prefix(b"/").unwrap_or(parents).to_vec(),
        path,
        is_dir,
    })
}

type Found = Vec<(Vec<u8>, Vec<u8>)>;

/// Walks below `path`, which is written as `written`.
fn find(
    tree: &Tree,
    path: &[u8],
    written: &[u8],
    pattern: &Pattern,
    depth: usize,
    found: &mut Found,
) -> Result<()> {
    if kind(&tree.stat(path)?) != Kind::Directory {
        return Ok(());
    }
    for child in tree.list(path)? {
        let written = join(written, &child.name);
        let is_dir = kind(&child.stat) == Kind::Directory;
        if pattern.matches(&String::from_utf8_lossy(&written)) {
            if tree.has(&child.path) || is_dir {
                // A link is what it leads to; one that leads nowhere is itself.
                let real = match kind(&child.stat) {
                    Kind::Link => tree.canonical(&child.path).unwrap_or(child.path.clone()),
                    _ => child.path.clone(),
                };
                found.push((real, written.clone()));
            }
            // What is in it is copied with it.
            if depth != usize::MAX || is_dir {
                continue;
            }
        }
        if is_dir && depth > 1 {
            let deeper = if depth == usize::MAX {
                depth
            } else {
                depth - 1
            };
            find(tree, &child.path, &written, pattern, deeper, found)?;
        }
    }
    Ok(())
}

fn has_signs(path: &[u8]) -> bool {
    path.iter().any(|b| b"*?[\\".contains(b))
}

/// The sources as a message names them.
pub fn names(selected: &[Selected]) -> String {
    let all: Vec<String> = selected.iter().map(|s| shown(&s.path)).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree(name: &str, ignore: &str) -> (std::path::PathBuf, Tree) {
        let dir = std::env::temp_dir().join(format!("wherry-select-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        for path in [
            "a/x.go",
            "a/b/y.go",
            "a/b/z.txt",
            "c.go",
            "secret",
            "d/keep",
            "d/drop",
        ] {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        symlink("a/b", dir.join("link")).unwrap();
        symlink("/etc/passwd", dir.join("out")).unwrap();
        symlink("../../..", dir.join("up")).unwrap();
        symlink("secret", dir.join("tosecret")).unwrap();
        let tree = Tree::open(&dir, Ignore::parse(ignore.as_bytes()).unwrap()).unwrap();
        (dir, tree)
    }

    #[test]
    fn sources() {
        let (dir, tree) = tree("sources", "secret\nd\n!d/keep\n");
        let of = |source: &str, parents: bool| {
            let found = select(&tree, &[source.to_string()], parents, &[])?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let all = found.selected.iter().map(|s| {
                format!(
                    "{}>{}{}",
                    text(&s.path),
                    text(if parents { &s.parents } else { &s.name }),
                    if s.is_dir { "/" } else { "" }
                )
            });
            Ok::<_, crate::error::Error>(all.collect::<Vec<_>>().join(" "))
        };
        for (source, want) in [
            ("a/x.go", "a/x.go>x.go"),
            ("/a/../c.go", "c.go>c.go"),
            ("../../c.go", "c.go>c.go"),
            (".", ">/"),
            ("a", "a>a/"),
            ("link", "a/b>link/"),
            ("up", ">up/"),
            ("link/y.go", "a/b/y.go>y.go"),
            ("*.go", "c.go>c.go"),
            ("a/*", "a/b>b/ a/x.go>x.go"),
            // What is found by a wildcard is not walked through.
            ("lin?/*.go", ""),
            ("link/*.go", "a/b/y.go>y.go"),
            ("**/*.go", "a/b/y.go>y.go a/x.go>x.go c.go>c.go"),
            ("nope*", ""),
            ("[ab]/x.go", "a/x.go>x.go"),
            ("d/keep", "d/keep>keep"),
            ("d/*", "d/keep>keep"),
        ] {
            assert_eq!(of(source, false).unwrap(), want, "{source}");
        }
        for (source, want) in [
            ("a/b/y.go", "a/b/y.go>a/b"),
            ("a/b", "a/b>a/b/"),
            ("a/./b/y.go", "a/b/y.go>b"),
            ("./a/./b", "a/b>b/"),
            ("**/*.txt", "a/b/z.txt>a/b"),
        ] {
            assert_eq!(of(source, true).unwrap(), want, "{source}");
        }
        for missing in ["nope", "secret", "tosecret", "out", "d/drop", "a/x.go/y"] {
            let error = of(missing, false).unwrap_err();
            assert!(error.message().contains("not found"), "{missing}: {error}");
        }
        assert!(of("a/[", false).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
