//! Paths in an image, as text: absolute, cleaned, joined.

use crate::text::path::absolute;

/// `path` seen from the directory `from`, without `.`, `..` and doubled slashes.
pub fn join(from: &str, path: &str) -> String {
    let whole = match path.starts_with('/') {
        true => path.to_string(),
        false => format!("{from}/{path}"),
    };
    absolute(&whole)
}

/// The same for the target of COPY: that a directory is meant stays.
pub fn join_target(from: &str, path: &str) -> String {
    let joined = join(from, path);
    let directory = path.is_empty() || path.ends_with('/') || path.ends_with("/.") || path == ".";
    match directory && joined != "/" {
        true => joined + "/",
        false => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined() {
        for (from, path, want, target) in [
            ("/", "a", "/a", "/a"),
            ("/x", "a/../b//c", "/x/b/c", "/x/b/c"),
            ("/x", "../../..", "/", "/"),
            ("/x", "/a/", "/a", "/a/"),
            ("/x", ".", "/x", "/x/"),
            ("/x", "./", "/x", "/x/"),
            ("/x", "a/.", "/x/a", "/x/a/"),
            ("/x", "/", "/", "/"),
            ("", "a", "/a", "/a"),
        ] {
            assert_eq!(join(from, path), want, "{from} {path}");
            assert_eq!(join_target(from, path), target, "{from} {path}");
        }
    }
}
