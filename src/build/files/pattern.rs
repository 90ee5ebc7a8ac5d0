//! Patterns of paths as `.dockerignore`, COPY and `--exclude` have them: Go's
//! filepath.Match and `**` for any number of directories (moby,
//! patternmatcher). Matching takes text times pattern and no more.

use crate::error::{Error, Result};
use crate::text::glob::Class;

#[derive(Debug, Clone)]
pub struct Pattern {
    tokens: Vec<Token>,
    /// What it begins with, up to the first sign: `a/b` of `a/b/*.c`.
    pub prefix: String,
    /// There is no sign in it.
    pub is_plain: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    One(char),
    /// `?`: not a slash.
    AnyOne,
    /// `*`: no slashes.
    Run,
    /// `**` at the end: anything.
    Anything,
    /// `**/`: nothing, or something that ends in a slash.
    Directories,
    Class(Class),
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::invalid(format!("syntax error in pattern: {text}"));
        let mut tokens = Vec::new();
        let mut prefix = None;
        let mut literal = String::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let token = match c {
                '*' if chars.peek() == Some(&'*') => {
                    while chars.next_if_eq(&'*').is_some() {}
                    chars.next_if_eq(&'/');
                    match chars.peek() {
                        None => Token::Anything,
                        Some(_) => Token::Directories,
                    }
                }
                '*' => Token::Run,
                '?' => Token::AnyOne,
                '[' => Token::Class(Class::parse(&mut chars).ok_or_else(bad)?),
                '\\' => Token::One(chars.next().ok_or_else(bad)?),
                c => Token::One(c),
            };
            match &token {
                Token::One(c) => literal.push(*c),
                _ => {
                    prefix.get_or_insert_with(|| literal.clone());
                }
            }
            tokens.push(token);
        }
        Ok(Self {
            tokens,
            is_plain: prefix.is_none(),
            prefix: prefix.unwrap_or(literal),
        })
    }

    /// Whether it describes the whole of `path`.
    pub fn matches(&self, path: &str) -> bool {
        if self.is_plain {
            return self.prefix == path;
        }
        if !path.starts_with(&self.prefix) {
            return false;
        }
        let end = self.tokens.len();
        let mut now = States::new(end);
        now.at[0] = true;
        self.skip_empty(&mut now);
        for c in path.chars() {
            let mut next = States::new(end);
            for (i, token) in self.tokens.iter().enumerate() {
                let here = now.at[i];
                match token {
                    Token::One(one) => next.at[i + 1] |= here && *one == c,
                    Token::AnyOne => next.at[i + 1] |= here && c != '/',
                    Token::Run => next.at[i] |= here && c != '/',
                    Token::Anything => next.at[i] |= here,
                    Token::Directories => {
                        next.within[i] |= now.within[i];
                        next.at[i + 1] |= now.within[i] && c == '/';
                    }
                    Token::Class(class) => {
                        next.at[i + 1] |= here && class.takes(c) && c != '/';
                    }
                }
            }
            self.skip_empty(&mut next);
            now = next;
        }
        now.at[end]
    }

    /// Tokens that may be nothing.
    fn skip_empty(&self, now: &mut States) {
        for (i, token) in self.tokens.iter().enumerate() {
            if now.at[i] && matches!(token, Token::Run | Token::Anything | Token::Directories) {
                now.at[i + 1] = true;
                now.within[i] |= *token == Token::Directories;
            }
        }
    }
}

/// Where a match may be: before the token, or within a `**/` that has begun.
struct States {
    at: Vec<bool>,
    within: Vec<bool>,
}

impl States {
    fn new(end: usize) -> Self {
        Self {
            at: vec![false; end + 1],
            within: vec![false; end + 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn paths() {
        for (pattern, path, want) in [
            ("a", "a", true),
            ("a", "a/b", false),
            ("a/b", "a/b", true),
            ("*", "a", true),
            ("*", "a/b", false),
            ("*.go", "x.go", true),
            ("*.go", "d/x.go", false),
            ("*/*.go", "d/x.go", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "dx", true),
            ("[^a]x", "/x", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("**", "a/b/c", true),
            ("**/x", "x", true),
            ("**/x", "a/b/x", true),
            ("**/x", "a/bx", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a/**/b", "a/xb", false),
            ("**/*.c", "a/b/x.c", true),
            ("a**b", "ab", true),
            ("a**b", "ax/b", true),
            ("***", "a/b", true),
            ("é*", "éa", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(path),
                want,
                "{pattern} {path}"
            );
        }
        for bad in ["[", "[]", "[a", "[-]", "[a-]", "a\\", "[^"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        let prefix = |text: &str| Pattern::parse(text).unwrap().prefix;
        assert_eq!(
            (prefix("a/b/*.c"), prefix("x\\*y")),
            ("a/b/".into(), "x*y".into())
        );
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let pattern = Pattern::parse(&"*a".repeat(300)).unwrap();
        assert!(!pattern.matches(&("a".repeat(4000) + "b")));
        let deep = Pattern::parse(&"**/a/".repeat(200)).unwrap();
        assert!(!deep.matches(&"a/".repeat(150)));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(pattern in "[a*?\\[\\]^\\\\/!-]{0,20}", path in "[a/b]{0,20}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.matches(&path);
            }
        }
    }
}
