//! A container's overlay by fuse-overlayfs, for kernels and file systems where
//! overlayfs itself cannot do it.
//!
//! The server is started by the monitor as root of U, with a FUSE connection
//! that is mounted for it: so there is a detached mount at once, nothing to
//! wait for, and no mount point anywhere. It lives as long as that mount, in
//! the container, and ends by itself with it. Not the monitor's life: its pid
//! is kept in the container's run directory for whoever finds the container
//! ended ([`stop`]).

use super::plan::{Overlay, Shifted};
use crate::error::{Context, Error, Result, reason};
use crate::host::Need;
use crate::sys::clone::{self, Fork};
use crate::sys::procfs::Process;
use crate::sys::{cmsg, cred, mount, pidfd, program, signal};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

pub const PROGRAM: &str = "fuse-overlayfs";
const PID_FILE: &str = "fuse.pid";
/// Its last writes may have to reach a slow disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server on its way; it stays when this is dropped.
pub struct Server {
    pidfd: OwnedFd,
    /// What it says; bounded, and nobody listens once it has started.
    words: OwnedFd,
}

/// Mounts `overlay`, which the kernel refused with `refusal`: a detached mount,
/// to be attached anywhere in U's namespaces. Needs a process with one thread.
pub fn serve(overlay: &Overlay, refusal: Errno, run_dir: &Path) -> Result<(OwnedFd, Server)> {
    let refused = |e: Error| explained(overlay, refusal, e);
    let options = options(overlay).map_err(refused)?;
    let path = find().map_err(refused)?;
    let (ours, theirs) = cmsg::pair().context(|| "cannot make a socket pair")?;
    // A server that nobody listens to must not stop at a full pipe.
    let (words, mouth) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .context(|| "cannot make a pipe")?;
    match clone::clone(libc::CLONE_NEWNS, None).context(|| "cannot fork")? {
        Fork::Child => {
            drop((ours, words));
            become_server(&path, options, &theirs, mouth);
            clone::exit(1)
        }
        Fork::Parent { pid, pidfd } => {
            drop((theirs, mouth));
            save(pid, run_dir)?;
            let mut text = [0; 512];
            let heard = cmsg::receive(ours.as_fd(), &mut text, 0);
            let (n, [mount, ..]) = heard.context(|| "cannot hear from fuse-overlayfs")?;
            let server = Server { pidfd, words };
            match mount {
                Some(mount) => Ok((mount, server)),
                None => {
                    let _ = pidfd::reap(&server.pidfd);
                    let cause = String::from_utf8_lossy(&text[..n]).into_owned();
                    Err(refused(
                        Error::unsupported(cause).hint(Need::FuseDevice.hint()),
                    ))
                }
            }
        }
    }
}

impl Server {
    /// `error`, or in its place why the server has ended, if it has.
    pub fn blame(&self, overlay: &Overlay, refusal: Errno, error: Error) -> Error {
        // Its end may come a moment after that of its connection.
        let ended = pidfd::wait_end(&self.pidfd, Some(Duration::from_millis(100)));
        if !ended.unwrap_or(false) {
            return error;
        }
        let mut text = [0; 4096];
        let n = nix::unistd::read(&self.words, &mut text).unwrap_or(0);
        let text = String::from_utf8_lossy(&text[..n]);
        let words = text
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty() && !line.starts_with("unknown argument ignored"));
        let words = words.unwrap_or("it gave no reason");
        explained(overlay, refusal, Error::internal(words))
    }
}

/// Whether a container's root is served in this way; only while it runs.
pub fn serves(run_dir: &Path) -> bool {
    load(run_dir).is_some()
}

/// Waits for the end of a container's server, if it has one: until then it
/// writes. Not sooner than the container has ended. Takes what is there as it
/// is and never fails, also for containers whose monitor was killed.
pub fn stop(run_dir: &Path) {
    if let Some(server) = load(run_dir)
        && let Ok(fd) = pidfd::open(server.pid)
        // The descriptor first, then the check: now the pid cannot change hands.
        && server.lives()
        && !pidfd::wait_end(&fd, Some(PATIENCE)).unwrap_or(false)
    {
        let _ = pidfd::signal(&fd, libc::SIGKILL);
        let _ = pidfd::wait_end(&fd, Some(PATIENCE));
    }
    let _ = std::fs::remove_file(run_dir.join(PID_FILE));
}

fn load(run_dir: &Path) -> Option<Process> {
    let text = std::fs::read_to_string(run_dir.join(PID_FILE)).ok()?;
    let (pid, start_time) = text.trim().split_once(' ')?;
    let process = Process {
        pid: pid.parse().ok().filter(|pid| *pid > 1)?,
        start_time: start_time.parse().ok()?,
    };
    process.lives().then_some(process)
}

/// A server that has ended at once needs no note.
fn save(pid: i32, run_dir: &Path) -> Result<()> {
    let Some(process) = Process::of(pid) else {
        return Ok(());
    };
    let file = run_dir.join(PID_FILE);
    std::fs::create_dir_all(run_dir)
        .and_then(|()| std::fs::write(&file, format!("{pid} {}\n", process.start_time)))
        .context(|| format!("cannot write \"{}\"", file.display()))
}

fn find() -> Result<PathBuf> {
    program::find(&program::DIRECTORIES.map(Path::new), PROGRAM)
        .ok_or_else(|| Error::unsupported("not installed").hint(Need::Overlay.hint()))
}

/// Both causes in one sentence.
fn explained(overlay: &Overlay, refusal: Errno, second: Error) -> Error {
    let first = match (overlay.native, &overlay.shifted) {
        (true, _) => reason(&refusal.into()),
        (false, None) => "its layers were unpacked where overlayfs does not work".into(),
        (false, Some(_)) => "it gives files other owners from Linux 6.16 on".into(),
    };
    second.within(format!(
        "cannot mount the container's overlay: by the kernel: {first}; by fuse-overlayfs"
    ))
}

/// The value of `-o`. libfuse takes `,` behind a backslash; what separates the
/// layers cannot be escaped.
fn options(overlay: &Overlay) -> Result<OsString> {
    let layers = match &overlay.shifted {
        Some(shifted) => &shifted.data,
        None => overlay.lower.layers(),
    };
    let mut text = b"lowerdir=".to_vec();
    for (i, layer) in layers.iter().enumerate() {
        if i > 0 {
            text.push(b':');
        }
        escape(layer, &mut text)?;
    }
    if let Some(upper) = &overlay.upper {
        for (key, dir) in [
            (&b",upperdir="[..], &upper.upper),
            (b",workdir=", &upper.work),
        ] {
            text.extend_from_slice(key);
            escape(dir, &mut text)?;
        }
        if upper.volatile {
            text.extend_from_slice(b",volatile");
        }
    }
    if let Some(Shifted { uids, gids, .. }) = &overlay.shifted {
        text.extend_from_slice(format!(",uidmapping={uids},gidmapping={gids}").as_bytes());
    }
    Ok(OsString::from_vec(text))
}

fn escape(path: &CString, text: &mut Vec<u8>) -> Result<()> {
    let path = path.to_bytes();
    if path.contains(&b':') {
        return Err(Error::unsupported(format!(
            "it cannot have the path \"{}\" because of its colon",
            String::from_utf8_lossy(path)
        ))
        .hint("name another data directory with WHERRY_ROOT"));
    }
    // Two slashes at the beginning would name a plugin of its own.
    let slashes = path.iter().take_while(|&&byte| byte == b'/').count();
    for &byte in &path[slashes.saturating_sub(1)..] {
        if matches!(byte, b',' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    Ok(())
}

/// In the new process, in a mount namespace of its own: makes and sends the
/// mount, and becomes the server. Comes back when it could not.
fn become_server(path: &Path, options: OsString, socket: &OwnedFd, mouth: OwnedFd) {
    let (device, mount) = match connect() {
        Ok(made) => made,
        Err((what, errno)) => {
            let text = format!("{what}: {}", reason(&errno.into()));
            let _ = cmsg::send(socket.as_fd(), text.as_bytes(), &[]);
            return;
        }
    };
    if cmsg::send(socket.as_fd(), b"m", &[mount.as_fd()]).is_err() {
        return;
    }
    drop(mount);
    signal::default_dispositions();
    let _ = signal::unblock_all();
    let _ = cred::no_new_privileges();
    let last_words = mouth.try_clone();
    let error = program::command(path)
        .args(["-f", "-o"])
        .arg(options)
        // The connection is its stdin: it mounts nothing itself.
        .arg("/dev/fd/0")
        .stdin(device)
        .stdout(Stdio::null())
        .stderr(mouth)
        .exec();
    if let Ok(pipe) = last_words {
        let _ = nix::unistd::write(pipe, reason(&error).as_bytes());
    }
}

/// A FUSE connection and its detached mount.
fn connect() -> Result<(OwnedFd, OwnedFd), (&'static str, Errno)> {
    // Mounts of the host come and go here as well, so that none is kept busy.
    mount::set_root_propagation(libc::MS_REC | libc::MS_SLAVE)
        .map_err(|e| ("cannot make a mount namespace", e))?;
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let device = nix::fcntl::open(c"/dev/fuse", flags, Mode::empty())
        .map_err(|e| ("cannot open /dev/fuse", e))?;
    let mount = mount_connection(&device).map_err(|e| ("cannot mount a FUSE file system", e))?;
    Ok((device, mount))
}

fn mount_connection(device: &OwnedFd) -> nix::Result<OwnedFd> {
    let number = CString::new(device.as_raw_fd().to_string()).map_err(|_| Errno::EINVAL)?;
    let fuse = mount::Context::open(c"fuse")?;
    for (key, value) in [
        (c"source", c"fuse-overlayfs"),
        (c"subtype", c"fuse-overlayfs"),
        (c"fd", number.as_c_str()),
        // A directory, and root of U as the one who serves it.
        (c"rootmode", c"40000"),
        (c"user_id", c"0"),
        (c"group_id", c"0"),
    ] {
        fuse.string(key, value)?;
    }
    // All users of the container; the kernel checks permissions.
    fuse.flag(c"allow_other")?;
    fuse.flag(c"default_permissions")?;
    fuse.mount(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::runtime::plan::{Lower, Upper};

    fn overlay(lower: &[&str], volatile: bool) -> Overlay {
        let c = |text: &str| CString::new(text).unwrap();
        Overlay {
            native: true,
            lower: Lower::Each(lower.iter().map(|l| c(l)).collect()),
            shifted: None,
            upper: Some(Upper {
                upper: c("/d/upper"),
                work: c("/d/work"),
                volatile,
                owner: (0, 0),
            }),
            userxattr: true,
        }
    }

    #[test]
    fn paths_as_libfuse_reads_them() {
        for (lower, volatile, want) in [
            (&["/a", "/b"][..], false, "lowerdir=/a:/b"),
            (&["/a"], true, "lowerdir=/a"),
            (&["/a,b", "/c\\d"], false, "lowerdir=/a\\,b:/c\\\\d"),
            (&["//a//b", "///c"], false, "lowerdir=/a//b:/c"),
        ] {
            let end = if volatile { ",volatile" } else { "" };
            let want = format!("{want},upperdir=/d/upper,workdir=/d/work{end}");
            assert_eq!(options(&overlay(lower, volatile)).unwrap(), *want);
        }
        let error = options(&overlay(&["/a", "/b:c"], false)).unwrap_err();
        assert!(error.message().contains("\"/b:c\""), "{error}");
        let mut shifted = overlay(&["/names"], false);
        shifted.upper = None;
        shifted.shifted = Some(Shifted {
            data: vec![c"/a".into(), c"/b".into()],
            uids: "0:1:5".into(),
            gids: "0:1:7".into(),
        });
        assert_eq!(
            options(&shifted).unwrap(),
            *"lowerdir=/a:/b,uidmapping=0:1:5,gidmapping=0:1:7"
        );
    }

    #[test]
    fn both_causes_are_told() {
        let root = overlay(&["/a"], false);
        let second = Error::unsupported("not installed").hint("install it");
        let error = explained(&root, Errno::EINVAL, second);
        assert_eq!(
            (error.kind(), error.message(), error.hint_text()),
            (
                Kind::Unsupported,
                "cannot mount the container's overlay: by the kernel: invalid argument; by fuse-overlayfs: not installed",
                Some("install it")
            )
        );
    }

    #[test]
    fn only_the_noted_process_is_waited_for() {
        let dir = std::env::temp_dir().join(format!("wherry-fuse-{}", std::process::id()));
        let mut sleeper = std::process::Command::new("sleep")
            .arg("0.3")
            .spawn()
            .unwrap();
        let pid = sleeper.id() as i32;
        save(pid, &dir).unwrap();
        assert!(serves(&dir));
        stop(&dir);
        assert!(!dir.join(PID_FILE).exists());
        // It has not been killed.
        assert!(sleeper.wait().unwrap().success());
        let mut sleeper = std::process::Command::new("sleep")
            .arg("30")
            .spawn()
            .unwrap();
        let pid = sleeper.id();
        for text in [
            format!("{pid} 1\n"),
            format!("{pid}\n"),
            "1 1".into(),
            "-1 x".into(),
        ] {
            std::fs::write(dir.join(PID_FILE), &text).unwrap();
            assert!(!serves(&dir), "{text}");
            stop(&dir);
            assert!(sleeper.try_wait().unwrap().is_none(), "{text}");
        }
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
