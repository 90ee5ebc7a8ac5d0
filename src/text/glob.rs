//! Shell patterns as Docker's filters take them (Go's path.Match): `*` and `?`
//! do not cross `/`, `[a-z]` and `[^a-z]` are classes, `\` takes a
//! character as it is.

use crate::error::{Error, Result};
use std::iter::Peekable;
use std::str::Chars;

/// A checked pattern.
#[derive(Debug, Clone)]
pub struct Glob(Vec<Token>);

#[derive(Debug, Clone)]
enum Token {
    One(char),
    AnyOne,
    AnyRun,
    Class(Class),
}

/// `[a-z]` or `[^a-z]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    not: bool,
    ranges: Vec<(char, char)>,
}

impl Glob {
    pub fn parse(pattern: &str) -> Result<Self> {
        let bad = || Error::invalid(format!("syntax error in pattern: {pattern}"));
        let mut chars = pattern.chars().peekable();
        let mut tokens = Vec::new();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' if matches!(tokens.last(), Some(Token::AnyRun)) => continue,
                '*' => Token::AnyRun,
                '?' => Token::AnyOne,
                '[' => Token::Class(Class::parse(&mut chars).ok_or_else(bad)?),
                '\\' => Token::One(chars.next().ok_or_else(bad)?),
                other => Token::One(other),
            });
        }
        Ok(Self(tokens))
    }

    /// Whether the pattern describes the whole of `text`.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut token) = (0, 0);
        // Where the last `*` stands, and how far it reaches: only the last one
        // has to be tried again.
        let mut star: Option<(usize, usize)> = None;
        loop {
            let step = match self.0.get(token) {
                None if at == text.len() => return true,
                None => false,
                Some(Token::AnyRun) => {
                    star = Some((token, at));
                    token += 1;
                    continue;
                }
                Some(one) => text.get(at).is_some_and(|&c| one.takes(c)),
            };
            if step {
                at += 1;
                token += 1;
                continue;
            }
            match star {
                Some((place, reach)) if text.get(reach).is_some_and(|&c| c != '/') => {
                    star = Some((place, reach + 1));
                    (token, at) = (place + 1, reach + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::One(one) => *one == c,
            Self::AnyOne => c != '/',
            Self::Class(class) => class.takes(c),
            Self::AnyRun => false,
        }
    }
}

impl Class {
    /// What stands behind the `[`; `None`: it is none.
    pub fn parse(chars: &mut Peekable<Chars<'_>>) -> Option<Self> {
        let not = chars.next_if_eq(&'^').is_some();
        let mut ranges = Vec::new();
        loop {
            let first = match chars.next()? {
                ']' if !ranges.is_empty() => return Some(Self { not, ranges }),
                ']' | '-' => return None,
                '\\' => chars.next()?,
                c => c,
            };
            let last = match chars.next_if_eq(&'-') {
                None => first,
                Some(_) => match chars.next()? {
                    ']' | '-' => return None,
                    '\\' => chars.next()?,
                    c => c,
                },
            };
            ranges.push((first, last));
        }
    }

    pub fn takes(&self, c: char) -> bool {
        self.ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)) != self.not
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_path_match() {
        for (pattern, text, want) in [
            ("alpine", "alpine", true),
            ("alpine", "alpine:latest", false),
            ("al*", "alpine:latest", true),
            ("*", "a/b", false),
            ("*/*", "a/b", true),
            ("*/b*:1", "x/bab:1", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("*a*b*c", "xxaxxbxxbc", true),
            ("*a*b*c", "xxaxxbxxb", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(
                Glob::parse(pattern).unwrap().matches(text),
                want,
                "{pattern} {text}"
            );
        }
        for bad in ["[", "[]", "[a", "a\\", "[-a]", "[a-]", "[^]"] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn ends_and_does_not_panic(pattern in ".{0,20}", text in ".{0,20}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                glob.matches(&text);
            }
        }
    }
}
