//! `.dockerignore`: which files of a context there are (Docker documentation,
//! "Build context", ".dockerignore files"; moby, patternmatcher).

use super::pattern::Pattern;
use crate::error::{Error, Result};

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;

#[derive(Debug, Clone, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: Pattern,
    /// `!`: these are there all the same.
    back: bool,
    /// Components of the pattern's text.
    depth: usize,
}

impl Ignore {
    /// Reads the file.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let text = String::from_utf8_lossy(text);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self::of(lines)
    }

    /// The same patterns, one each.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut rules = Vec::new();
        for text in patterns {
            let text = text.trim();
            let (back, text) = match text.strip_prefix('!') {
                Some(rest) if rest.trim().is_empty() => {
                    return Err(Error::invalid("illegal exclusion pattern: \"!\""));
                }
                Some(rest) => (true, rest.trim()),
                None => (false, text),
            };
            if text.is_empty() {
                continue;
            }
            let text = clean(text);
            rules.push(Rule {
                pattern: Pattern::parse(&text)?,
                back,
                depth: text.split('/').count(),
            });
        }
        Ok(Self { rules })
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether the file or directory at `path` (without a leading slash) is
    /// left out: the last rule that speaks of it or of what is above it counts.
    pub fn excludes(&self, path: &str) -> bool {
        let mut out = false;
        for rule in &self.rules {
            // What would change nothing need not be looked at.
            if rule.back == out && rule.speaks_of(path) {
                out = !rule.back;
            }
        }
        out
    }

    /// Whether something below the excluded directory `path` may be there.
    pub fn may_bring_back(&self, path: &str) -> bool {
        self.rules.iter().filter(|rule| rule.back).any(|rule| {
            let prefix = rule.pattern.prefix.as_str();
            let below = prefix
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('/') || rest.is_empty());
            // With a sign in it before that, it may be anywhere.
            below || (!rule.pattern.is_plain && path.starts_with(prefix))
        })
    }
}

impl Rule {
    fn speaks_of(&self, path: &str) -> bool {
        if self.pattern.matches(path) {
            return true;
        }
        // One without `**` only fits as many components as it has.
        let mut ends = path.match_indices('/').map(|(at, _)| at);
        match self.pattern.is_plain {
            true => ends
                .nth(self.depth - 1)
                .is_some_and(|at| self.pattern.matches(&path[..at])),
            false => ends.any(|at| self.pattern.matches(&path[..at])),
        }
    }
}

/// Go's filepath.Clean of a pattern, without a leading slash.
fn clean(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            // From the root there is nothing above.
            ".." if text.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    match parts.is_empty() {
        true => ".".into(),
        false => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        for (rules, path, want) in [
            ("", "a", false),
            ("a", "a", true),
            ("a", "a/b/c", true),
            ("a", "b/a", false),
            ("/a", "a", true),
            ("a/", "a", true),
            ("./a", "a/x", true),
            ("a//b", "a/b", true),
            ("x/../a", "a", true),
            ("../a", "a", false),
            ("# a\n#b", "a", false),
            (" # a", "# a", true),
            ("  a  ", "a", true),
            ("*", "a/b", true),
            ("*/b", "a/b", true),
            ("*/b", "a/b/c", true),
            ("*/b", "b", false),
            ("**/b", "x/y/b/z", true),
            ("*\n!a", "a", false),
            ("*\n!a", "a/b", false),
            ("*\n!a/b", "a/b", false),
            ("*\n!a/b", "a/c", true),
            ("*\n!a\na/b", "a/b", true),
            ("*\n!a\na/b", "a/c", false),
            ("! a\na", "a", true),
            ("a\n! a", "a", false),
            ("*.md\n!README.md", "README.md", false),
            (
                "*.md\n!README*.md\nREADME-secret.md",
                "README-secret.md",
                true,
            ),
            ("**\n!**/*.go", "a/b.go", false),
            ("\u{feff}a", "a", true),
            ("a\r\nb\r\n", "a", true),
            ("node_modules/", "node_modules/x/y.js", true),
            ("a/*/c", "a/b/c/d", true),
            ("tem?", "temp/x", true),
        ] {
            let ignore = Ignore::parse(rules.as_bytes()).unwrap();
            assert_eq!(ignore.excludes(path), want, "{rules:?} {path}");
        }
        for bad in ["!", "a\n! \nb", "[", "a[b"] {
            assert!(Ignore::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Ignore::parse(b"\xff\xfe\n").is_ok());
    }

    #[test]
    fn where_to_look_below_what_is_excluded() {
        let ignore = Ignore::parse(b"*\n!a/b/c\n!d/*.x").unwrap();
        for (path, want) in [
            ("a", true),
            ("a/b", true),
            ("a/x", false),
            ("ab", false),
            ("d", true),
            ("e", false),
        ] {
            assert_eq!(ignore.may_bring_back(path), want, "{path}");
        }
        let anywhere = Ignore::parse(b"*\n!**/x").unwrap();
        assert!(anywhere.may_bring_back("q/r"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(rules in "[a*?!/.\\[\\]\\\\# \n]{0,40}", path in "[a/.b]{1,20}") {
            if let Ok(ignore) = Ignore::parse(rules.as_bytes()) {
                ignore.excludes(&path);
                ignore.may_bring_back(&path);
            }
        }
    }
}
