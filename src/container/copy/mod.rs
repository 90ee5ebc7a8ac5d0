//! `cp`: files between a container and the host, or a tar stream.
//!
//! Two processes and a pipe: one is in the container's view of its files and
//! never leaves it (see `view`), the other is the caller, who reads and writes
//! on the host with his own rights. What goes through the pipe is a tar stream,
//! and both ends pack and unpack it as layers are (security rows S32-S35).

mod path;
mod view;

use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::image::Compression;
use crate::image::digest::Algorithm;
use crate::store::Merged;
use crate::store::pack::{self, Item, Packed};
use crate::store::unpack::{self, Owners, Privilege};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use path::{Asked, Local};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use view::{Found, View};

/// The other end of a copy.
pub enum Host<'a> {
    /// A tar stream.
    Stream(File),
    Path(&'a Path),
}

/// From the container to the host; the bytes of the files.
pub fn out(engine: &Engine, wanted: &str, from: &str, follow: bool, to: Host<'_>) -> Result<u64> {
    let asked = Asked::parse(from)?;
    let view = View::open(engine, wanted)?;
    let missing = || not_found(from, wanted);
    match to {
        Host::Stream(file) => {
            let copied = view.start(|root, _| {
                let found = Found::open(root, &asked, follow, missing)?;
                let name = asked.base();
                send(
                    found,
                    &name,
                    &file,
                    pack::Options {
                        root_entry: true,
                        ..pack::Options::default()
                    },
                )
            })?;
            copied.finish()
        }
        Host::Path(to) => {
            let local = Local::destination(to)?;
            let (reader, writer) = io::pipe().context(|| "cannot make a pipe")?;
            let landing = &local.landing;
            let (ours, theirs) = (reader.as_raw_fd(), File::from(OwnedFd::from(writer)));
            let sending = view.start(|root, _| {
                leave(ours);
                let found = Found::open(root, &asked, follow, missing)?;
                let name = landing.name(&asked.base(), found.is_dir())?;
                send(found, &name, &theirs, pack::Options::default())
            })?;
            drop(theirs);
            let kept = open_dir(&local.dir).and_then(|dir| {
                receive(
                    dir.as_fd(),
                    reader,
                    &unpack::Options {
                        privilege: Privilege::of_this_process(),
                        owners: Owners::Caller,
                        prefix: Vec::new(),
                        in_use: true,
                        whiteouts: false,
                    },
                )
            });
            join(sending.finish(), kept)
        }
    }
}

/// From the host into the container; `as_user`: what comes belongs to the user
/// that the container runs as. The bytes of the files.
pub fn into(
    engine: &Engine,
    wanted: &str,
    from: Host<'_>,
    to: &str,
    follow: bool,
    as_user: bool,
) -> Result<u64> {
    let asked = Asked::parse(to)?;
    let view = View::open(engine, wanted)?;
    let landing = view
        .start(|root, _| view::landing(root, &asked))?
        .finish()?;
    if !landing.parent_exists {
        return Err(not_found(&landing.parent_shown(), wanted));
    }
    let user = as_user.then(|| view.user()).flatten();
    let unpacked = |reader: Box<dyn Read + Send>, packing, prefix: Vec<u8>, ours: Option<i32>| {
        let user = user.clone();
        view.start(move |root, privilege| {
            ours.into_iter().for_each(leave);
            let owners = match &user {
                Some(user) => view::owner(root, user)?,
                None => Owners::Archive,
            };
            let options = unpack::Options {
                privilege,
                owners,
                prefix,
                in_use: true,
                whiteouts: false,
            };
            let done = unpack::unpack(root, reader, packing, Algorithm::Sha256, options)?;
            Ok(done.0.bytes)
        })
    };
    match from {
        Host::Stream(file) => {
            if !landing.is_dir {
                return Err(Error::invalid(format!(
                    "destination \"{wanted}:{to}\" must be a directory"
                )));
            }
            let mut file = file;
            let mut start = Vec::new();
            Read::by_ref(&mut file)
                .take(6)
                .read_to_end(&mut start)
                .context(|| "cannot read the archive")?;
            let packing = Compression::detect(&start);
            let stream = Box::new(io::Cursor::new(start).chain(file));
            unpacked(stream, packing, landing.path, None)?.finish()
        }
        Host::Path(from) => {
            let (found, base) = Local::source(from, follow)?;
            let name = landing.name(&base, found.is_dir())?;
            let (reader, writer) = io::pipe().context(|| "cannot make a pipe")?;
            let prefix = landing.directory();
            let ours = Some(writer.as_raw_fd());
            let receiving = unpacked(Box::new(reader), Compression::None, prefix, ours)?;
            // In the container its own root has what the caller has here.
            let owner = (!nix::unistd::geteuid().is_root()).then_some((0, 0));
            let options = pack::Options {
                owner,
                ..pack::Options::default()
            };
            let sent = send(found, &name, &File::from(OwnedFd::from(writer)), options);
            join(sent, receiving.finish())
        }
    }
}

/// Closes the caller's end of a pipe in the process made for the other one,
/// which has it by fork: else the pipe would never end.
fn leave(ours: i32) {
    let _ = nix::unistd::close(ours);
}

/// Both ends of a pipe have ended: who failed first closed it on the other.
fn join(sent: Result<u64>, received: Result<u64>) -> Result<u64> {
    match (sent, received) {
        (Err(e), Err(cause)) if e.kind() == Kind::BrokenPipe => Err(cause),
        (Err(e), _) => Err(e),
        (Ok(_), received) => received,
    }
}

fn send(found: Found, name: &[u8], out: &File, options: pack::Options) -> Result<u64> {
    let mut out = BufWriter::with_capacity(256 << 10, out);
    let packed: Packed = match found {
        Found::Directory(dir) => {
            let options = pack::Options {
                prefix: name.to_vec(),
                ..options
            };
            pack::pack(&Merged::plain(dir), &mut out, options)?
        }
        Found::File(file) => pack::pack_item(Item::File(file), name, &mut out, options)?,
        Found::Other(stat, link) => {
            pack::pack_item(Item::Other(*stat, link), name, &mut out, options)?
        }
    };
    out.flush().map_err(pack::unwritten)?;
    Ok(packed.bytes)
}

fn receive(dir: BorrowedFd<'_>, from: io::PipeReader, options: &unpack::Options) -> Result<u64> {
    let done = unpack::unpack(
        dir,
        from,
        Compression::None,
        Algorithm::Sha256,
        options.clone(),
    )?;
    Ok(done.0.bytes)
}

fn open_dir(path: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(nix::fcntl::AT_FDCWD, path, flags, Mode::empty())
        .context(|| format!("cannot open \"{}\"", path.display()))
}

fn not_found(path: &str, container: &str) -> Error {
    Error::not_found(format!(
        "Could not find the file {path} in container {container}"
    ))
}
