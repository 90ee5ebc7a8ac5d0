//! Decompression: bytes in, buffers of the plain stream out, over a bounded
//! channel whose buffers are used again.

use crate::error::{Error, Result, reason};
use crate::image::digest::Hasher;
use crate::image::manifest::Compression;
use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::sync::mpsc;

const BUFFER: usize = 256 << 10;
const BUFFERS: usize = 6;
/// zstd windows up to 128 MiB, as zstd(1) itself allows by default.
const ZSTD_WINDOW_LOG: u32 = 27;
/// What `xz -9` needs (a dictionary of 64 MiB) and little more.
const XZ_MEMORY_KIB: u32 = 80 << 10;
/// A stream beyond the first size that grew by more than this factor is
/// taken for a bomb. deflate cannot do more than 1032.
const SUSPICIOUS_SIZE: u64 = 1 << 30;
const SUSPICIOUS_RATIO: u64 = 500;

/// Why decoding ended early.
pub enum Stop {
    Failed(Error),
    /// The other side has failed and will say why.
    NobodyListens,
}

/// Full buffers go one way, empty ones come back.
pub struct Sender {
    full: mpsc::SyncSender<Vec<u8>>,
    empty: mpsc::Receiver<Vec<u8>>,
}

/// The plain stream, as a reader.
pub struct Receiver {
    full: mpsc::Receiver<Vec<u8>>,
    empty: mpsc::Sender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

pub fn channel() -> (Sender, Receiver) {
    let (full_in, full_out) = mpsc::sync_channel(BUFFERS);
    let (empty_in, empty_out) = mpsc::channel();
    (
        Sender {
            full: full_in,
            empty: empty_out,
        },
        Receiver {
            full: full_out,
            empty: empty_in,
            current: Vec::new(),
            at: 0,
        },
    )
}

impl Read for Receiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            let Ok(next) = self.full.recv() else {
                return Ok(0);
            };
            let used = std::mem::replace(&mut self.current, next);
            self.at = 0;
            if used.capacity() > 0 {
                let _ = self.empty.send(used);
            }
        }
        let rest = &self.current[self.at..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}

/// Reads `compressed` to its end and sends the plain stream; `hasher` hashes it.
pub fn run(
    compressed: impl Read,
    compression: Compression,
    mut hasher: Option<&mut Hasher>,
    sender: Sender,
) -> Result<(), Stop> {
    let taken = Cell::new(0);
    let input = Counting {
        inner: compressed,
        taken: &taken,
    };
    let mut decoder = decoder(input, compression).map_err(Stop::Failed)?;
    let mut plain = 0;
    loop {
        let mut buffer = sender.empty.try_recv().unwrap_or_default();
        buffer.resize(BUFFER, 0);
        let n = fill(&mut decoder, &mut buffer).map_err(|e| Stop::Failed(broken(&e)))?;
        if n == 0 {
            return Ok(());
        }
        buffer.truncate(n);
        if let Some(hasher) = &mut hasher {
            hasher.update(&buffer);
        }
        plain += n as u64;
        if plain > SUSPICIOUS_SIZE && plain / SUSPICIOUS_RATIO > taken.get() {
            return Err(Stop::Failed(Error::invalid(format!(
                "compressed data grows more than {SUSPICIOUS_RATIO} times: this is not a sensible archive"
            ))));
        }
        sender.full.send(buffer).map_err(|_| Stop::NobodyListens)?;
    }
}

pub fn decoder<'a>(input: impl Read + 'a, compression: Compression) -> Result<Box<dyn Read + 'a>> {
    let input = BufReader::with_capacity(64 << 10, input);
    Ok(match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(input).map_err(|e| broken(&e))?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG)
                .map_err(|e| broken(&e))?;
            Box::new(decoder)
        }
        Compression::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
            input,
            true,
            XZ_MEMORY_KIB,
        )),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
    })
}

/// Errors of our own readers keep their words; they name what went wrong.
fn broken(e: &io::Error) -> Error {
    Error::invalid(format!("cannot decompress: {}", reason(e)))
}

fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

struct Counting<'a, R> {
    inner: R,
    taken: &'a Cell<u64>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.taken.set(self.taken.get() + n as u64);
        Ok(n)
    }
}
