//! Reading on while the log grows and its files are rotated.

use super::read::{Each, Entry, Filter, Reader};
use crate::error::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Gives the wanted records of the log in `dir`, then those that come, until
/// `writing` says that nobody writes it any more or `filter.until` has passed.
///
/// `ended`, when given, becomes readable as soon as `writing` should be asked
/// (a pidfd of the monitor); without it the question is put four times a
/// second.
pub fn follow(
    dir: &Path,
    filter: &Filter,
    ended: Option<BorrowedFd<'_>>,
    writing: &mut dyn FnMut() -> bool,
    each: &mut Each<'_>,
) -> Result<()> {
    let mut watch = Watch::on(dir, ended);
    let mut reader = Reader::open(dir, *filter)?;
    loop {
        // Asked before the files are read: what was written until then is given.
        let last = !writing()
            || filter
                .until
                .is_some_and(|until| jiff::Timestamp::now() > until);
        reader.refresh(each)?;
        reader.drain(each)?;
        if last {
            return reader.settle(each);
        }
        each(Entry::Idle)?;
        watch.wait()?;
    }
}

/// Waits for a change of the directory.
struct Watch<'f> {
    inotify: Option<Inotify>,
    ended: Option<BorrowedFd<'f>>,
}

impl<'f> Watch<'f> {
    fn on(dir: &Path, ended: Option<BorrowedFd<'f>>) -> Self {
        // Watches are limited by user (fs.inotify): without one, look often.
        let flags =
            AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)
            .and_then(|inotify| inotify.add_watch(dir, flags).map(|_| inotify))
            .ok();
        Self { inotify, ended }
    }

    fn wait(&mut self) -> Result<()> {
        let mut timeout = if self.inotify.is_some() { 1000u16 } else { 50 };
        let mut fds = Vec::with_capacity(2);
        if let Some(inotify) = &self.inotify {
            fds.push(PollFd::new(inotify.as_fd(), PollFlags::POLLIN));
        }
        if let Some(ended) = self.ended {
            fds.push(PollFd::new(ended, PollFlags::POLLIN));
        } else {
            timeout = timeout.min(250);
        }
        match poll(&mut fds, PollTimeout::from(timeout)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(e).context(|| "cannot wait for the log"),
        }
        let done = self.ended.is_some() && fds.last().and_then(PollFd::any).unwrap_or_default();
        drop(fds);
        if done {
            // It stays readable: do not spin if `writing` is of another mind.
            self.ended = None;
        }
        if let Some(inotify) = &self.inotify {
            let _ = inotify.read_events();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Caps, Stream, Writer};
    use super::*;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn directory(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("wherry-logf-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).unwrap();
        dir
    }

    /// Row L3: rotation loses and repeats nothing for those who keep up.
    #[test]
    fn three_followers_over_many_rotations() {
        followers_of("rotate", 100_000, false);
    }

    /// Nor does packing, which moves what was just rotated once more.
    #[test]
    fn three_followers_while_files_are_packed() {
        followers_of("pack", 50_000, true);
    }

    fn followers_of(name: &str, lines: u64, compress: bool) {
        let dir = directory(name);
        let writing = AtomicBool::new(true);
        std::thread::scope(|scope| {
            let followers: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| count_in_order(&dir, &writing)))
                .collect();
            let caps = Caps {
                max_size: 100_000,
                max_files: 50,
                compress,
            };
            let mut writer = Writer::open(&dir, caps).unwrap();
            for n in 0..lines {
                writer.write(Stream::Stdout, format!("{n}\n").as_bytes());
                if n % 1000 == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
            writing.store(false, Ordering::SeqCst);
            for follower in followers {
                assert_eq!(follower.join().unwrap(), lines);
            }
        });
        std::fs::remove_dir_all(dir).unwrap();
    }

    /// How many lines came, the nth being `n`.
    fn count_in_order(dir: &Path, writing: &AtomicBool) -> u64 {
        let mut next = 0;
        let seen = &mut next;
        let alive = &mut || writing.load(Ordering::SeqCst);
        follow(dir, &Filter::default(), None, alive, &mut |entry| {
            match entry {
                Entry::Record(record) => {
                    assert_eq!(&*record.bytes, format!("{seen}\n").as_bytes());
                    *seen += 1;
                }
                Entry::Idle => {}
                other => panic!("{other:?} after {seen}"),
            }
            Ok(())
        })
        .unwrap();
        next
    }

    #[test]
    fn says_when_files_went_by_unseen() {
        let dir = directory("gap");
        let caps = Caps {
            max_size: 100,
            max_files: 2,
            ..Caps::default()
        };
        let mut writer = Writer::open(&dir, caps).unwrap();
        let (mut gaps, mut bytes, mut turn) = (0, Vec::new(), 0);
        writer.write(Stream::Stdout, b"first\n");
        let alive = &mut || {
            turn += 1;
            if turn == 2 {
                (0..20).for_each(|_| writer.write(Stream::Stdout, b"later\n"));
            }
            turn < 3
        };
        follow(&dir, &Filter::default(), None, alive, &mut |entry| {
            match entry {
                Entry::Record(record) => bytes.extend_from_slice(&record.bytes),
                Entry::Gap => gaps += 1,
                Entry::Idle => {}
                Entry::Damaged => panic!("damaged"),
            }
            Ok(())
        })
        .unwrap();
        assert!(bytes.starts_with(b"first\nlater\n") && gaps == 1, "{gaps}");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn ends_when_the_descriptor_says_so_and_gives_the_last_words() {
        let dir = directory("end");
        let (ended, end) = nix::unistd::pipe().unwrap();
        let started = std::time::Instant::now();
        let writer_dir = dir.clone();
        let thread = std::thread::spawn(move || {
            let mut writer = Writer::open(&writer_dir, Caps::default()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
            writer.write(Stream::Stdout, b"last words");
            writer.finish(Stream::Stdout);
            drop(end);
        });
        let mut bytes = Vec::new();
        let mut asked = 0;
        let alive = &mut || {
            asked += 1;
            !thread.is_finished()
        };
        follow(
            &dir,
            &Filter::default(),
            Some(ended.as_fd()),
            alive,
            &mut |entry| {
                if let Entry::Record(record) = entry {
                    bytes.extend_from_slice(&record.bytes);
                }
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(bytes, b"last words");
        assert!(asked < 20 && started.elapsed().as_millis() < 900, "{asked}");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn ends_when_until_has_passed() {
        let dir = directory("until");
        let until = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(100);
        let filter = Filter {
            until: Some(until),
            ..Filter::default()
        };
        follow(&dir, &filter, None, &mut || true, &mut |_| Ok(())).unwrap();
        assert!(jiff::Timestamp::now() > until);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
