//! First pass: from text to logical lines. Parser directives, comments,
//! continuations and heredocs are dealt with here; what an instruction means is
//! not. Rules are those of the Dockerfile reference, "Format" and
//! "Here-documents", and where it is silent those of BuildKit's parser.

use super::heredoc::{self, Heredoc};
use super::place::{Fault, Parsed, Place};
use crate::error::Error;

/// The largest Dockerfile that is read, in bytes.
pub const MAX_FILE: usize = 8 << 20;

/// What is said in comments before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// The character of continuations and quoting.
    pub escape: char,
    /// A frontend image: never executed, the language here is built in.
    pub syntax: Option<String>,
    /// `skip=…;error=…` of the build checks.
    pub check: Option<String>,
}

/// An instruction as it stands there, its continuations joined.
#[derive(Debug, Clone)]
pub struct Line {
    pub place: Place,
    /// The instruction as it was typed.
    pub word: String,
    /// What follows it, without the blanks around it.
    pub rest: String,
    pub heredocs: Vec<Heredoc>,
    /// The comment right above, without its signs.
    pub comment: Vec<String>,
    /// A blank line stood within it.
    pub has_blank: bool,
    /// Where the parts of `rest` come from.
    pieces: Vec<Piece>,
}

/// From `offset` in the joined text on, it is text of `line` from `column` on.
#[derive(Debug, Clone, Copy)]
struct Piece {
    offset: usize,
    line: usize,
    column: usize,
}

impl Line {
    /// The instruction in lower case.
    pub fn name(&self) -> String {
        self.word.to_ascii_lowercase()
    }

    /// Where the byte `offset` of `rest` stands in the file.
    pub fn spot(&self, offset: usize) -> Place {
        let piece = self.pieces.iter().rev().find(|p| p.offset <= offset);
        match piece {
            Some(piece) => Place {
                first: piece.line,
                last: self.place.last.max(piece.line),
                column: piece.column + (offset - piece.offset),
            },
            None => self.place,
        }
    }

    /// An error of this instruction as a whole.
    pub fn fault(&self, message: impl std::fmt::Display) -> Fault {
        Fault::parse(self.place, message)
    }

    /// An instruction that comes from elsewhere: an image's trigger.
    pub fn trigger(text: &str, place: Place) -> Self {
        let (word, rest) = split_word(text.trim());
        Self {
            place,
            word: word.to_string(),
            rest: rest.to_string(),
            heredocs: Vec::new(),
            comment: Vec::new(),
            has_blank: false,
            pieces: Vec::new(),
        }
    }
}

/// A Dockerfile in lines.
#[derive(Debug)]
pub struct Lines {
    pub directives: Directives,
    pub lines: Vec<Line>,
}

/// Reads the text of a Dockerfile.
pub fn read(text: &[u8]) -> Parsed<Lines> {
    if text.len() > MAX_FILE {
        return Err(Error::invalid(format!(
            "the Dockerfile has {} bytes, more than {MAX_FILE}",
            text.len()
        ))
        .into());
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let physical: Vec<&[u8]> = text.split_inclusive(|&b| b == b'\n').collect();
    let directives = directives(&physical)?;
    let mut reader = Reader {
        physical,
        at: 0,
        escape: directives.escape,
    };
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line()? {
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(Error::invalid("file with no instructions")
            .hint("a Dockerfile begins with FROM, or with ARG and FROM")
            .into());
    }
    Ok(Lines { directives, lines })
}

/// `# name=value` at the very top; the first other line ends them.
fn directives(physical: &[&[u8]]) -> Parsed<Directives> {
    let mut found = Directives {
        escape: '\\',
        syntax: None,
        check: None,
    };
    let mut seen: Vec<String> = Vec::new();
    for (i, line) in physical.iter().enumerate() {
        let line = String::from_utf8_lossy(line);
        let Some((name, value)) = directive(&line) else {
            break;
        };
        let place = Place::line(i + 1);
        if seen.contains(&name) {
            return Err(Fault::parse(
                place,
                format!("only one {name} parser directive can be used"),
            ));
        }
        match name.as_str() {
            "escape" => {
                found.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    other => {
                        return Err(Fault::parse(
                            place,
                            format!("invalid escape token '{other}' does not match ` or \\"),
                        ));
                    }
                }
            }
            "syntax" => found.syntax = Some(value.to_string()),
            "check" => found.check = Some(value.to_string()),
            // Treated as a comment, and comments end the directives.
            _ => break,
        }
        seen.push(name);
    }
    Ok(found)
}

fn directive(line: &str) -> Option<(String, &str)> {
    let body = line.trim_start().strip_prefix('#')?;
    let (name, value) = body.split_once('=')?;
    let name = name.trim();
    let word = !name.is_empty()
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric());
    let value = value.trim();
    (word && !value.is_empty()).then(|| (name.to_ascii_lowercase(), value))
}

struct Reader<'a> {
    physical: Vec<&'a [u8]>,
    at: usize,
    escape: char,
}

impl<'a> Reader<'a> {
    /// The next physical line with its number, its line end cut off.
    fn take(&mut self) -> Option<(usize, &'a [u8])> {
        let line = *self.physical.get(self.at)?;
        self.at += 1;
        Some((self.at, trim_end(line)))
    }

    fn next_line(&mut self) -> Parsed<Option<Line>> {
        let mut comment = Vec::new();
        loop {
            let Some((number, bytes)) = self.take() else {
                return Ok(None);
            };
            if let Some(text) = comment_of(bytes) {
                comment.push(text);
                continue;
            }
            let text = utf8(bytes, number)?;
            let trimmed = text.trim_start();
            let mut joined = Joined::default();
            let goes_on = joined.push(trimmed, number, text, self.escape);
            if !goes_on && joined.text.is_empty() {
                comment.clear();
                continue;
            }
            if goes_on {
                self.continuations(&mut joined)?;
            }
            let place = Place {
                first: number,
                last: self.at,
                column: joined.pieces[0].column,
            };
            if joined.text.trim().is_empty() {
                // Nothing but continuations.
                continue;
            }
            return self.finish(joined, place, comment).map(Some);
        }
    }

    /// Joins what follows; comments within are dropped, blank lines noted.
    fn continuations(&mut self, joined: &mut Joined) -> Parsed<()> {
        loop {
            let Some((number, bytes)) = self.take() else {
                return Ok(());
            };
            if comment_of(bytes).is_some() {
                continue;
            }
            let text = utf8(bytes, number)?;
            if text.trim().is_empty() {
                joined.has_blank = true;
                continue;
            }
            if !joined.push(text, number, text, self.escape) {
                return Ok(());
            }
        }
    }

    fn finish(&mut self, joined: Joined, mut place: Place, comment: Vec<String>) -> Parsed<Line> {
        let (word, rest) = split_word(&joined.text);
        let start = rest.as_ptr() as usize - joined.text.as_ptr() as usize;
        let mut heredocs = Vec::new();
        if heredoc::may_have(word, rest) {
            for mut found in heredoc::in_line(rest) {
                found.data = self.heredoc(&found, place)?;
                heredocs.push(found);
            }
        }
        place.last = self.at;
        Ok(Line {
            place,
            word: word.to_string(),
            rest: rest.to_string(),
            heredocs,
            comment,
            has_blank: joined.has_blank,
            pieces: below(&joined.pieces, start),
        })
    }

    /// The lines up to the terminator, as they are.
    fn heredoc(&mut self, heredoc: &Heredoc, place: Place) -> Parsed<String> {
        let mut content = Vec::new();
        while let Some(&line) = self.physical.get(self.at) {
            self.at += 1;
            let end = trim_end(line);
            let end = match heredoc.chomp {
                true => &end[end.iter().take_while(|&&b| b == b'\t').count()..],
                false => end,
            };
            if end == heredoc.name.as_bytes() {
                return String::from_utf8(content).map_err(|_| {
                    Fault::parse(place, format!("heredoc {} is not UTF-8", heredoc.name))
                });
            }
            content.extend_from_slice(line);
        }
        Err(Fault::parse(place, "unterminated heredoc")
            .hint(format!("a line with {} alone ends it", heredoc.name)))
    }
}

#[derive(Default)]
struct Joined {
    text: String,
    pieces: Vec<Piece>,
    has_blank: bool,
}

impl Joined {
    /// Adds `part` of the physical line `whole`; whether the next one belongs
    /// to it.
    fn push(&mut self, part: &str, line: usize, whole: &str, escape: char) -> bool {
        self.pieces.push(Piece {
            offset: self.text.len(),
            line,
            column: whole.len() - part.len() + 1,
        });
        let blank = [' ', '\t'];
        let cut = part.trim_end_matches(blank);
        let continued = cut
            .strip_suffix(escape)
            .filter(|before| !before.ends_with(escape));
        match continued {
            Some(before) => self.text.push_str(before),
            None => self.text.push_str(part),
        }
        continued.is_some()
    }
}

/// The pieces of what begins at `start`, with offsets from there.
fn below(pieces: &[Piece], start: usize) -> Vec<Piece> {
    let first = pieces.iter().rposition(|p| p.offset <= start).unwrap_or(0);
    pieces[first..]
        .iter()
        .map(|p| match p.offset >= start {
            true => Piece {
                offset: p.offset - start,
                ..*p
            },
            false => Piece {
                offset: 0,
                line: p.line,
                column: p.column + (start - p.offset),
            },
        })
        .collect()
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.find(char::is_whitespace) {
        Some(at) => (&text[..at], text[at..].trim_start()),
        None => (text, &text[text.len()..]),
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn comment_of(line: &[u8]) -> Option<String> {
    let text = line.trim_ascii_start().strip_prefix(b"#")?;
    Some(String::from_utf8_lossy(text.trim_ascii()).into_owned())
}

fn utf8(bytes: &[u8], line: usize) -> Parsed<&str> {
    std::str::from_utf8(bytes).map_err(|e| {
        let mut place = Place::line(line);
        place.column = e.valid_up_to() + 1;
        Fault::parse(place, "the line is not UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(String, String)> {
        let read = read(text.as_bytes()).unwrap();
        read.lines.into_iter().map(|l| (l.word, l.rest)).collect()
    }

    fn message(text: &[u8]) -> String {
        read(text).unwrap_err().error.message().to_string()
    }

    #[test]
    fn continuations_and_comments() {
        for (text, want) in [
            ("FROM a", &[("FROM", "a")][..]),
            ("\u{feff}FROM a\r\n", &[("FROM", "a")]),
            ("  from  a  ", &[("from", "a")]),
            ("RUN a \\\n  b", &[("RUN", "a   b")]),
            ("RUN a \\  \t\n  b", &[("RUN", "a   b")]),
            ("RUN a\\\n# note\n  # note\nb", &[("RUN", "ab")]),
            ("RUN a \\\n\n\nb", &[("RUN", "a b")]),
            ("RUN a \\\\\nRUN b", &[("RUN", "a \\\\"), ("RUN", "b")]),
            ("RUN a \\", &[("RUN", "a")]),
            ("R\\\nUN a", &[("RUN", "a")]),
            ("# c\n\n # d\nRUN a # b", &[("RUN", "a # b")]),
            ("\\\n\\\nRUN a", &[("RUN", "a")]),
            (
                "# escape=`\nRUN a `\nb\\\nRUN c",
                &[("RUN", "a b\\"), ("RUN", "c")],
            ),
            ("RUN\ta", &[("RUN", "a")]),
            ("RUN", &[("RUN", "")]),
            ("RUN a \\\r\n b\r\n", &[("RUN", "a  b")]),
        ] {
            let want: Vec<_> = want
                .iter()
                .map(|(a, b)| (a.to_string(), b.to_string()))
                .collect();
            assert_eq!(lines(text), want, "{text:?}");
        }
        let read = read(b"RUN a \\\n\nb\n").unwrap();
        assert!(read.lines[0].has_blank);
    }

    #[test]
    fn directives_come_first() {
        let of = |text: &str| read(text.as_bytes()).unwrap().directives;
        assert_eq!(of("FROM a").escape, '\\');
        assert_eq!(of("# Escape = `\nFROM a").escape, '`');
        assert_eq!(
            of("#syntax=docker/dockerfile:1\n#escape=`\nFROM a").escape,
            '`'
        );
        let both = of("# syntax=a/b:1\n# check=skip=all\nFROM a");
        assert_eq!(both.syntax.as_deref(), Some("a/b:1"));
        assert_eq!(both.check.as_deref(), Some("skip=all"));
        // A comment, a blank line or an instruction ends them.
        for text in [
            "# hi\n#escape=`\nFROM a",
            "\n#escape=`\nFROM a",
            "FROM a\n#escape=`",
            "# x=1\n#escape=`\nFROM a",
        ] {
            assert_eq!(of(text).escape, '\\', "{text}");
        }
        assert!(message(b"#escape=x\nFROM a").contains("invalid escape token 'x'"));
        assert!(message(b"#escape=`\n#escape=`\nFROM a").contains("only one escape"));
    }

    #[test]
    fn heredocs_are_taken_as_they_are() {
        let text = "RUN <<EOF\n # no comment\n\n a \\\nEOF\nCOPY <<-\"X\" <<Y /d/\n\t1 $a\n\tX\n2\nY\nRUN b";
        let read = read(text.as_bytes()).unwrap();
        let names: Vec<_> = read.lines.iter().map(|l| l.word.as_str()).collect();
        assert_eq!(names, ["RUN", "COPY", "RUN"]);
        assert_eq!(read.lines[0].heredocs[0].data, " # no comment\n\n a \\\n");
        let copy = &read.lines[1];
        assert_eq!((copy.place.first, copy.place.last), (6, 10));
        let all: Vec<_> = copy
            .heredocs
            .iter()
            .map(|h| (h.name.as_str(), h.expand, h.chomp, h.data.as_str()))
            .collect();
        assert_eq!(
            all,
            [("X", false, true, "\t1 $a\n"), ("Y", true, false, "2\n")]
        );
        for none in [
            "ENV a <<EOF",
            "RUN [\"a\", \"<<EOF\"]",
            "RUN echo $((1<<2))",
            "RUN a <<<b",
        ] {
            assert!(lines(none)[0].1.contains("<<"), "{none}");
        }
        assert!(message(b"RUN <<EOF\nx\n").contains("unterminated heredoc"));
        assert!(message(b"RUN <<EOF\nx\n EOF\n").contains("unterminated heredoc"));
    }

    #[test]
    fn spots_are_found_through_continuations() {
        let read = read(b"FROM a\n  RUN x \\\n    yy zz\n").unwrap();
        let run = &read.lines[1];
        assert_eq!(run.rest, "x     yy zz");
        assert_eq!((run.place.first, run.place.column), (2, 3));
        let spot = |needle: &str| {
            let place = run.spot(run.rest.find(needle).unwrap());
            (place.first, place.column)
        };
        assert_eq!(
            (spot("x"), spot("yy"), spot("zz")),
            ((2, 7), (3, 5), (3, 8))
        );
    }

    #[test]
    fn hostile_files_are_errors() {
        assert_eq!(message(b""), "file with no instructions");
        assert_eq!(message(b"# only\n\n"), "file with no instructions");
        assert!(message(b"FROM a\nRUN \xff\n").contains("line 2: the line is not UTF-8"));
        assert!(message(&vec![b'a'; MAX_FILE + 1]).contains("bytes"));
        // Comments may be in any encoding.
        assert!(read(b"# \xe4\nFROM a").is_ok());
        let many = "\\\n".repeat(100_000) + "RUN a";
        assert_eq!(lines(&many), [("RUN".to_string(), "a".to_string())]);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(?s)[RUNCOPY<>EF\\-`'\" \\\\\n#=$]{0,80}") {
            let _ = read(text.as_bytes());
        }
    }
}
