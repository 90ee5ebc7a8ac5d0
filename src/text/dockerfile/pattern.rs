//! Patterns of `${a#p}` and `${a/p/w}`: `*` and `?`, and nothing else.

pub struct Pattern(Vec<Token>);

#[derive(PartialEq)]
enum Token {
    One(char),
    AnyOne,
    AnyRun,
}

impl Pattern {
    /// `escape` takes the next character as it is.
    pub fn parse(text: &str, escape: char) -> Self {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                // Several in a row say nothing more.
                '*' if tokens.last() == Some(&Token::AnyRun) => {}
                '*' => tokens.push(Token::AnyRun),
                '?' => tokens.push(Token::AnyOne),
                c if c == escape => tokens.push(Token::One(chars.next().unwrap_or(c))),
                c => tokens.push(Token::One(c)),
            }
        }
        Self(tokens)
    }

    /// Lengths of the beginnings of `text` that it describes, in one pass over
    /// the text: what it takes is bounded by text times pattern.
    fn lengths(&self, text: &[char]) -> Vec<usize> {
        let mut at = vec![false; self.0.len() + 1];
        at[0] = true;
        self.skip_runs(&mut at);
        let mut found = Vec::new();
        for length in 0..=text.len() {
            if at[self.0.len()] {
                found.push(length);
            }
            let Some(&c) = text.get(length) else {
                break;
            };
            let mut next = vec![false; at.len()];
            for (i, token) in self.0.iter().enumerate().filter(|(i, _)| at[*i]) {
                match token {
                    Token::One(one) => next[i + 1] |= *one == c,
                    Token::AnyOne => next[i + 1] = true,
                    Token::AnyRun => next[i] = true,
                }
            }
            self.skip_runs(&mut next);
            if !next.contains(&true) {
                break;
            }
            at = next;
        }
        found
    }

    /// A run may be empty.
    fn skip_runs(&self, at: &mut [bool]) {
        for i in 0..self.0.len() {
            if at[i] && self.0[i] == Token::AnyRun {
                at[i + 1] = true;
            }
        }
    }

    fn reversed(&self) -> Self {
        let tokens = self.0.iter().rev().map(|token| match token {
            Token::One(c) => Token::One(*c),
            Token::AnyOne => Token::AnyOne,
            Token::AnyRun => Token::AnyRun,
        });
        Self(tokens.collect())
    }

    pub fn without_prefix(&self, value: &str, longest: bool) -> String {
        let text: Vec<char> = value.chars().collect();
        let lengths = self.lengths(&text);
        let cut = match longest {
            true => lengths.last(),
            false => lengths.first(),
        };
        text[cut.copied().unwrap_or(0)..].iter().collect()
    }

    pub fn without_suffix(&self, value: &str, longest: bool) -> String {
        let text: String = value.chars().rev().collect();
        let left = self.reversed().without_prefix(&text, longest);
        left.chars().rev().collect()
    }

    /// The first place, or all of them; runs reach as far as they can.
    pub fn replace(&self, value: &str, word: &str, all: bool) -> String {
        let text: Vec<char> = value.chars().collect();
        let mut out = String::new();
        let mut at = 0;
        while at < text.len() {
            match self.lengths(&text[at..]).last() {
                Some(&length) if length > 0 => {
                    out.push_str(word);
                    at += length;
                    if !all {
                        break;
                    }
                }
                _ => {
                    out.push(text[at]);
                    at += 1;
                }
            }
        }
        out.extend(&text[at..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn shortest_and_longest() {
        let of = |pattern: &str| Pattern::parse(pattern, '\\');
        for (pattern, text, short, long) in [
            ("a*", "abab", "bab", ""),
            ("*a", "abab", "bab", "b"),
            ("x", "abab", "abab", "abab"),
            ("", "abab", "abab", "abab"),
            ("??", "ab", "", ""),
            ("\\*", "*a", "a", "a"),
        ] {
            let got = (
                of(pattern).without_prefix(text, false),
                of(pattern).without_prefix(text, true),
            );
            assert_eq!(got, (short.into(), long.into()), "{pattern} {text}");
        }
        assert_eq!(of("*.*").without_suffix("a.b.c", false), "a.b");
        assert_eq!(of(".*").without_suffix("a.b.c", true), "a");
        assert_eq!(of("").replace("ab", "x", true), "ab");
        assert_eq!(of("*").replace("ab", "x", true), "x");
        assert_eq!(of("b*").replace("abcb", "x", false), "ax");
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = Pattern::parse(&"a*".repeat(200), '\\');
        assert_eq!(pattern.without_prefix(&"a".repeat(5000), true), "");
        let text = "a".repeat(5000) + "b";
        assert_eq!(pattern.replace(&text, "x", true), "x");
    }
}
