//! The files of command lines: read, and written anew when recorded.

use std::fmt::Write;

/// One line of a file, or a case with what belongs to it.
pub enum Item {
    /// A comment or an empty line.
    Text(String),
    /// `== TITLE`: from here on with no containers and an empty directory.
    Section(String),
    /// `% SHELL`: done on the host, in the directory of the section.
    Host(String),
    /// `+ ARGS`: has to succeed and is not compared.
    Setup(String),
    Case(Box<Case>),
}

/// `$ ARGS` and the lines after it.
#[derive(Default)]
pub struct Case {
    pub line: String,
    /// `| TEXT`: a line of standard input.
    pub stdin: String,
    /// `:stdout`, `:stderr`.
    pub stdout: Stdout,
    pub stderr: Stderr,
    /// `? PART ROW`: what differs, and its row in docs/compat.md.
    pub known: Vec<(String, String)>,
    pub recorded: Answer,
}

/// What of standard output has to agree.
#[derive(Default, PartialEq)]
pub enum Stdout {
    /// All, in normal form.
    #[default]
    Same,
    /// The lines in any order.
    Sorted,
    /// The number of lines, and of columns in each.
    Columns,
    /// Whether there is anything.
    Any,
}

/// What of standard error has to agree.
#[derive(Default, PartialEq)]
pub enum Stderr {
    /// The sentences, without what stands around them.
    #[default]
    Same,
    /// Both have this phrase.
    Says(String),
    /// Whether there is anything.
    Any,
}

/// How a command line was answered, in normal form.
#[derive(Default)]
pub struct Answer {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Fails with the number of a line that makes no sense.
pub fn parse(text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        let item = match mark {
            "" | "#" => Item::Text(line.into()),
            "==" => Item::Section(rest.into()),
            "%" => Item::Host(rest.into()),
            "+" => Item::Setup(rest.into()),
            "$" => Item::Case(Box::new(Case {
                line: rest.into(),
                ..Case::default()
            })),
            _ => {
                let Some(Item::Case(case)) = items.last_mut() else {
                    panic!("line {}: {line:?} follows no case", number + 1);
                };
                case.read(mark, rest, number + 1);
                continue;
            }
        };
        items.push(item);
    }
    items
}

impl Case {
    fn read(&mut self, mark: &str, rest: &str, number: usize) {
        match (mark, rest.split_once(' ').unwrap_or((rest, ""))) {
            ("|", _) => self.stdin += &format!("{rest}\n"),
            (":stdout", ("sorted", "")) => self.stdout = Stdout::Sorted,
            (":stdout", ("columns", "")) => self.stdout = Stdout::Columns,
            (":stdout", ("any", "")) => self.stdout = Stdout::Any,
            (":stderr", ("any", "")) => self.stderr = Stderr::Any,
            (":stderr", ("says", phrase)) => self.stderr = Stderr::Says(phrase.into()),
            ("?", (part @ ("status" | "stdout" | "stderr"), row)) if !row.is_empty() => {
                self.known.push((part.into(), row.into()));
            }
            ("=", _) => self.recorded.status = rest.parse().expect("a status"),
            ("1", _) => self.recorded.stdout += &format!("{rest}\n"),
            ("2", _) => self.recorded.stderr += &format!("{rest}\n"),
            _ => panic!("line {number}: no such mark: {mark} {rest}"),
        }
    }

    /// Of an output that is not compared the first line is enough.
    pub fn shorten(&mut self) {
        let first = |text: &mut String| {
            let line = text.lines().next().map(|line| format!("{line}\n"));
            *text = line.unwrap_or_default();
        };
        if self.stdout == Stdout::Any {
            first(&mut self.recorded.stdout);
        }
        if self.stderr == Stderr::Any {
            first(&mut self.recorded.stderr);
        }
    }

    fn write(&self, out: &mut String) {
        let _ = writeln!(out, "$ {}", self.line);
        prefixed(out, "|", &self.stdin);
        match &self.stdout {
            Stdout::Same => {}
            Stdout::Sorted => out.push_str(":stdout sorted\n"),
            Stdout::Columns => out.push_str(":stdout columns\n"),
            Stdout::Any => out.push_str(":stdout any\n"),
        }
        match &self.stderr {
            Stderr::Same => {}
            Stderr::Says(phrase) => _ = writeln!(out, ":stderr says {phrase}"),
            Stderr::Any => out.push_str(":stderr any\n"),
        }
        for (part, row) in &self.known {
            let _ = writeln!(out, "? {part} {row}");
        }
        let _ = writeln!(out, "= {}", self.recorded.status);
        prefixed(out, "1", &self.recorded.stdout);
        prefixed(out, "2", &self.recorded.stderr);
    }
}

fn prefixed(out: &mut String, mark: &str, text: &str) {
    for line in text.lines() {
        let _ = match line {
            "" => writeln!(out, "{mark}"),
            line => writeln!(out, "{mark} {line}"),
        };
    }
}

pub fn print(items: &[Item]) -> String {
    let mut out = String::new();
    for item in items {
        let _ = match item {
            Item::Text(line) => writeln!(out, "{line}"),
            Item::Section(title) => writeln!(out, "== {title}"),
            Item::Host(line) => writeln!(out, "% {line}"),
            Item::Setup(line) => writeln!(out, "+ {line}"),
            Item::Case(case) => {
                case.write(&mut out);
                Ok(())
            }
        };
    }
    out
}

/// The words of a line: `'…'` keeps blanks, and `\'` is not needed anywhere.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    assert!(!quoted, "a quote is not closed: {line}");
    if begun {
        words.push(word);
    }
    words
}

#[test]
fn files_are_read_as_they_are_written() {
    let text = "# note\n\n== part\n% touch x\n+ run x\n$ ps 'a  b' ''\n| in\n:stdout columns\n\
                :stderr says no\n? stderr daemon\n= 3\n1 a\n1\n1 b\n2 c\n";
    let items = parse(text);
    assert_eq!(print(&items), text);
    let Some(Item::Case(case)) = items.last() else {
        panic!("no case");
    };
    assert_eq!(words(&case.line), ["ps", "a  b", ""]);
    assert_eq!(
        (case.recorded.status, &*case.recorded.stdout),
        (3, "a\n\nb\n")
    );
}
