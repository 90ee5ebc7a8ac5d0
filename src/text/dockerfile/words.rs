//! Taking instructions apart: flags, quoted words, JSON arrays.

/// A flag in front of an instruction's arguments, and where it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// With its dashes, quotes removed: `--from=x`.
    pub text: String,
    pub offset: usize,
}

/// The words in front that begin with `--`, quotes removed; `--` alone ends
/// them. The offset of what follows.
pub fn flags(rest: &str, escape: char) -> (Vec<Flag>, usize) {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let blanks = rest[at..].len() - rest[at..].trim_start().len();
        let start = at + blanks;
        if !rest[start..].starts_with("--") {
            return (found, start);
        }
        let (text, length) = plain_word(&rest[start..], escape);
        at = start + length;
        if text == "--" {
            let more = rest[at..].len() - rest[at..].trim_start().len();
            return (found, at + more);
        }
        found.push(Flag {
            text,
            offset: start,
        });
    }
}

/// What follows the flags.
pub fn after_flags(rest: &str, escape: char) -> &str {
    &rest[flags(rest, escape).1..]
}

/// One word without its quotes and escapes, and its length with them. A quote
/// that is not closed goes to the end.
fn plain_word(text: &str, escape: char) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => return (word, at),
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            (c, _) if c == escape && quote != Some('\'') => match chars.next() {
                Some((_, next)) => word.push(next),
                None => word.push(c),
            },
            (c, _) => word.push(c),
        }
    }
    (word, text.len())
}

/// Words divided by blanks outside of quotes, quotes and escapes kept as they
/// are: `a="b c" d` has two. `None`: a quote is not closed.
pub fn quoted_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut braces = 0_usize;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() && braces == 0 => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            ('$', None) if chars.peek() == Some(&'{') => braces += 1,
            ('}', None) => braces = braces.saturating_sub(1),
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            _ => {}
        }
        word.push(c);
        if c == '\\' && quote != Some('\'') {
            word.extend(chars.next());
        }
    }
    if quote.is_some() {
        return None;
    }
    if !word.is_empty() {
        words.push(word);
    }
    Some(words)
}

/// The same for `ENV`, `LABEL` and `ARG`, whose quotes may stay open (what is
/// wrong with them is found when they are expanded). With each word's offset.
pub fn assignments(text: &str, escape: char) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    let (mut word, mut start) = (String::new(), 0);
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            (c, None) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push((start, std::mem::take(&mut word)));
                }
                continue;
            }
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            _ => {}
        }
        if word.is_empty() {
            start = at;
        }
        word.push(c);
        if c == escape && quote != Some('\'') {
            word.extend(chars.next().map(|(_, next)| next));
        }
    }
    if !word.is_empty() {
        words.push((start, word));
    }
    words
}

/// What a word means without any variable. `None`: a quote is not closed.
pub fn unquoted(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            ('\\', None | Some('"')) => out.extend(chars.next()),
            (c, _) => out.push(c),
        }
    }
    quote.is_none().then_some(out)
}

/// A JSON array of strings. `None`: it is not one, and means something else.
pub fn json_array(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if !text.starts_with('[') {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// It is an array, but not of strings only: that is always an error.
pub fn is_other_array(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('[')
        && json_array(text).is_none()
        && serde_json::from_str::<Vec<serde::de::IgnoredAny>>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_in_front() {
        for (text, want, rest) in [
            ("a b", &[][..], "a b"),
            ("--x a", &["--x"], "a"),
            ("--x=1 --y='2 3' a", &["--x=1", "--y=2 3"], "a"),
            ("--x=\"a\\\" b\" c", &["--x=a\" b"], "c"),
            ("-x a", &[], "-x a"),
            ("--x -- --y", &["--x"], "--y"),
            ("--x", &["--x"], ""),
            ("--x='open a", &["--x=open a"], ""),
            ("a --x", &[], "a --x"),
            ("--x=a\\ b c", &["--x=a b"], "c"),
        ] {
            let (found, at) = flags(text, '\\');
            let found: Vec<_> = found.iter().map(|f| f.text.as_str()).collect();
            assert_eq!((found.as_slice(), &text[at..]), (want, rest), "{text}");
        }
        let (found, _) = flags("  --x=1 --y", '\\');
        assert_eq!((found[0].offset, found[1].offset), (2, 8));
    }

    #[test]
    fn words_with_quotes() {
        for (text, want) in [
            ("a b", &["a", "b"][..]),
            ("a=\"b c\" d='e f'", &["a=\"b c\"", "d='e f'"]),
            ("a\\ b c", &["a\\ b", "c"]),
            ("'a\\' b", &["'a\\'", "b"]),
            ("${a:-b c} d", &["${a:-b c}", "d"]),
            ("", &[]),
        ] {
            assert_eq!(quoted_words(text).unwrap(), want, "{text}");
        }
        assert_eq!(quoted_words("a 'b"), None);
        let open = assignments("a=1 b='c d", '\\');
        assert_eq!(open, [(0, "a=1".into()), (4, "b='c d".into())]);
        assert_eq!(assignments("a=b` c", '`'), [(0, "a=b` c".into())]);
    }

    #[test]
    fn json() {
        assert_eq!(json_array(" [\"a\", \"b\"] ").unwrap(), ["a", "b"]);
        assert_eq!(json_array("[]").unwrap(), Vec::<String>::new());
        for no in ["['a']", "[\"a\",]", "a", "{}", "[\"a\"] b", "[a]", "[1]"] {
            assert_eq!(json_array(no), None, "{no}");
        }
        assert!(is_other_array("[1, \"a\"]") && is_other_array("[[\"a\"]]"));
        assert!(!is_other_array("[ -f x ]") && !is_other_array("[\"a\"]"));
        assert!(json_array(&"[".repeat(100_000)).is_none());
        assert!(!is_other_array(&"[".repeat(100_000)));
    }
}
