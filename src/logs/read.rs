//! Reading a log from its oldest record, or its last lines, to its end.

use super::files::{Files, Id};
use super::lines::{BEGIN, Lines};
use super::{Record, tail};
use crate::error::{Context, Result};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

/// What of a log is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Only this many lines, counted before the times are looked at.
    pub tail: Option<u64>,
    /// Nothing before this moment.
    pub since: Option<Timestamp>,
    /// Nothing after this moment.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// By its time.
    pub fn wants(&self, record: &Record<'_>) -> bool {
        let early = self.since.is_some_and(|since| record.time < since);
        let late = self.until.is_some_and(|until| record.time > until);
        !early && !late
    }
}

/// What is met in a log.
#[derive(Debug)]
pub enum Entry<'a> {
    Record(Record<'a>),
    /// Something that is no record was skipped.
    Damaged,
    /// Files were rotated away before they could be read.
    Gap,
    /// All that is there was given; the next call may be long in coming.
    Idle,
}

/// Takes what is met; an error of it ends the reading.
pub type Each<'e> = dyn FnMut(Entry<'_>) -> Result<()> + 'e;

/// Gives all wanted records of the log in `dir`, oldest first. No log: none.
pub fn read(dir: &Path, filter: &Filter, each: &mut Each<'_>) -> Result<()> {
    let mut reader = Reader::open(dir, *filter)?;
    reader.drain(each)?;
    reader.settle(each)
}

/// Files in the order in which they are read; the last one may grow.
pub(super) struct Reader {
    files: Files,
    filter: Filter,
    queue: VecDeque<(Id, Lines)>,
}

impl Reader {
    pub fn open(dir: &Path, filter: Filter) -> Result<Self> {
        let files = Files::open(dir)?;
        let shown = || format!("cannot read the log in \"{}\"", dir.display());
        let (mut found, _) = files.newer_than(None)?;
        let mut first = 0;
        if let Some(count) = filter.tail {
            let (index, offset) = tail::begin(&found, count).context(shown)?;
            found.truncate(index + 1);
            first = offset;
        }
        let mut queue = VecDeque::new();
        for file in found.into_iter().rev() {
            let offset = std::mem::take(&mut first);
            queue.push_back((file.id, Lines::at(file, offset).context(shown)?));
        }
        Ok(Self {
            files,
            filter,
            queue,
        })
    }

    /// Adds the files that were begun since.
    pub fn refresh(&mut self, each: &mut Each<'_>) -> Result<()> {
        let known = self.queue.back().map(|(id, _)| *id);
        let (found, met) = self.files.newer_than(known)?;
        // With a single file kept, the old one is always gone.
        if !met && found.len() > 1 {
            self.drain(each)?;
            each(Entry::Gap)?;
        }
        for file in found.into_iter().rev() {
            let id = file.id;
            let lines = Lines::at(file, 0).context(|| self.shown())?;
            self.queue.push_back((id, lines));
        }
        Ok(())
    }

    /// Gives all that is there. A file that has a successor is finished.
    pub fn drain(&mut self, each: &mut Each<'_>) -> Result<()> {
        let shown = self.shown();
        while let Some((_, lines)) = self.queue.front_mut() {
            while let Some(line) = lines.next().context(|| shown.as_str())? {
                give(line, &self.filter, each)?;
            }
            if self.queue.len() == 1 {
                return Ok(());
            }
            self.give_rest(each)?;
            self.queue.pop_front();
        }
        Ok(())
    }

    /// Half a record at the end is either being written now or damaged.
    pub fn settle(&mut self, each: &mut Each<'_>) -> Result<()> {
        for _ in 0..5 {
            if self
                .queue
                .front()
                .is_none_or(|(_, lines)| lines.rest().is_empty())
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
            self.drain(each)?;
        }
        self.give_rest(each)
    }

    fn give_rest(&self, each: &mut Each<'_>) -> Result<()> {
        match self.queue.front() {
            Some((_, lines)) => give(lines.rest(), &self.filter, each),
            None => Ok(()),
        }
    }

    fn shown(&self) -> String {
        format!("cannot read the log in \"{}\"", self.files.path().display())
    }
}

/// Gives the records on a line: one, or what damage has left of several.
fn give(line: &[u8], filter: &Filter, each: &mut Each<'_>) -> Result<()> {
    if let Some(record) = Record::parse(line) {
        return give_record(record, filter, each);
    }
    if line.is_empty() {
        return Ok(());
    }
    each(Entry::Damaged)?;
    let mut begins = memchr::memmem::find_iter(line, BEGIN).peekable();
    while let Some(begin) = begins.next() {
        let end = begins.peek().copied().unwrap_or(line.len());
        if let Some(record) = Record::parse(&line[begin..end]) {
            give_record(record, filter, each)?;
        }
    }
    Ok(())
}

fn give_record(record: Record<'_>, filter: &Filter, each: &mut Each<'_>) -> Result<()> {
    if !filter.wants(&record) {
        return Ok(());
    }
    each(Entry::Record(record))
}

#[cfg(test)]
mod tests {
    use super::super::{Caps, FILE, Stream, Writer};
    use super::*;
    use std::path::PathBuf;

    fn directory(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("wherry-logr-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        dir
    }

    /// All bytes, and how often damage was reported.
    fn all(dir: &Path, filter: Filter) -> (String, usize) {
        let (mut bytes, mut damaged) = (Vec::new(), 0);
        read(dir, &filter, &mut |entry| {
            match entry {
                Entry::Record(record) => bytes.extend_from_slice(&record.bytes),
                Entry::Damaged => damaged += 1,
                other => panic!("{other:?}"),
            }
            Ok(())
        })
        .unwrap();
        (String::from_utf8(bytes).unwrap(), damaged)
    }

    fn line(n: usize) -> String {
        format!(
            "{{\"log\":\"{n}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:{n:02}.5Z\"}}\n"
        )
    }

    fn tail(count: u64) -> Filter {
        Filter {
            tail: Some(count),
            ..Filter::default()
        }
    }

    #[test]
    fn the_last_lines_over_all_files() {
        let dir = directory("tail");
        let caps = Caps {
            max_size: 3000,
            max_files: 100,
            ..Caps::default()
        };
        let mut writer = Writer::open(&dir, caps).unwrap();
        let mut lines = Vec::new();
        for n in 0..60 {
            let text = "y".repeat(if n % 10 == 7 { 70_000 } else { n });
            lines.push(format!("{n} {text}\n"));
            writer.write(Stream::Stdout, lines[n].as_bytes());
        }
        assert!(dir.join("log.json.10").exists());
        for count in [0, 1, 2, 3, 10, 33, 59, 60, 61, 1000] {
            let want = lines[60usize.saturating_sub(count)..].concat();
            assert_eq!(all(&dir, tail(count as u64)), (want, 0), "{count}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    /// Packed while it is written, read as if it were not.
    #[test]
    fn the_last_lines_of_packed_files() {
        let dir = directory("packed");
        let caps = Caps {
            max_size: 30_000,
            max_files: 4,
            compress: true,
        };
        let mut writer = Writer::open(&dir, caps).unwrap();
        let line = |n: usize| format!("line {n}\n");
        for n in 0..3000 {
            writer.write(Stream::Stdout, line(n).as_bytes());
        }
        let names = |end: &str| {
            let names = std::fs::read_dir(&dir)
                .unwrap()
                .map(|e| e.unwrap().file_name());
            names.filter(|n| n.to_str().unwrap().ends_with(end)).count()
        };
        assert!(names(".gz") >= 2, "the older ones at least");
        let (text, damaged) = all(&dir, Filter::default());
        let first: usize = text.lines().next().unwrap()[5..].parse().unwrap();
        assert_eq!((text, damaged), ((first..3000).map(line).collect(), 0));
        assert!(first < 2000);
        for count in [1, 100, 500, 3000 - first - 1] {
            let want: String = (3000 - count..3000).map(line).collect();
            assert_eq!(all(&dir, tail(count as u64)), (want, 0), "{count}");
        }
        // Whoever knows the rotated file does not read it again.
        let files = super::super::files::Files::open(&dir).unwrap();
        let (found, _) = files.newer_than(None).unwrap();
        for (at, file) in found.iter().enumerate() {
            let (newer, met) = files.newer_than(Some(file.id)).unwrap();
            assert_eq!((newer.len(), met), (at, true));
        }
        // Damage costs what is behind it in its file.
        drop(writer);
        assert_eq!(names(".tmp-log.gz"), 0);
        let path = dir.join("log.json.3.gz");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let (text, damaged) = all(&dir, Filter::default());
        assert!(text.ends_with("line 2999\n") && damaged == 1);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_last_line_without_newline_counts() {
        let dir = directory("last");
        let mut writer = Writer::open(&dir, Caps::default()).unwrap();
        writer.write(Stream::Stdout, b"one\ntwo\nthree");
        writer.finish(Stream::Stdout);
        assert_eq!(all(&dir, tail(1)).0, "three");
        assert_eq!(all(&dir, tail(2)).0, "two\nthree");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn since_and_until() {
        let dir = directory("times");
        std::fs::write(dir.join(FILE), (0..10).map(line).collect::<String>()).unwrap();
        let at = |s: &str| Some(format!("2026-01-01T00:00:{s}Z").parse().unwrap());
        let since = Filter {
            since: at("03.5"),
            ..Filter::default()
        };
        assert_eq!(all(&dir, since).0, "3\n4\n5\n6\n7\n8\n9\n");
        let until = Filter {
            until: at("03.5"),
            ..since
        };
        assert_eq!(all(&dir, until).0, "3\n");
        // The lines are counted first, as Docker does.
        let both = Filter {
            tail: Some(2),
            until: at("08.9"),
            since: None,
        };
        assert_eq!(all(&dir, both).0, "8\n");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn no_log_is_no_output() {
        let dir = directory("none");
        assert_eq!(all(&dir, tail(5)), (String::new(), 0));
        assert_eq!(all(&dir, Filter::default()), (String::new(), 0));
        std::fs::write(dir.join(FILE), "").unwrap();
        assert_eq!(all(&dir, tail(5)), (String::new(), 0));
        std::fs::remove_dir_all(dir).unwrap();
    }

    /// Row L6 of the promises: only what is damaged is missing.
    #[test]
    fn damage_costs_only_what_it_hits() {
        let dir = directory("damage");
        let whole: String = (0..50).map(line).collect();
        let begin = whole.find(&line(20)).unwrap();
        let end = begin + line(20).len();
        let zeros = "\0".repeat(3 << 20);
        for (name, middle, lost) in [
            ("nul over a record", "\0".repeat(end - begin), 1),
            ("nul region with newlines around", format!("{zeros}\n"), 1),
            ("large nul region", zeros, 1),
            ("half a record", line(20)[..40].to_string(), 1),
            ("garbage", "garbage\n".into(), 1),
            (
                "half, then whole without a newline",
                format!("{}{}", &line(20)[..40], line(20)),
                0,
            ),
            ("open string", "{\"log\":\"\n".into(), 1),
        ] {
            let text = [&whole[..begin], &middle, &whole[end..]].concat();
            std::fs::write(dir.join(FILE), text).unwrap();
            let (got, damaged) = all(&dir, Filter::default());
            let want: String = (0..50)
                .filter(|n| lost == 0 || *n != 20)
                .map(|n| format!("{n}\n"))
                .collect();
            assert_eq!(got, want, "{name}");
            assert!(damaged > 0, "{name}");
            assert_eq!(all(&dir, tail(5)).0, "45\n46\n47\n48\n49\n", "{name}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn half_a_record_at_the_end_is_damage() {
        let dir = directory("half");
        std::fs::write(dir.join(FILE), line(1) + &line(2)[..30]).unwrap();
        assert_eq!(all(&dir, Filter::default()), ("1\n".into(), 1));
        // A whole one that only lacks its newline is not.
        std::fs::write(dir.join(FILE), line(1) + line(2).trim_end()).unwrap();
        assert_eq!(all(&dir, Filter::default()), ("1\n2\n".into(), 0));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
