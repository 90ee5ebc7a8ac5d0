//! How far a blob is, told not too often.

use crate::output::progress::{Phase, Progress};
use std::io::{self, Read};
use std::time::{Duration, Instant};

/// How often progress is reported at most.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Reports what is read through it.
pub struct Reported<'a, R> {
    pub inner: R,
    pub report: Report<'a>,
}

impl<R: Read> Read for Reported<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.report.advance(n);
        Ok(n)
    }
}

/// Tells how far a layer is, but not too often.
pub struct Report<'a> {
    name: String,
    progress: &'a dyn Progress,
    phase: fn(u64, u64) -> Phase,
    current: u64,
    total: u64,
    last: Option<Instant>,
    finished: bool,
}

impl<'a> Report<'a> {
    /// `name` is what users see, `total` the bytes that there are.
    pub fn new(
        name: &str,
        total: u64,
        progress: &'a dyn Progress,
        phase: fn(u64, u64) -> Phase,
    ) -> Self {
        Self {
            name: name.to_owned(),
            progress,
            phase,
            current: 0,
            total,
            last: None,
            finished: false,
        }
    }

    pub fn advance(&mut self, n: usize) {
        self.current += n as u64;
        if self.last.is_none_or(|last| last.elapsed() >= REPORT_EVERY) {
            self.last = Some(Instant::now());
            self.progress
                .layer(&self.name, (self.phase)(self.current, self.total));
        }
    }

    /// The download is done; what follows is unpacking.
    pub fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            let (current, total) = (self.current, self.total);
            self.progress.layer(&self.name, Phase::DownloadComplete);
            self.progress
                .layer(&self.name, Phase::Extracting { current, total });
        }
    }
}
