//! Compression by several threads: the input is cut into blocks that are
//! compressed apart. The bytes do not depend on the number of threads.
//!
//! By gzip the blocks end on a byte (Z_SYNC_FLUSH), so that put together they are
//! a single member (RFC 1952) that every reader takes. By zstd each is a frame of
//! its own (RFC 8878).

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Bytes of input that are compressed at a time.
const BLOCK: usize = 512 << 10;
/// One of zlib's faster levels: whoever builds or pushes waits for it.
const GZIP_LEVEL: u32 = 3;
const ZSTD_LEVEL: i32 = 1;
const MOST_WORKERS: usize = 8;

/// How it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// What every engine and registry takes.
    Gzip,
    /// By zstd, five times as fast as gzip and about as small, for what may never
    /// leave the store: tools that know no zstd would not take it.
    Zstd,
}

/// Of gzip; RFC 1952, 2.3: no name, no time, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

struct Job {
    plain: Vec<u8>,
    last: bool,
    packed: Sender<io::Result<Vec<u8>>>,
}

/// Compresses what is written to it into `W`.
pub struct Compressor<W: Write + Send + 'static> {
    /// Until there is more than a block, and threads for it.
    out: Option<W>,
    threads: Option<Threads<W>>,
    block: Vec<u8>,
    crc: Crc,
    packing: Packing,
}

impl<W: Write + Send + 'static> Compressor<W> {
    pub fn new(out: W, packing: Packing) -> Self {
        Self {
            out: Some(out),
            threads: None,
            block: Vec::new(),
            crc: Crc::new(),
            packing,
        }
    }

    /// Writes the end and gives `W` back.
    pub fn finish(mut self) -> io::Result<W> {
        self.count();
        let mut out = match self.threads.take() {
            Some(mut threads) => {
                threads.pack(std::mem::take(&mut self.block), true)?;
                threads.join()?
            }
            // Most steps of a build, say: starting threads would take longer.
            None => {
                let mut out = self.out.take().ok_or(io::ErrorKind::BrokenPipe)?;
                out.write_all(self.packing.header())?;
                out.write_all(&Worker::new(self.packing)?.pack(&self.block, true)?)?;
                out
            }
        };
        if self.packing == Packing::Gzip {
            out.write_all(&self.crc.sum().to_le_bytes())?;
            out.write_all(&self.crc.amount().to_le_bytes())?;
        }
        Ok(out)
    }

    /// A frame has no sum: what is read is checked by its digest.
    fn count(&mut self) {
        if self.packing == Packing::Gzip {
            self.crc.update(&self.block);
        }
    }

    fn dispatch(&mut self) -> io::Result<()> {
        if let Some(out) = self.out.take() {
            self.threads = Some(Threads::start(out, self.packing)?);
        }
        self.count();
        let plain = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        match &mut self.threads {
            Some(threads) => threads.pack(plain, false),
            // They could not be started, and that was said.
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// Those that compress, and the one that writes.
struct Threads<W: Write + Send + 'static> {
    jobs: Option<SyncSender<Job>>,
    /// Where the results will come, in order.
    order: Option<SyncSender<Receiver<io::Result<Vec<u8>>>>>,
    writer: Option<JoinHandle<io::Result<W>>>,
    workers: Vec<JoinHandle<()>>,
}

impl<W: Write + Send + 'static> Threads<W> {
    fn start(mut out: W, packing: Packing) -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let count = count.clamp(1, MOST_WORKERS);
        let (jobs, taken) = mpsc::sync_channel::<Job>(count);
        let (order, results) = mpsc::sync_channel::<Receiver<io::Result<Vec<u8>>>>(2 * count);
        let taken = Arc::new(Mutex::new(taken));
        let workers = (0..count)
            .map(|_| {
                let taken = Arc::clone(&taken);
                let mut worker = Worker::new(packing)?;
                let thread = std::thread::Builder::new().name("pack".into());
                thread.spawn(move || worker.work(&taken))
            })
            .collect::<io::Result<_>>()?;
        let writer = std::thread::Builder::new()
            .name("pack-out".into())
            .spawn(move || {
                out.write_all(packing.header())?;
                for result in results {
                    let packed: io::Result<Vec<u8>> =
                        result.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
                    out.write_all(&packed?)?;
                }
                Ok(out)
            })?;
        Ok(Self {
            jobs: Some(jobs),
            order: Some(order),
            writer: Some(writer),
            workers,
        })
    }

    fn pack(&mut self, plain: Vec<u8>, last: bool) -> io::Result<()> {
        let (packed, result) = mpsc::channel();
        let job = Job {
            plain,
            last,
            packed,
        };
        let sent = match (&self.jobs, &self.order) {
            (Some(jobs), Some(order)) => order.send(result).is_ok() && jobs.send(job).is_ok(),
            _ => false,
        };
        match sent {
            true => Ok(()),
            // The writer has failed, and says why.
            false => Err(self
                .join()
                .err()
                .unwrap_or(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn join(&mut self) -> io::Result<W> {
        (self.jobs, self.order) = (None, None);
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl<W: Write + Send + 'static> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..n]);
        if self.block.len() == BLOCK {
            self.dispatch()?;
        }
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send + 'static> Drop for Threads<W> {
    fn drop(&mut self) {
        let _ = self.join();
    }
}

impl Packing {
    fn header(self) -> &'static [u8] {
        match self {
            Self::Gzip => &HEADER,
            Self::Zstd => &[],
        }
    }
}

/// Compresses blocks, one after the other.
enum Worker {
    Gzip(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Worker {
    fn new(packing: Packing) -> io::Result<Self> {
        Ok(match packing {
            Packing::Gzip => Self::Gzip(Compress::new(Compression::new(GZIP_LEVEL), false)),
            Packing::Zstd => Self::Zstd(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
        })
    }

    fn work(&mut self, jobs: &Mutex<Receiver<Job>>) {
        loop {
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = next else { return };
            // Nobody waits for it when the writer has failed.
            let _ = job.packed.send(self.pack(&job.plain, job.last));
        }
    }

    fn pack(&mut self, plain: &[u8], last: bool) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(deflate) => {
                deflate.reset();
                pack(deflate, plain, last)
            }
            Self::Zstd(zstd) => zstd.compress(plain),
        }
    }
}

fn pack(deflate: &mut Compress, plain: &[u8], last: bool) -> io::Result<Vec<u8>> {
    let flush = match last {
        true => FlushCompress::Finish,
        false => FlushCompress::Sync,
    };
    let mut packed = Vec::with_capacity(plain.len() / 2 + 1024);
    loop {
        let taken = deflate.total_in() as usize;
        let status = deflate.compress_vec(&plain[taken..], &mut packed, flush);
        let more_room = packed.len() == packed.capacity();
        match status.map_err(io::Error::other)? {
            Status::StreamEnd => return Ok(packed),
            _ if more_room => packed.reserve(packed.len() / 2 + 1024),
            Status::Ok if !last && deflate.total_in() as usize == plain.len() => {
                return Ok(packed);
            }
            _ => packed.reserve(1024),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn packed(plain: &[u8], packing: Packing) -> Vec<u8> {
        let mut compressor = Compressor::new(Vec::new(), packing);
        compressor.write_all(plain).unwrap();
        compressor.finish().unwrap()
    }

    #[test]
    fn every_length_round_trips() {
        let mut noise = vec![0; 3 * BLOCK + 7];
        getrandom::fill(&mut noise).unwrap();
        let text: Vec<u8> = (0..3 * BLOCK).map(|i| (i / 7 % 251) as u8).collect();
        for source in [&noise, &text] {
            for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
                let gzip = packed(&source[..length], Packing::Gzip);
                // Not the decoder of several members.
                let mut back = Vec::new();
                flate2::read::GzDecoder::new(&gzip[..])
                    .read_to_end(&mut back)
                    .unwrap();
                assert!(back == source[..length], "{length}");
                let haste = packed(&source[..length], Packing::Zstd);
                let back = zstd::stream::decode_all(&haste[..]).unwrap();
                assert!(back == source[..length], "{length}");
                assert!(haste.starts_with(b"\x28\xb5\x2f\xfd"));
            }
        }
        for packing in [Packing::Gzip, Packing::Zstd] {
            assert_eq!(packed(&text, packing), packed(&text, packing));
        }
    }

    #[test]
    fn a_full_disk_is_told() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(libc::ENOSPC))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut gzip = Compressor::new(Full, Packing::Gzip);
        let written = (0..100).find_map(|_| gzip.write_all(&[1; BLOCK]).err());
        assert_eq!(written.unwrap().raw_os_error(), Some(libc::ENOSPC));
    }
}
