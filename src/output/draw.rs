//! Draws progress: on a terminal one line per layer that is kept up to date,
//! elsewhere one line per step. What comes from a registry is shown with its
//! control characters spelled out.

use super::progress::{Phase, Progress};
use crate::text::escape::visible;
use crate::text::size::decimal4;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A layer's line is not drawn more often than this.
const PACE: Duration = Duration::from_millis(60);
/// Narrower terminals get no bar.
const BAR_FROM: u16 = 110;
const BAR: u64 = 50;

/// Draws what it is told on `W`. That it cannot write changes nothing.
pub struct Drawing<W>(Mutex<Lines<W>>);

struct Lines<W> {
    out: W,
    /// Columns of the terminal; `None` is no terminal.
    columns: Option<u16>,
    /// Lines written so far.
    written: usize,
    layers: Vec<Layer>,
}

struct Layer {
    id: String,
    /// The line it is on, from the top.
    line: usize,
    words: String,
    drawn: Instant,
}

impl<W: Write + Send> Drawing<W> {
    /// One line per step.
    pub fn plain(out: W) -> Self {
        Self::new(out, None)
    }

    /// Lines that move, on a terminal with so many columns.
    pub fn terminal(out: W, columns: u16) -> Self {
        Self::new(out, Some(columns))
    }

    fn new(out: W, columns: Option<u16>) -> Self {
        Self(Mutex::new(Lines {
            out,
            columns,
            written: 0,
            layers: Vec::new(),
        }))
    }
}

impl<W: Write + Send> Progress for Drawing<W> {
    fn message(&self, text: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .message(text);
    }

    fn layer(&self, id: &str, phase: Phase) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .layer(id, phase);
    }
}

impl<W: Write> Lines<W> {
    fn message(&mut self, text: &str) {
        for line in text.lines() {
            self.append(&visible(line));
        }
    }

    fn append(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        self.written += 1;
    }

    fn layer(&mut self, id: &str, phase: Phase) {
        let words = phase.words();
        let known = self.layers.iter_mut().find(|layer| layer.id == id);
        let Some(columns) = self.columns else {
            // Only steps: bytes would fill a log.
            let moves = phase.bytes().is_some();
            let same = known.as_ref().is_some_and(|layer| layer.words == words);
            if moves || same {
                return;
            }
            match known {
                Some(layer) => layer.words = words.clone(),
                None => self.remember(id, &words),
            }
            return self.append(&format!("{}: {words}", visible(id)));
        };
        let text = format!("{}: {words}{}", visible(id), bar(phase, columns));
        match known {
            None => {
                self.remember(id, &words);
                self.append(&text);
            }
            Some(layer) => {
                if layer.words == words && layer.drawn.elapsed() < PACE && !is_end(phase) {
                    return;
                }
                layer.words = words;
                layer.drawn = Instant::now();
                let up = self.written - layer.line;
                // Up, clear the line, write, and back below the last line.
                let _ = write!(self.out, "\x1b[{up}A\x1b[2K\r{text}\r\x1b[{up}B")
                    .and_then(|()| self.out.flush());
            }
        }
    }

    fn remember(&mut self, id: &str, words: &str) {
        self.layers.push(Layer {
            id: id.to_string(),
            line: self.written,
            words: words.to_string(),
            drawn: Instant::now(),
        });
    }
}

fn is_end(phase: Phase) -> bool {
    phase
        .bytes()
        .is_some_and(|(current, total)| current >= total)
}

/// ` [=====>     ]  1.2MB/3.4MB`; on a narrow terminal the figures alone.
fn bar(phase: Phase, columns: u16) -> String {
    let Some((current, total)) = phase.bytes() else {
        return String::new();
    };
    if total == 0 {
        return format!(" {:>8}", decimal4(current));
    }
    let figures = format!("{:>8}/{}", decimal4(current), decimal4(total));
    if columns < BAR_FROM {
        return format!(" {figures}");
    }
    let filled = u128::from(current.min(total)) * u128::from(BAR) / u128::from(total);
    let filled = usize::try_from(filled).unwrap_or(0);
    let empty = usize::try_from(BAR).unwrap_or(0) - filled;
    format!(" [{}>{}] {figures}", "=".repeat(filled), " ".repeat(empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(progress: &dyn Progress) {
        progress.message("latest: Pulling from library/alpine");
        progress.layer("aaaa", Phase::Queued);
        progress.layer("bbbb", Phase::Queued);
        progress.layer(
            "aaaa",
            Phase::Downloading {
                current: 500_000,
                total: 1_000_000,
            },
        );
        progress.layer("aaaa", Phase::Complete);
        progress.layer("aaaa", Phase::Complete);
        progress.message("Digest: sha256:\x1b[2J");
    }

    fn drawn(drawing: Drawing<Vec<u8>>) -> String {
        steps(&drawing);
        String::from_utf8(drawing.0.into_inner().unwrap().out).unwrap()
    }

    #[test]
    fn a_pipe_gets_one_line_per_step() {
        let want = "latest: Pulling from library/alpine\naaaa: Pulling fs layer\nbbbb: Pulling fs layer\naaaa: Pull complete\nDigest: sha256:\\x1b[2J\n";
        assert_eq!(drawn(Drawing::plain(Vec::new())), want);
    }

    #[test]
    fn a_terminal_gets_lines_that_move() {
        let text = drawn(Drawing::terminal(Vec::new(), 120));
        let half = format!(
            "\x1b[2A\x1b[2K\raaaa: Downloading [{}>{}]    500kB/1MB\r\x1b[2B",
            "=".repeat(25),
            " ".repeat(25)
        );
        assert!(text.contains(&half), "{text:?}");
        assert!(
            text.contains("\x1b[2A\x1b[2K\raaaa: Pull complete\r\x1b[2B"),
            "{text:?}"
        );
        let narrow = drawn(Drawing::terminal(Vec::new(), 80));
        assert!(
            narrow.contains("aaaa: Downloading    500kB/1MB\r"),
            "{narrow:?}"
        );
        assert!(!narrow.contains("\x1b[2J"));
    }

    #[test]
    fn bars_have_no_impossible_figures() {
        for (current, total) in [
            (0, 0),
            (5, 0),
            (10, 5),
            (u64::MAX, u64::MAX),
            (u64::MAX, 1),
            (0, u64::MAX),
        ] {
            let text = bar(Phase::Extracting { current, total }, 200);
            assert!(text.len() < 90, "{text}");
        }
    }
}
