//! The output of a container whose lines went to the host's journal, read back
//! by journalctl(1).

use crate::error::{Context, Error, Result};
use crate::logs::{Each, Entry, Filter, journal};
use crate::sys::program;
use jiff::Timestamp;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// What the journal may need to take the last lines in.
const SETTLING: Duration = Duration::from_millis(200);

/// How often `--until` is looked at, in milliseconds.
const LOOK_UP: u16 = 500;

/// Gives what `filter` wants of the lines of container `id`; with the process
/// that sends them, goes on until that has ended.
pub fn read(
    id: &str,
    filter: &Filter,
    monitor: Option<OwnedFd>,
    each: &mut Each<'_>,
) -> Result<()> {
    let mut reader = Reader {
        id,
        filter,
        cursor: None,
    };
    let lines = filter.tail.map_or("all".into(), |n| n.to_string());
    let Some(monitor) = monitor else {
        return reader.run(&["-n", &lines], None, each);
    };
    reader.run(&["-f", "-n", &lines], Some(monitor.as_fd()), each)?;
    std::thread::sleep(SETTLING);
    let after = reader.cursor.take().map(|c| format!("--after-cursor={c}"));
    let rest: Vec<&str> = match &after {
        Some(after) => vec!["-n", "all", after],
        None => vec!["-n", &lines],
    };
    reader.run(&rest, None, each)
}

struct Reader<'a> {
    id: &'a str,
    filter: &'a Filter,
    /// Of the last entry that was given.
    cursor: Option<String>,
}

impl Reader<'_> {
    fn run(
        &mut self,
        options: &[&str],
        until: Option<BorrowedFd<'_>>,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let mut child = self.command(options)?;
        let given = match child.stdout.take() {
            Some(out) => self.lines(BufReader::new(out), until, each),
            None => Ok(()),
        };
        // When it follows, it goes on until it is told.
        let _ = child.kill();
        let _ = child.wait();
        given
    }

    fn command(&self, options: &[&str]) -> Result<Child> {
        let directories = program::DIRECTORIES.map(Path::new);
        let path = program::find(&directories, "journalctl").ok_or_else(|| {
            Error::unsupported("configured logging driver does not support reading").hint(
                "the lines are in the host's journal, and journalctl, which reads it, is not installed",
            )
        })?;
        let mut command: Command = program::command(&path);
        command
            .args(["--quiet", "--no-pager", "--all", "--output=json"])
            .args(options)
            .arg(format!("CONTAINER_ID_FULL={}", self.id))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context(|| "cannot run journalctl")
    }

    fn lines(
        &mut self,
        mut from: BufReader<ChildStdout>,
        until: Option<BorrowedFd<'_>>,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let mut line = Vec::new();
        loop {
            if let Some(ended) = until
                && from.buffer().is_empty()
            {
                each(Entry::Idle)?;
                let over = self.filter.until.is_some_and(|t| Timestamp::now() > t);
                match wait(from.get_ref(), ended)?.filter(|_| !over) {
                    None => return Ok(()),
                    Some(false) => continue,
                    Some(true) => {}
                }
            }
            line.clear();
            let read = from.read_until(b'\n', &mut line);
            if read.context(|| "cannot read from journalctl")? == 0 {
                return Ok(());
            }
            self.cursor = cursor(&line).or(self.cursor.take());
            match journal::record(&line) {
                Some(record) if self.filter.wants(&record) => each(Entry::Record(record))?,
                Some(_) => {}
                None => each(Entry::Damaged)?,
            }
        }
    }
}

fn cursor(line: &[u8]) -> Option<String> {
    let entry: serde_json::Value = serde_json::from_slice(line).ok()?;
    Some(entry.get("__CURSOR")?.as_str()?.to_string())
}

/// Whether there is something to read after a while; `None`: the other has
/// ended, and there is not.
fn wait(out: &ChildStdout, ended: BorrowedFd<'_>) -> Result<Option<bool>> {
    loop {
        let mut fds = [
            PollFd::new(out.as_fd(), PollFlags::POLLIN),
            PollFd::new(ended, PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::from(LOOK_UP)) {
            Err(nix::errno::Errno::EINTR) => continue,
            other => other.context(|| "cannot wait for journalctl")?,
        };
        let is = |fd: &PollFd<'_>| fd.any() == Some(true);
        return Ok(match (is(&fds[0]), is(&fds[1])) {
            (false, true) => None,
            (readable, _) => Some(readable),
        });
    }
}
