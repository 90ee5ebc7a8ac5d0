//! Third pass: variables in words. All forms of the Dockerfile reference,
//! "Environment replacement": `$a ${a} ${a:-w} ${a-w} ${a:+w} ${a+w} ${a:?w}
//! ${a?w} ${a#p} ${a##p} ${a%p} ${a%%p} ${a/p/w} ${a//p/w}`, quotes, escapes.

use super::pattern::Pattern;
use std::collections::BTreeSet;

/// Substitutions within substitutions; a bound for hostile files.
const MOST_NESTED: usize = 64;
/// What one word may become, in bytes: `$a$a` over and over doubles it.
const MOST_TEXT: usize = 4 << 20;
/// What is searched for a pattern, in bytes: that takes its square.
const MOST_SEARCHED: usize = 16 << 10;

/// Where values come from.
pub trait Variables {
    fn value(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Variables for F {
    fn value(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// A word or several, and what was found out on the way.
#[derive(Debug, Default)]
pub struct Expanded<T> {
    pub value: T,
    /// Names that have no value.
    pub unset: BTreeSet<String>,
    /// Bytes of the value.
    pub size: usize,
}

pub struct Expander<'a> {
    pub variables: &'a dyn Variables,
    pub escape: char,
    /// Quotes and escapes stay: the data of heredocs.
    pub raw: bool,
}

impl<'a> Expander<'a> {
    pub fn new(variables: &'a dyn Variables, escape: char) -> Self {
        Self {
            variables,
            escape,
            raw: false,
        }
    }

    /// `text` as one word, whatever blanks are in it.
    pub fn word(&self, text: &str) -> Result<Expanded<String>, String> {
        let (words, unset) = self.run(text)?;
        Ok(Expanded {
            size: words.whole.len(),
            value: words.whole,
            unset,
        })
    }

    /// `text` in words, divided at blanks outside of quotes.
    pub fn words(&self, text: &str) -> Result<Expanded<Vec<String>>, String> {
        let (words, unset) = self.run(text)?;
        Ok(Expanded {
            size: words.whole.len(),
            value: words.finish(),
            unset,
        })
    }

    fn run(&self, text: &str) -> Result<(Words, BTreeSet<String>), String> {
        let mut scan = Scan {
            by: self,
            chars: text.chars().collect(),
            at: 0,
            depth: 0,
            unset: BTreeSet::new(),
        };
        let words = scan.until(None, self.raw)?;
        Ok((words, scan.unset))
    }
}

/// Text being put together, whole and in words.
#[derive(Default)]
struct Words {
    whole: String,
    list: Vec<String>,
    /// The word under way; `Some("")` when there was a pair of quotes.
    current: Option<String>,
}

impl Words {
    fn end_word(&mut self) {
        self.list.extend(self.current.take());
    }

    /// Text that is not divided.
    fn add(&mut self, text: &str) -> Result<(), String> {
        if self.whole.len() + text.len() > MOST_TEXT {
            return Err(format!("the text becomes longer than {MOST_TEXT} bytes"));
        }
        self.whole.push_str(text);
        self.current.get_or_insert_default().push_str(text);
        Ok(())
    }

    /// A character of the file: blanks divide.
    fn add_plain(&mut self, c: char) -> Result<(), String> {
        if c.is_whitespace() {
            self.whole.push(c);
            self.end_word();
            return Ok(());
        }
        self.add(c.encode_utf8(&mut [0; 4]))
    }

    /// A value: divided at its blanks.
    fn add_value(&mut self, value: &str) -> Result<(), String> {
        if self.whole.len() + value.len() > MOST_TEXT {
            return Err(format!("the text becomes longer than {MOST_TEXT} bytes"));
        }
        self.whole.push_str(value);
        for part in value.split_inclusive(char::is_whitespace) {
            let word = part.trim_end();
            if !word.is_empty() {
                self.current.get_or_insert_default().push_str(word);
            }
            if word.len() < part.len() {
                self.end_word();
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Vec<String> {
        self.end_word();
        self.list
    }
}

struct Scan<'a> {
    by: &'a Expander<'a>,
    chars: Vec<char>,
    at: usize,
    depth: usize,
    unset: BTreeSet<String>,
}

impl Scan<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    /// Up to `stop`, which is taken, or the end, which then is an error.
    fn until(&mut self, stop: Option<char>, raw: bool) -> Result<Words, String> {
        let mut words = Words::default();
        loop {
            let Some(c) = self.next() else {
                return match stop {
                    None => Ok(words),
                    Some(stop) => Err(format!("syntax error: missing '{stop}'")),
                };
            };
            match c {
                c if Some(c) == stop => return Ok(words),
                '\'' if !raw => {
                    let text = self.single_quoted()?;
                    words.add(&text)?;
                }
                '"' if !raw => {
                    let text = self.double_quoted()?;
                    words.add(&text)?;
                }
                '$' => {
                    let value = self.dollar()?;
                    words.add_value(&value)?;
                }
                c if c == self.by.escape => match self.next() {
                    // A dollar is kept from being looked at, and that is all.
                    Some(next) if raw && (next != '$' || stop.is_some()) => {
                        words.add(&format!("{c}{next}"))?;
                    }
                    Some(next) => words.add(next.encode_utf8(&mut [0; 4]))?,
                    None if raw => words.add(c.encode_utf8(&mut [0; 4]))?,
                    None => {}
                },
                c => words.add_plain(c)?,
            }
        }
    }

    fn single_quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('\'') => return Ok(text),
                Some(c) => text.push(c),
                None => return Err(unclosed("single")),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('$') => text += &self.dollar()?,
                Some(c) if c == self.by.escape => match self.next() {
                    Some(next) if next == '"' || next == '$' || next == c => text.push(next),
                    Some(next) => text.extend([c, next]),
                    None => return Err(unclosed("double")),
                },
                Some(c) => text.push(c),
                None => return Err(unclosed("double")),
            }
            if text.len() > MOST_TEXT {
                return Err(format!("the text becomes longer than {MOST_TEXT} bytes"));
            }
        }
    }

    /// After a `$`.
    fn dollar(&mut self) -> Result<String, String> {
        if self.peek() != Some('{') {
            let name = self.name();
            return Ok(match name.is_empty() {
                true => "$".into(),
                false => self.value(&name).unwrap_or_default(),
            });
        }
        self.at += 1;
        match self.peek() {
            None => return Err("syntax error: missing '}'".into()),
            Some('{' | '}' | ':') => return Err("syntax error: bad substitution".into()),
            _ => {}
        }
        self.depth += 1;
        if self.depth > MOST_NESTED {
            return Err(format!(
                "substitutions are nested more than {MOST_NESTED} deep"
            ));
        }
        let name = self.name();
        let value = self.braced(&name);
        self.depth -= 1;
        value
    }

    /// After `${name`.
    fn braced(&mut self, name: &str) -> Result<String, String> {
        let Some(first) = self.next() else {
            return Err("syntax error: missing '}'".into());
        };
        match first {
            '}' => Ok(self.value(name).unwrap_or_default()),
            ':' => {
                let operator = self.next();
                match operator {
                    Some(c @ ('-' | '+' | '?')) => self.default(name, c, true),
                    Some(c) => Err(format!("unsupported modifier (:{c}) in substitution")),
                    None => Err("syntax error: missing '}'".into()),
                }
            }
            '-' | '+' | '?' => self.default(name, first, false),
            '#' | '%' => self.trim(name, first),
            '/' => self.replace(name),
            other => Err(format!("unsupported modifier ({other}) in substitution")),
        }
    }

    /// `${a:-w}` and its like; `or_empty`: with the colon.
    fn default(&mut self, name: &str, operator: char, or_empty: bool) -> Result<String, String> {
        let before = self.unset.clone();
        let word = self.until(Some('}'), false)?.whole;
        let found = self.by.variables.value(name);
        let usable = found.as_ref().is_some_and(|v| !or_empty || !v.is_empty());
        if usable && operator != '+' {
            // The word was not needed, nor what it names.
            self.unset = before;
        }
        match operator {
            '-' if usable => Ok(found.unwrap_or_default()),
            '-' => Ok(word),
            '+' => Ok(if usable { word } else { String::new() }),
            _ if usable => Ok(found.unwrap_or_default()),
            _ => {
                let why = match (word.is_empty(), found.is_some()) {
                    (false, _) => word,
                    (true, false) => "is not allowed to be unset".into(),
                    (true, true) => "is not allowed to be empty".into(),
                };
                Err(format!("{name}: {why}"))
            }
        }
    }

    /// `${a#p}`, `${a##p}`, `${a%p}`, `${a%%p}`.
    fn trim(&mut self, name: &str, operator: char) -> Result<String, String> {
        let longest = self.peek() == Some(operator);
        self.at += usize::from(longest);
        let pattern = Pattern::parse(&self.until(Some('}'), true)?.whole, self.by.escape);
        let value = self.value(name).unwrap_or_default();
        Ok(match operator {
            '#' => pattern.without_prefix(&value, longest),
            _ => pattern.without_suffix(&value, longest),
        })
    }

    /// `${a/p/w}`, `${a//p/w}`.
    fn replace(&mut self, name: &str) -> Result<String, String> {
        let all = self.peek() == Some('/');
        self.at += usize::from(all);
        let pattern = self.until(Some('/'), true)?.whole;
        let word = self.until(Some('}'), true)?.whole;
        let value = self.value(name).unwrap_or_default();
        if value.len() > MOST_SEARCHED {
            return Err(format!("{name}: longer than {MOST_SEARCHED} bytes"));
        }
        let out = Pattern::parse(&pattern, self.by.escape).replace(&value, &word, all);
        match out.len() > MOST_TEXT {
            true => Err(format!("the text becomes longer than {MOST_TEXT} bytes")),
            false => Ok(out),
        }
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let value = self.by.variables.value(name);
        if value.is_none() {
            self.unset.insert(name.to_string());
        }
        value
    }

    /// Letters, digits and underscores; of digits only digits; else one of the
    /// shell's special signs.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let digits = self.peek().is_some_and(|c| c.is_ascii_digit());
        while let Some(c) = self.peek() {
            let belongs = match digits {
                true => c.is_ascii_digit(),
                false => c.is_alphanumeric() || c == '_',
            };
            if !belongs {
                break;
            }
            name.push(c);
            self.at += 1;
        }
        if name.is_empty()
            && let Some(c @ ('@' | '*' | '#' | '?' | '-' | '$' | '!')) = self.peek()
        {
            self.at += 1;
            name.push(c);
        }
        name
    }
}

fn unclosed(which: &str) -> String {
    format!("unexpected end of statement while looking for matching {which}-quote")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(name: &str) -> Option<String> {
        let value = match name {
            "A" => "one",
            "E" => "",
            "P" => "/usr/local/bin",
            "S" => "a b",
            "X" => "foo.tar.gz",
            "_u1" => "under",
            _ => return None,
        };
        Some(value.into())
    }

    fn word(text: &str) -> Result<String, String> {
        Expander::new(&values, '\\').word(text).map(|e| e.value)
    }

    #[test]
    fn every_form() {
        for (text, want) in [
            ("plain", "plain"),
            ("$A", "one"),
            ("${A}", "one"),
            ("$A.$A", "one.one"),
            ("$Ab", ""),
            ("${A}b", "oneb"),
            ("$_u1", "under"),
            ("x$", "x$"),
            ("$ x", "$ x"),
            ("$1x", "x"),
            ("\\$A", "$A"),
            ("\\${A}", "${A}"),
            ("\\\\$A", "\\one"),
            ("'$A'", "$A"),
            ("\"$A\"", "one"),
            ("\"\\$A\"", "$A"),
            ("\"\\x\\\"\"", "\\x\""),
            ("a\\ b", "a b"),
            ("a\\", "a"),
            ("${N:-d}", "d"),
            ("${N-d}", "d"),
            ("${E:-d}", "d"),
            ("${E-d}", ""),
            ("${A:-d}", "one"),
            ("${N:-$A}", "one"),
            ("${N:-${M:-${A}}}", "one"),
            ("${N:-\"a}b\"}", "a}b"),
            ("${A:+d}", "d"),
            ("${E:+d}", ""),
            ("${E+d}", "d"),
            ("${N+d}", ""),
            ("${A:?no}", "one"),
            ("${A?no}", "one"),
            ("${E?no}", ""),
            ("${P#*/}", "usr/local/bin"),
            ("${P##*/}", "bin"),
            ("${P%/*}", "/usr/local"),
            ("${P%%/*}", ""),
            ("${X%.gz}", "foo.tar"),
            ("${X%%.*}", "foo"),
            ("${X#f?}", "o.tar.gz"),
            ("${X#\\*}", "foo.tar.gz"),
            ("${X/o/0}", "f0o.tar.gz"),
            ("${X//o/0}", "f00.tar.gz"),
            ("${X//./}", "footargz"),
            ("${X/.*/}", "foo"),
            ("${N#x}", ""),
            ("${A:-a b}", "one"),
            ("${N:-a b}", "a b"),
        ] {
            assert_eq!(word(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_wrong() {
        for (text, want) in [
            ("${A", "missing '}'"),
            ("${", "missing '}'"),
            ("${}", "bad substitution"),
            ("${:A}", "bad substitution"),
            ("${{A}}", "bad substitution"),
            ("${A:-x", "missing '}'"),
            ("${A:x}", "unsupported modifier (:x)"),
            ("${A:#x}", "unsupported modifier (:#)"),
            ("${A^}", "unsupported modifier (^)"),
            ("${A/x}", "missing '/'"),
            ("${N:?}", "N: is not allowed to be unset"),
            ("${E:?}", "E: is not allowed to be empty"),
            ("${N:?give N}", "N: give N"),
            ("'a", "matching single-quote"),
            ("\"a", "matching double-quote"),
            ("\"a\\", "matching double-quote"),
        ] {
            let error = word(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
        let deep = "${N:-".repeat(100_000) + &"}".repeat(100_000);
        assert!(word(&deep).unwrap_err().contains("nested"));
        let long = |_: &str| Some("x".repeat(1 << 20));
        let error = Expander::new(&long, '\\').word("$a$a$a$a$a").unwrap_err();
        assert!(error.contains("longer than"));
    }

    #[test]
    fn words_are_divided_outside_of_quotes() {
        let words = |text: &str| Expander::new(&values, '\\').words(text).unwrap().value;
        assert_eq!(words("a  $S \"$S\" 'c d'"), ["a", "a", "b", "a b", "c d"]);
        assert_eq!(words("$N x"), ["x"]);
        assert_eq!(words("\"\" x"), ["", "x"]);
        assert_eq!(words("8$A/tcp"), ["8one/tcp"]);
    }

    #[test]
    fn heredocs_keep_quotes_and_escapes() {
        let mut raw = Expander::new(&values, '\\');
        raw.raw = true;
        let of = |text: &str| raw.word(text).unwrap().value;
        assert_eq!(of("\"$A\" '$A' \\$A \\n\n"), "\"one\" 'one' $A \\n\n");
        assert_eq!(of("it's ${N:-\"x\"}"), "it's x");
    }

    #[test]
    fn names_without_a_value_are_told() {
        let unset = |text: &str| {
            let found = Expander::new(&values, '\\').word(text).unwrap().unset;
            found.into_iter().collect::<Vec<_>>().join(",")
        };
        assert_eq!(unset("$A $N ${M}"), "M,N");
        assert_eq!(unset("${N:-x} ${N:+x} ${A:-$M}"), "");
        assert_eq!(unset("${N:-$M}"), "M");
    }

    #[test]
    fn another_escape() {
        let by = Expander::new(&values, '`');
        assert_eq!(by.word("C:\\a `$A `` \\").unwrap().value, "C:\\a $A ` \\");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[$A{}:\\-+?#%/'\"\\\\ *xé]{0,40}") {
            let _ = word(&text);
            let _ = Expander::new(&values, '`').words(&text);
        }
    }
}
