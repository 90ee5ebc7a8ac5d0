//! Progress in lines, as BuildKit writes it into pipes.

use crate::build::progress::{Id, Outcome, Progress, Vertex};
use crate::text::escape::visible;
use std::collections::HashMap;
use std::io::Write;
use std::time::Instant;

pub struct Plain<W> {
    out: W,
    /// Controls are spelled out: it is a terminal.
    careful: bool,
    began: HashMap<Id, Begun>,
    next: usize,
}

struct Begun {
    number: usize,
    at: Instant,
    /// A line whose end has not come yet.
    open: Vec<u8>,
}

impl<W: Write> Plain<W> {
    pub fn new(out: W, careful: bool) -> Self {
        Self {
            out,
            careful,
            began: HashMap::new(),
            next: 0,
        }
    }

    /// That nobody reads is nothing that could be told.
    fn write(&mut self, bytes: &[u8]) {
        let _ = self.out.write_all(bytes).and_then(|()| self.out.flush());
    }

    fn line(&mut self, number: usize, at: f64, line: &[u8]) {
        let mut text = format!("#{number} {at:.3} ").into_bytes();
        match self.careful {
            true => text.extend(visible(&String::from_utf8_lossy(line)).as_bytes()),
            false => text.extend(line),
        }
        text.push(b'\n');
        self.write(&text);
    }
}

impl<W: Write> Progress for Plain<W> {
    fn begin(&mut self, vertex: &Vertex) {
        if self.began.contains_key(&vertex.id) {
            return;
        }
        self.next += 1;
        let begun = Begun {
            number: self.next,
            at: Instant::now(),
            open: Vec::new(),
        };
        self.write(format!("#{} {}\n", begun.number, visible(&vertex.name)).as_bytes());
        self.began.insert(vertex.id, begun);
    }

    fn log(&mut self, id: Id, bytes: &[u8]) {
        let Some(begun) = self.began.get_mut(&id) else {
            return;
        };
        let (number, at) = (begun.number, begun.at.elapsed().as_secs_f64());
        begun.open.extend_from_slice(bytes);
        let open = std::mem::take(&mut begun.open);
        let mut rest = &open[..];
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let line = &rest[..end];
            self.line(number, at, line.strip_suffix(b"\r").unwrap_or(line));
            rest = &rest[end + 1..];
        }
        if let Some(begun) = self.began.get_mut(&id) {
            begun.open = rest.to_vec();
        }
    }

    fn end(&mut self, id: Id, outcome: Outcome) {
        let Some(begun) = self.began.get_mut(&id) else {
            return;
        };
        let (number, at) = (begun.number, begun.at.elapsed().as_secs_f64());
        let open = std::mem::take(&mut begun.open);
        if !open.is_empty() {
            self.line(number, at, &open);
        }
        let told = match outcome {
            Outcome::Done => format!("DONE {at:.1}s"),
            Outcome::Cached => "CACHED".into(),
            Outcome::Failed(why) => format!("ERROR: {}", visible(&why)),
        };
        self.write(format!("#{number} {told}\n\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole() {
        let mut plain = Plain::new(Vec::new(), true);
        let vertex = |id, name: &str| Vertex {
            id,
            name: name.into(),
        };
        plain.begin(&vertex((0, 0), "[1/2] RUN a"));
        plain.log((0, 0), b"one\r\ntw");
        plain.log((0, 0), b"o\n\x1b[2Jthree");
        plain.begin(&vertex((0, 1), "[2/2] RUN b\x1b"));
        plain.end((0, 1), Outcome::Cached);
        plain.end((0, 0), Outcome::Failed("no".into()));
        let text = String::from_utf8(plain.out).unwrap();
        let text: Vec<String> = text
            .lines()
            .map(|line| line.replace(|c: char| c.is_ascii_digit() || c == '.', "N"))
            .collect();
        assert_eq!(
            text,
            [
                "#N [N/N] RUN a",
                "#N NNNNN one",
                "#N NNNNN two",
                "#N [N/N] RUN b\\xNb",
                "#N CACHED",
                "",
                "#N NNNNN \\xNb[NJthree",
                "#N ERROR: no",
                ""
            ]
        );
    }
}
