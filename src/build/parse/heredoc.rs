//! Here-documents: recognising `<<NAME` among an instruction's words.

use super::words;

/// `[FD]<<[-]NAME` and what stands below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    pub name: String,
    /// The name is not quoted: variables in the data are expanded (COPY, ADD).
    pub expand: bool,
    /// `<<-`: tabs at the beginnings of lines go.
    pub chomp: bool,
    pub data: String,
}

impl Heredoc {
    /// The data as they are used.
    pub fn content(&self) -> String {
        if !self.chomp {
            return self.data.clone();
        }
        let lines = self.data.split_inclusive('\n');
        lines.map(|line| line.trim_start_matches('\t')).collect()
    }

    /// A word that is a heredoc and nothing else.
    pub fn of_word(word: &str) -> Option<Self> {
        let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
        let rest = rest.strip_prefix("<<")?;
        let (chomp, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if rest.is_empty() || rest.contains('<') {
            return None;
        }
        if words::quoted_words(rest)?.len() != 1 {
            return None;
        }
        // Quotes in the name say that the data are not to be looked into.
        let name = words::unquoted(rest)?;
        if name.is_empty() {
            return None;
        }
        Some(Self {
            expand: name == rest,
            name,
            chomp,
            data: String::new(),
        })
    }
}

/// RUN, COPY and ADD may have them, also below ONBUILD, but not in JSON form.
pub fn may_have(word: &str, rest: &str) -> bool {
    let (word, rest) = match word.eq_ignore_ascii_case("onbuild") {
        true => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        false => (word, rest),
    };
    let takes = ["run", "copy", "add"]
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name));
    let arguments = words::after_flags(rest, '\\').trim_start();
    takes && rest.contains("<<") && words::json_array(arguments).is_none()
}

/// The heredocs of a line, their data still missing. A line whose quotes do
/// not match has none: a shell will say so.
pub fn in_line(rest: &str) -> Vec<Heredoc> {
    let words = words::quoted_words(rest).unwrap_or_default();
    words
        .iter()
        .filter_map(|word| Heredoc::of_word(word))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_heredocs() {
        for (word, want) in [
            ("<<EOF", Some(("EOF", true, false))),
            ("<<-EOF", Some(("EOF", true, true))),
            ("3<<EOF", Some(("EOF", true, false))),
            ("<<'EOF'", Some(("EOF", false, false))),
            ("<<\"E O\"", Some(("E O", false, false))),
            ("<<E\\OF", Some(("EOF", false, false))),
            ("<<", None),
            ("<<-", None),
            ("<<<x", None),
            ("a<<EOF", None),
            ("<<''", None),
            ("<<'x", None),
            ("<<EOF cat", None),
            ("<<EOF\tx", None),
            ("EOF", None),
        ] {
            let found = Heredoc::of_word(word);
            let found = found.as_ref().map(|h| (h.name.as_str(), h.expand, h.chomp));
            assert_eq!(found, want, "{word}");
        }
    }

    #[test]
    fn tabs_go() {
        let heredoc = Heredoc {
            data: "\t\ta\n\t b\nc\t\n".into(),
            ..Heredoc::of_word("<<-X").unwrap()
        };
        assert_eq!(heredoc.content(), "a\n b\nc\t\n");
    }
}
