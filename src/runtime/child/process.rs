//! From a process in the right namespaces to the user's program: streams,
//! limits, directory, privileges, filter, exec.

use super::beneath::{self, Links};
use super::tree::Built;
use super::{At, Done, reaper};
use crate::runtime::plan::Process;
use crate::runtime::sync::{ChildEnd, Failure, MAX_HOME, Step, UserMessage};
use crate::sys::{caps, clone, cred, pty, signal, stub};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What becomes descriptors 0, 1 and 2 without a terminal; `None` is the
/// container's own /dev/null.
#[derive(Default)]
pub struct Streams {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

/// Descriptors of ours live above the three streams and the stub's.
const FIRST_FREE: i32 = 10;

/// A pty of the container's devpts, its slave also on /dev/console.
pub fn open_terminal(size: (u16, u16), built: &Built) -> Done<(OwnedFd, OwnedFd)> {
    let pts = built.pts.as_ref().ok_or(Errno::ENODEV).at(Step::Terminal)?;
    let (master, slave) = pty::open_in(pts.as_fd()).at(Step::Terminal)?;
    set_size(&master, size)?;
    let console = beneath::mount_point(built.root.as_fd(), c"dev/console", false, Links::Refuse);
    console
        .and_then(|target| {
            let copy = crate::sys::mount::clone_tree(slave.as_fd(), c"", false)?;
            crate::sys::mount::attach(&copy, &target)
        })
        .at(Step::Terminal)?;
    Ok((master, slave))
}

/// A pty for exec: from the container's /dev/pts, seen from inside it.
pub fn open_own_terminal(size: (u16, u16)) -> Done<(OwnedFd, OwnedFd)> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let pts = nix::fcntl::open(c"/dev/pts", flags, Mode::empty()).at(Step::Terminal)?;
    let magic = nix::sys::statfs::fstatfs(&pts)
        .at(Step::Terminal)?
        .filesystem_type();
    // Somebody in the container may have put something else there (CVE-2025-52565).
    if magic.0 != libc::DEVPTS_SUPER_MAGIC {
        return Err(Errno::ENODEV).at(Step::Terminal);
    }
    let (master, slave) = pty::open_in(pts.as_fd()).at(Step::Terminal)?;
    set_size(&master, size)?;
    Ok((master, slave))
}

fn set_size(master: &OwnedFd, (rows, columns): (u16, u16)) -> Done {
    if (rows, columns) == (0, 0) {
        return Ok(());
    }
    pty::set_size(master, pty::Size { rows, columns }).at(Step::Terminal)
}

/// The rest of the way. Only comes back with a failure.
pub fn run(
    process: &mut Process,
    streams: Streams,
    slave: Option<OwnedFd>,
    sync: &ChildEnd,
) -> Done<std::convert::Infallible> {
    let user = sync.wait_user().at(Step::User)?;
    let sync_fd = lift(sync.as_fd()).at(Step::Streams)?;
    let stub_fd = lift(process.stub.as_fd()).at(Step::Streams)?;
    if let Some(program) = &process.reaper {
        reaper::split(program)?;
    }
    nix::unistd::setsid().at(Step::Streams)?;
    set_streams(streams, slave, user.uid())?;
    for (i, &(resource, soft, hard)) in process.limits.iter().enumerate() {
        cred::set_limit(resource, soft, hard).item(Step::Limits, i)?;
    }
    leave_keyring(process)?;
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    enter_directory(process)?;
    drop_privileges(process, &user)?;
    let mut home = [0u8; MAX_HOME + 8];
    if !process.home_is_set {
        user.home_variable(&mut home);
        process.environment.set_spare(home.as_ptr().cast());
    }
    find_program(process)?;
    signal::default_dispositions();
    signal::unblock_all().at(Step::Exec)?;
    cred::parent_death_signal(0).at(Step::Exec)?;
    // All of ours is close-on-exec already; this catches what is not ours.
    let _ = clone::close_from(3, true);
    install(sync_fd.as_fd(), stub::STATUS_FD)?;
    let errno = stub::exec(
        stub_fd.as_fd(),
        process.arguments.pointers(),
        process.environment.pointers(),
    );
    Err(errno).at(Step::Stub)
}

/// Away from the caller's session keyring. Keys are scarce (200 a user), and
/// the default filter lets nobody use them: then it may fail.
fn leave_keyring(process: &Process) -> Done {
    match cred::new_session_keyring() {
        Err(Errno::ENOSYS) => Ok(()),
        Err(e) if process.needs_keyring => Err(e).at(Step::Keyring),
        _ => Ok(()),
    }
}

/// A copy of `fd` out of the way of the streams, close-on-exec.
fn lift(fd: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let raw = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_FREE))?;
    Ok(crate::sys::own(raw))
}

fn set_streams(streams: Streams, slave: Option<OwnedFd>, uid: u32) -> Done {
    if let Some(slave) = slave {
        pty::set_controlling(&slave).at(Step::Terminal)?;
        for target in 0..3 {
            install(slave.as_fd(), target)?;
        }
        let _ = nix::unistd::fchown(&slave, Some(uid.into()), None);
        return Ok(());
    }
    let all = [streams.stdin, streams.stdout, streams.stderr];
    // Above the three targets, so that none is overwritten before its turn.
    let mut lifted = [None, None, None];
    for (slot, stream) in lifted.iter_mut().zip(all) {
        *slot = Some(match stream {
            Some(fd) => {
                // Another user than root may open /dev/stdout anew.
                let _ = nix::unistd::fchown(&fd, Some(uid.into()), None);
                lift(fd.as_fd()).at(Step::Streams)?
            }
            None => lift(open_null().at(Step::Streams)?.as_fd()).at(Step::Streams)?,
        });
    }
    for (target, fd) in lifted.iter().flatten().enumerate() {
        install(fd.as_fd(), target as i32)?;
    }
    Ok(())
}

fn install(fd: BorrowedFd<'_>, target: i32) -> Done {
    crate::sys::install(fd, target).at(Step::Streams)
}

/// The container's own null device; a directory of the host mounted on /dev
/// may have something else there (CVE-2026-88265).
fn open_null() -> nix::Result<OwnedFd> {
    let flags =
        OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let fd = nix::fcntl::open(c"/dev/null", flags, Mode::empty())?;
    let st = nix::sys::stat::fstat(&fd)?;
    if st.st_mode & libc::S_IFMT != libc::S_IFCHR || st.st_rdev != libc::makedev(1, 3) {
        return Err(Errno::ENODEV);
    }
    Ok(fd)
}

/// chdir, making what is missing where Docker does, and a look that we are
/// where we think (CVE-2024-21626).
fn enter_directory(process: &Process) -> Done {
    let path = process.directory.as_c_str();
    if process.makes_directory && nix::unistd::chdir(path) == Err(Errno::ENOENT) {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = nix::fcntl::open(c"/", flags, Mode::empty()).at(Step::Directory)?;
        let relative = crate::sys::after_slashes(path);
        beneath::make(root.as_fd(), relative, true, Links::Follow).at(Step::Directory)?;
        nix::unistd::chdir(path).at(Step::Directory)?;
    } else {
        nix::unistd::chdir(path).at(Step::Directory)?;
    }
    if crate::sys::current_dir_is_below_root() {
        Ok(())
    } else {
        Err(Errno::EXDEV).at(Step::DirectoryOutside)
    }
}

/// Bounding set, filter, ids, capabilities, in the order in which each is
/// still allowed: the filter needs CAP_SYS_ADMIN unless privileges are sealed.
fn drop_privileges(process: &Process, user: &UserMessage) -> Done {
    caps::limit_bounding(process.bounding).at(Step::Capabilities)?;
    if !process.no_new_privileges {
        load_filter(process)?;
    }
    become_user(user)?;
    let kept = if user.uid() == 0 {
        process.permitted
    } else {
        caps::CapSet::EMPTY
    };
    caps::clear_ambient().at(Step::Capabilities)?;
    caps::set(kept, kept, caps::CapSet::EMPTY).at(Step::Capabilities)?;
    if process.no_new_privileges {
        cred::no_new_privileges().at(Step::Capabilities)?;
        load_filter(process)?;
    }
    Ok(())
}

fn become_user(user: &UserMessage) -> Done {
    match cred::become_user(user.uid(), user.gid(), user.groups()) {
        // A namespace with a single id denies setgroups: root without groups
        // is what it has anyway.
        Err(Errno::EPERM) if user.uid() == 0 && user.gid() == 0 => Ok(()),
        other => other.at(Step::User),
    }
}

fn load_filter(process: &Process) -> Done {
    match &process.seccomp {
        Some(filter) => crate::sys::seccomp::load(&filter.program, filter.flags).at(Step::Seccomp),
        None => Ok(()),
    }
}

/// The first candidate that may be executed; "permission denied" beats "not
/// found", as execvp(3) has it.
fn find_program(process: &mut Process) -> Done {
    let mut refused = None;
    for candidate in &process.candidates {
        match stub::may_execute(candidate) {
            Ok(()) => {
                process.arguments.set_path(candidate.as_ptr());
                return Ok(());
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(e) => refused = Some(e),
        }
    }
    Err(Failure {
        step: Step::Lookup,
        item: 0,
        errno: refused.unwrap_or(Errno::ENOENT),
    })
}
