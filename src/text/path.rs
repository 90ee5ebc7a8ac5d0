//! Paths taken as text, without looking at any disk.

/// The path without `.`, `..`, doubled and outer slashes; what leads above the root
/// stays at it. Empty: the root.
pub fn plain(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// The same, beginning with its slash.
pub fn absolute(path: &str) -> String {
    let plain = plain(path.as_bytes());
    // Cut at slashes only, so it is UTF-8 still.
    format!("/{}", String::from_utf8_lossy(&plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaned() {
        for (path, want) in [
            ("", ""),
            ("/", ""),
            ("a/./b//c/", "a/b/c"),
            ("/a/../b", "b"),
            ("../../etc", "etc"),
            ("a/..", ""),
            ("é/ü", "é/ü"),
        ] {
            assert_eq!(plain(path.as_bytes()), want.as_bytes(), "{path}");
            assert_eq!(absolute(path), format!("/{want}"), "{path}");
        }
    }
}
