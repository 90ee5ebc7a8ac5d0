//! Progress on a terminal: a list that is kept up to date, with the last lines
//! of what runs.

use crate::build::progress::{Id, Outcome, Progress, Vertex};
use crate::text::escape::visible;
use std::io::Write;
use std::time::{Duration, Instant};
use unicode_width::UnicodeWidthChar;

/// Redrawn as often at most.
const PACE: Duration = Duration::from_millis(100);
/// Lines of output under a step that runs.
const TAIL: usize = 6;
/// What of a step's last lines is kept, in bytes.
const KEPT: usize = 16 << 10;

pub struct Terminal<W: Write> {
    out: W,
    columns: usize,
    rows: usize,
    began: Instant,
    vertices: Vec<Shown>,
    /// Lines drawn last time.
    drawn: usize,
    at: Option<Instant>,
}

struct Shown {
    vertex: Vertex,
    began: Instant,
    took: Option<Duration>,
    outcome: Option<Outcome>,
    tail: Vec<u8>,
}

impl<W: Write> Terminal<W> {
    pub fn new(out: W, columns: u16, rows: u16) -> Self {
        Self {
            out,
            columns: usize::from(columns).max(20),
            rows: usize::from(rows).max(5),
            began: Instant::now(),
            vertices: Vec::new(),
            drawn: 0,
            at: None,
        }
    }

    fn lines(&self, last: bool) -> Vec<String> {
        let done = self.vertices.iter().filter(|v| v.outcome.is_some()).count();
        let state = if last { " FINISHED" } else { "" };
        let head = format!(
            "[+] Building {:.1}s ({done}/{}){state}",
            self.began.elapsed().as_secs_f64(),
            self.vertices.len()
        );
        let mut lines = Vec::new();
        for shown in &self.vertices {
            let took = shown.took.unwrap_or_else(|| shown.began.elapsed());
            let mark = match &shown.outcome {
                Some(Outcome::Cached) => " => CACHED ",
                Some(Outcome::Failed(_)) => " => ERROR ",
                _ => " => ",
            };
            let time = format!("{:>7.1}s", took.as_secs_f64());
            let name = cut(
                &visible(&shown.vertex.name),
                self.columns - mark.len() - time.len() - 1,
            );
            let width = width(&name) + mark.len();
            let blanks = (self.columns - time.len()).saturating_sub(width + 1);
            lines.push(format!("{mark}{name}{}{time}", " ".repeat(blanks)));
            if shown.outcome.is_none() && !last {
                let text = String::from_utf8_lossy(&shown.tail).into_owned();
                let all: Vec<&str> = text
                    .lines()
                    .filter(|line| !line.trim().is_empty())
                    .collect();
                for line in &all[all.len().saturating_sub(TAIL)..] {
                    let line = cut(&plain(line), self.columns - 10);
                    lines.push(format!(" => => # {line}"));
                }
            }
        }
        if !last && lines.len() + 2 > self.rows {
            lines.drain(..lines.len() + 2 - self.rows);
        }
        lines.insert(0, head);
        lines
    }

    fn draw(&mut self, last: bool) {
        let mut text = String::new();
        if self.drawn > 0 {
            text += &format!("\x1b[{}A", self.drawn);
        }
        text += "\r\x1b[J";
        let lines = self.lines(last);
        self.drawn = lines.len();
        for line in lines {
            text += &line;
            text.push('\n');
        }
        let _ = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
        self.at = Some(Instant::now());
    }

    fn maybe_draw(&mut self) {
        if self.at.is_none_or(|at| at.elapsed() >= PACE) {
            self.draw(false);
        }
    }
}

impl<W: Write> Progress for Terminal<W> {
    fn begin(&mut self, vertex: &Vertex) {
        if !self.vertices.iter().any(|v| v.vertex.id == vertex.id) {
            self.vertices.push(Shown {
                vertex: vertex.clone(),
                began: Instant::now(),
                took: None,
                outcome: None,
                tail: Vec::new(),
            });
        }
        self.maybe_draw();
    }

    fn log(&mut self, id: Id, bytes: &[u8]) {
        if let Some(shown) = self.vertices.iter_mut().find(|v| v.vertex.id == id) {
            shown.tail.extend_from_slice(bytes);
            let excess = shown.tail.len().saturating_sub(KEPT);
            shown.tail.drain(..excess);
        }
        self.maybe_draw();
    }

    fn end(&mut self, id: Id, outcome: Outcome) {
        if let Some(shown) = self.vertices.iter_mut().find(|v| v.vertex.id == id) {
            shown.took = Some(shown.began.elapsed());
            shown.outcome = Some(outcome);
        }
        self.maybe_draw();
    }

    fn pace(&self) -> Option<Duration> {
        Some(PACE)
    }

    fn tick(&mut self) {
        self.maybe_draw();
    }
}

impl<W: Write> Drop for Terminal<W> {
    fn drop(&mut self) {
        if !self.vertices.is_empty() {
            self.draw(true);
        }
    }
}

/// A line of output without colours and what moves the cursor.
fn plain(line: &str) -> String {
    // What overwrote the rest of the line counts.
    let line = line
        .trim_end_matches('\r')
        .rsplit('\r')
        .next()
        .unwrap_or_default();
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\x1b' && chars.peek() == Some(&'[') {
            chars.next();
            while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            continue;
        }
        out.push(if c == '\t' { ' ' } else { c });
    }
    visible(&out).into_owned()
}

fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// As much as fits into so many columns.
fn cut(text: &str, columns: usize) -> String {
    let text: String = text.split('\n').next().unwrap_or_default().into();
    let mut used = 0;
    text.chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_moves() {
        let mut out = Vec::new();
        {
            let mut terminal = Terminal::new(&mut out, 40, 24);
            let vertex = Vertex {
                id: (0, 0),
                name: format!("[1/1] RUN {}", "x".repeat(80)),
            };
            terminal.begin(&vertex);
            terminal.log((0, 0), b"a\x1b[31mred\x1b[0m\rb\x1b]0;t\x07\n");
            terminal.at = None;
            terminal.tick();
            terminal.end((0, 0), Outcome::Done);
        }
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(" => => # b\\x1b]0;t\\x07\n"), "{text:?}");
        assert!(text.contains("\x1b[2A\r\x1b[J"), "{text:?}");
        assert!(
            text.ends_with("0.0s\n") && text.contains("(1/1) FINISHED"),
            "{text:?}"
        );
        assert!(
            text.lines().all(|line| width(&plain(line)) <= 40),
            "{text:?}"
        );
    }
}
