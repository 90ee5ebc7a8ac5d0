//! One layer on its way from the registry into the store: written as a blob
//! and unpacked from the same stream.

use super::report::{Report, Reported};
use crate::error::{Context, Error, Kind, Result};
use crate::image::{Compression, Descriptor, Digest};
use crate::output::progress::{Phase, Progress, Silent};
use crate::registry::{BlobReader, Client, Watch};
use crate::store::{BlobWriter, Image, Store};
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub struct Layer {
    /// As it is packed in the registry.
    pub blob: Descriptor,
    /// As it is unpacked.
    pub diff_id: Digest,
}

impl Layer {
    /// What users see: the beginning of the blob's digest.
    pub fn name(&self) -> &str {
        self.blob.digest.short()
    }

    fn report<'a>(&self, progress: &'a dyn Progress, phase: fn(u64, u64) -> Phase) -> Report<'a> {
        Report::new(self.name(), self.blob.size, progress, phase)
    }

    pub fn is_here(&self, store: &Store) -> bool {
        store.has_layer(&self.diff_id) && store.has_blob(&self.blob.digest)
    }
}

/// Brings blob and unpacked layer into the store, whichever is missing.
pub fn fetch(
    layer: &Layer,
    store: &Store,
    client: &Client,
    cancelled: &AtomicBool,
    progress: &dyn Progress,
) -> Result<()> {
    if layer.is_here(store) {
        progress.layer(layer.name(), Phase::AlreadyExists);
        return Ok(());
    }
    let retrying = |wait: Duration| {
        // Rounded up: "Retrying in 0 seconds" would be odd.
        let seconds = wait.as_millis().div_ceil(1000) as u64;
        progress.layer(layer.name(), Phase::Retrying { seconds });
    };
    let watch = Watch {
        retrying: &retrying,
        cancelled,
    };
    // Waits while another process fetches the same blob.
    match store.begin_blob(&layer.blob.digest, layer.blob.size)? {
        Some(writer) => download(layer, store, client, watch, writer, progress)?,
        None => from_store(layer, store, progress)?,
    }
    progress.layer(layer.name(), Phase::Complete);
    Ok(())
}

/// Brings all of these into the store, so many at a time.
pub fn fetch_all(
    layers: &[Layer],
    store: &Store,
    client: &Client,
    parallel: usize,
    progress: &dyn Progress,
) -> Result<()> {
    for layer in layers {
        progress.layer(layer.name(), Phase::Queued);
    }
    let workers = parallel.clamp(1, layers.len().max(1));
    for layer in layers.iter().skip(workers) {
        progress.layer(layer.name(), Phase::Waiting);
    }
    let (next, cancelled, failed) = (
        AtomicUsize::new(0),
        AtomicBool::new(false),
        Mutex::new(None),
    );
    let work = || {
        while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
            if cancelled.load(Ordering::Relaxed) {
                return;
            }
            if let Err(e) = fetch(layer, store, client, &cancelled, progress) {
                // The others fail because of this one.
                if !cancelled.swap(true, Ordering::Relaxed) {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
                }
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The layers of an image that has only been here packed; for a process in U.
pub fn unpack_all(store: &Store, image: &Image) -> Result<()> {
    let (manifest, config) = (store.manifest(image)?, store.config(image)?);
    for (blob, diff_id) in manifest.layers.into_iter().zip(config.diff_ids) {
        from_store(&Layer { blob, diff_id }, store, &Silent)?;
    }
    Ok(())
}

/// The blob is here already; only the unpacked layer is missing.
pub fn from_store(layer: &Layer, store: &Store, progress: &dyn Progress) -> Result<()> {
    if store.has_layer(&layer.diff_id) {
        return Ok(());
    }
    let file = store.open_blob(&layer.blob.digest)?;
    let mut input = Reported {
        inner: file,
        report: layer.report(progress, |current, total| Phase::Extracting {
            current,
            total,
        }),
    };
    unpack(layer, store, &mut input)
}

fn download(
    layer: &Layer,
    store: &Store,
    client: &Client,
    watch: Watch,
    writer: BlobWriter,
    progress: &dyn Progress,
) -> Result<()> {
    let resumed = !writer.is_empty();
    let (mut stream, result) = stream_in(layer, store, client, watch, writer, progress)?;
    let bad = match (result, stream.failed.take()) {
        (Ok(()), None) => {
            progress.layer(layer.name(), Phase::Verifying);
            return stream.writer.commit();
        }
        // The stream broke: what has come so far is kept for the next pull.
        (_, Some(error)) => return Err(error),
        (Err(error), None) => error,
    };
    if bad.kind() != Kind::Invalid {
        return Err(bad);
    }
    // What has come cannot be unpacked, so it is worth nothing. It may be
    // that only what an earlier pull left behind is bad.
    stream.writer.restart()?;
    if !resumed {
        return Err(bad);
    }
    let (mut stream, result) = stream_in(layer, store, client, watch, stream.writer, progress)?;
    match (result, stream.failed.take()) {
        (Ok(()), None) => stream.writer.commit(),
        (_, Some(error)) => Err(error),
        (Err(error), None) => {
            stream.writer.restart()?;
            Err(error)
        }
    }
}

/// Unpacks the blob while it is written; gives both results.
fn stream_in<'a>(
    layer: &Layer,
    store: &Store,
    client: &'a Client,
    watch: Watch<'a>,
    writer: BlobWriter,
    progress: &'a dyn Progress,
) -> Result<(Stream<'a>, Result<()>)> {
    let mut stream = Stream {
        partial: match writer.len() {
            0 => None,
            len => Some(writer.read_back()?.take(len)),
        },
        source: client.blob(&layer.blob, writer.len(), watch),
        writer,
        report: layer.report(progress, |current, total| Phase::Downloading {
            current,
            total,
        }),
        failed: None,
    };
    let result = if store.has_layer(&layer.diff_id) {
        io::copy(&mut stream, &mut io::sink())
            .map(|_| ())
            .context(|| format!("cannot download layer {}", layer.name()))
    } else {
        unpack(layer, store, &mut stream)
    };
    Ok((stream, result))
}

fn unpack(layer: &Layer, store: &Store, input: &mut (impl Read + Send)) -> Result<()> {
    let mut start = Vec::with_capacity(4);
    input
        .by_ref()
        .take(4)
        .read_to_end(&mut start)
        .context(|| format!("cannot read layer {}", layer.name()))?;
    let compression = Compression::detect(&start);
    store
        .unpack_layer(&layer.diff_id, start.as_slice().chain(input), compression)
        .map(|_| ())
}

/// The bytes of a blob: those that an earlier pull left, then those of the
/// registry, which are written down as they pass.
struct Stream<'a> {
    partial: Option<io::Take<File>>,
    source: BlobReader<'a>,
    writer: BlobWriter,
    report: Report<'a>,
    /// Why reading failed, when it did.
    failed: Option<Error>,
}

impl Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(partial) = &mut self.partial {
            let n = partial.read(buf)?;
            if n > 0 || buf.is_empty() {
                self.report.advance(n);
                return Ok(n);
            }
            self.partial = None;
        }
        let n = self.source.read(buf).inspect_err(|e| {
            let failure = self.source.failure();
            self.failed = Some(failure.unwrap_or_else(|| Error::unavailable(e.to_string())));
        })?;
        if let Err(e) = self.writer.write_all(&buf[..n]) {
            let told = io::Error::new(e.kind(), e.to_string());
            self.failed = Err::<(), _>(e).context(|| "cannot store a layer").err();
            return Err(told);
        }
        self.report.advance(n);
        if n == 0 {
            self.report.finish();
        }
        Ok(n)
    }
}
