//! The talk between the child and its parent (the monitor, or the command
//! line for exec), over one SEQPACKET socket pair:
//!
//! ```text
//!  parent                               child
//!    | ---- Go ---------------------------> |  id maps are written
//!    |                                      |  builds its root
//!    | <--- Refused {errno} ----------------|  only where the kernel has no
//!    | ---- Root + mount ------------------>|  overlay here: then by us
//!    | <--- Ready {passwd, group, pty, …} --|  descriptors of files to read
//!    | ---- User {uid, gid, groups, home} ->|  network is there
//!    | <--- end of stream ------------------|  execve has succeeded
//!    | <--- Failed {step, item, errno} -----|  or: it has not
//!    | <--- errno (4 bytes, by the stub) ---|  or: its last step has not
//! ```
//!
//! Fixed-size messages without allocation; a parent that goes away is an end
//! of stream, upon which the child leaves.

use crate::sys::cmsg;
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Groups beyond this are refused (row S20 of the security table).
pub const MAX_GROUPS: usize = 1024;
/// The longest home directory (PATH_MAX).
pub const MAX_HOME: usize = 4096;
const USER_SIZE: usize = 16 + 4 * MAX_GROUPS + MAX_HOME;

const GO: u8 = 1;
const READY: u8 = 2;
const USER: u8 = 3;
const FAILED: u8 = 4;
const REFUSED: u8 = 5;
const ROOT: u8 = 6;

/// Where between clone and exec something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    Wait,
    Hostname,
    Propagation,
    Root,
    Staging,
    Tree,
    Sysctl,
    Mask,
    ReadOnly,
    Pivot,
    Loopback,
    Terminal,
    Streams,
    User,
    Limits,
    Directory,
    DirectoryOutside,
    Capabilities,
    Seccomp,
    Reaper,
    Keyring,
    Stub,
    Lookup,
    Exec,
}

const STEPS: [Step; 24] = [
    Step::Wait,
    Step::Hostname,
    Step::Propagation,
    Step::Root,
    Step::Staging,
    Step::Tree,
    Step::Sysctl,
    Step::Mask,
    Step::ReadOnly,
    Step::Pivot,
    Step::Loopback,
    Step::Terminal,
    Step::Streams,
    Step::User,
    Step::Limits,
    Step::Directory,
    Step::DirectoryOutside,
    Step::Capabilities,
    Step::Seccomp,
    Step::Reaper,
    Step::Keyring,
    Step::Stub,
    Step::Lookup,
    Step::Exec,
];

/// A failure in the child: `item` counts within the step's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    pub step: Step,
    pub item: u16,
    pub errno: Errno,
}

/// The child's end.
pub struct ChildEnd(OwnedFd);
/// The parent's end.
pub struct ParentEnd(OwnedFd);

pub fn pair() -> nix::Result<(ParentEnd, ChildEnd)> {
    let (parent, child) = cmsg::pair()?;
    Ok((ParentEnd(parent), ChildEnd(child)))
}

/// Descriptors that come with Ready.
#[derive(Default)]
pub struct Ready {
    pub passwd: Option<OwnedFd>,
    pub group: Option<OwnedFd>,
    /// The overlay's mount: held so that the container's exit need not sync.
    pub root: Option<OwnedFd>,
    pub terminal: Option<OwnedFd>,
}

/// Who the process is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: Vec<u8>,
}

/// What the parent hears.
pub enum Heard {
    Ready(Ready),
    /// The kernel does not mount this overlay; the child waits for another.
    Refused(Errno),
    Failed(Failure),
    /// The socket was closed: by a successful execve, or by the child's end.
    End,
}

impl ParentEnd {
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub fn go(&self) -> nix::Result<()> {
        cmsg::send(self.0.as_fd(), &[GO], &[])
    }

    /// The detached mount that a refused child waits for.
    pub fn root(&self, mount: BorrowedFd<'_>) -> nix::Result<()> {
        cmsg::send(self.0.as_fd(), &[ROOT], &[mount])
    }

    /// Sends who to become; EMSGSIZE when it does not fit.
    pub fn user(&self, user: &User) -> nix::Result<()> {
        if user.groups.len() > MAX_GROUPS || user.home.len() >= MAX_HOME {
            return Err(Errno::EMSGSIZE);
        }
        let mut bytes = vec![USER, 0, 0, 0];
        for word in [user.uid, user.gid, user.groups.len() as u32] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        for group in &user.groups {
            bytes.extend_from_slice(&group.to_ne_bytes());
        }
        bytes.extend_from_slice(&user.home);
        cmsg::send(self.0.as_fd(), &bytes, &[])
    }

    /// Waits for the next message.
    pub fn hear(&self) -> nix::Result<Heard> {
        let mut bytes = [0u8; 16];
        let (n, fds) = cmsg::receive(self.0.as_fd(), &mut bytes, 0)?;
        match (n, bytes[0]) {
            (0, _) => Ok(Heard::End),
            (2, READY) => Ok(Heard::Ready(sort(bytes[1], fds))),
            (8, FAILED) => Ok(Heard::Failed(Failure {
                step: *STEPS.get(usize::from(bytes[1])).ok_or(Errno::EBADMSG)?,
                item: u16::from_ne_bytes([bytes[2], bytes[3]]),
                errno: errno(&bytes[4..8]),
            })),
            (8, REFUSED) => Ok(Heard::Refused(errno(&bytes[4..8]))),
            // The stub's: only execve itself can have failed there.
            (4, _) => Ok(Heard::Failed(Failure {
                step: Step::Exec,
                item: 0,
                errno: errno(&bytes[..4]),
            })),
            _ => Err(Errno::EBADMSG),
        }
    }
}

fn errno(bytes: &[u8]) -> Errno {
    bytes.try_into().map_or(Errno::UnknownErrno, |b| {
        Errno::from_raw(i32::from_ne_bytes(b))
    })
}

/// Gives each descriptor its meaning by the bits of what was sent.
fn sort(bits: u8, fds: [Option<OwnedFd>; cmsg::MAX_FDS]) -> Ready {
    let mut fds = fds.into_iter().flatten();
    let mut take = |bit: u8| if bits & bit != 0 { fds.next() } else { None };
    Ready {
        passwd: take(1),
        group: take(2),
        root: take(4),
        terminal: take(8),
    }
}

impl ChildEnd {
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Waits for Go; EPIPE when the parent is gone.
    pub fn wait_go(&self) -> nix::Result<()> {
        let mut byte = [0u8; 4];
        match cmsg::receive(self.0.as_fd(), &mut byte, 0)? {
            (1, _) if byte[0] == GO => Ok(()),
            _ => Err(Errno::EPIPE),
        }
    }

    pub fn ready(&self, ready: &Ready) -> nix::Result<()> {
        let all = [&ready.passwd, &ready.group, &ready.root, &ready.terminal];
        let mut fds = [self.0.as_fd(); cmsg::MAX_FDS];
        let (mut n, mut bits) = (0, 0u8);
        for (i, fd) in all.into_iter().enumerate() {
            if let Some(fd) = fd {
                fds[n] = fd.as_fd();
                n += 1;
                bits |= 1 << i;
            }
        }
        cmsg::send(self.0.as_fd(), &[READY, bits], &fds[..n])
    }

    /// Tells that the kernel refused the overlay, and waits for the mount to
    /// use instead; EPIPE when there is none.
    pub fn ask_root(&self, refusal: Errno) -> nix::Result<OwnedFd> {
        let mut bytes = [REFUSED, 0, 0, 0, 0, 0, 0, 0];
        bytes[4..8].copy_from_slice(&(refusal as i32).to_ne_bytes());
        cmsg::send(self.0.as_fd(), &bytes, &[])?;
        let mut byte = [0u8; 4];
        match cmsg::receive(self.0.as_fd(), &mut byte, 0)? {
            (1, [Some(mount), ..]) if byte[0] == ROOT => Ok(mount),
            _ => Err(Errno::EPIPE),
        }
    }

    /// Waits for the user's ids; the home directory ends in NUL.
    pub fn wait_user(&self) -> nix::Result<UserMessage> {
        let mut message = UserMessage {
            bytes: [0; USER_SIZE],
            groups: [0; MAX_GROUPS],
            length: 0,
        };
        let (n, _) = cmsg::receive(self.0.as_fd(), &mut message.bytes, 0)?;
        message.length = n;
        message.decode()?;
        Ok(message)
    }

    pub fn failed(&self, failure: Failure) {
        let mut bytes = [FAILED, failure.step as u8, 0, 0, 0, 0, 0, 0];
        bytes[2..4].copy_from_slice(&failure.item.to_ne_bytes());
        bytes[4..8].copy_from_slice(&(failure.errno as i32).to_ne_bytes());
        let _ = cmsg::send(self.0.as_fd(), &bytes, &[]);
    }
}

/// [`User`] as the child has it: on its stack.
pub struct UserMessage {
    bytes: [u8; USER_SIZE],
    groups: [u32; MAX_GROUPS],
    length: usize,
}

impl UserMessage {
    fn word(&self, at: usize) -> u32 {
        let b = &self.bytes;
        u32::from_ne_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
    }
    fn count(&self) -> usize {
        self.word(12) as usize
    }
    fn decode(&mut self) -> nix::Result<()> {
        if self.length == 0 {
            return Err(Errno::EPIPE);
        }
        let home = 16 + 4 * self.count().min(MAX_GROUPS);
        if self.length < 16
            || self.bytes[0] != USER
            || self.count() > MAX_GROUPS
            || home > self.length
        {
            return Err(Errno::EBADMSG);
        }
        for i in 0..self.count() {
            self.groups[i] = self.word(16 + 4 * i);
        }
        Ok(())
    }
    pub fn uid(&self) -> u32 {
        self.word(4)
    }
    pub fn gid(&self) -> u32 {
        self.word(8)
    }
    pub fn groups(&self) -> &[u32] {
        &self.groups[..self.count()]
    }
    /// Copies `HOME=…` with its NUL into `buffer`.
    pub fn home_variable(&self, buffer: &mut [u8; MAX_HOME + 8]) {
        let home = &self.bytes[16 + 4 * self.count()..self.length];
        buffer[..5].copy_from_slice(b"HOME=");
        buffer[5..5 + home.len()].copy_from_slice(home);
        buffer[5 + home.len()] = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_survives_the_way() {
        let (parent, child) = pair().unwrap();
        let user = User {
            uid: 70,
            gid: 71,
            groups: vec![1, 2, 3],
            home: b"/home/x".to_vec(),
        };
        parent.user(&user).unwrap();
        let got = child.wait_user().unwrap();
        assert_eq!(
            (got.uid(), got.gid(), got.groups()),
            (70, 71, &[1, 2, 3][..])
        );
        let mut home = [1u8; MAX_HOME + 8];
        got.home_variable(&mut home);
        assert_eq!(&home[..13], b"HOME=/home/x\0");
        let too_many = User {
            groups: vec![0; MAX_GROUPS + 1],
            ..User::default()
        };
        assert_eq!(parent.user(&too_many), Err(Errno::EMSGSIZE));
    }

    #[test]
    fn a_refused_child_gets_another_root() {
        let (parent, child) = pair().unwrap();
        let waiting = std::thread::spawn(move || child.ask_root(Errno::EINVAL));
        assert!(matches!(
            parent.hear().unwrap(),
            Heard::Refused(Errno::EINVAL)
        ));
        let null = std::fs::File::open("/dev/null").unwrap();
        parent.root(null.as_fd()).unwrap();
        let got = waiting.join().unwrap().unwrap();
        let id = |fd: &dyn std::os::fd::AsRawFd| {
            nix::sys::stat::stat(format!("/proc/self/fd/{}", fd.as_raw_fd()).as_str())
                .unwrap()
                .st_rdev
        };
        assert_eq!(id(&got), id(&null));
        let (parent, child) = pair().unwrap();
        drop(parent);
        assert!(child.ask_root(Errno::EINVAL).is_err());
    }

    #[test]
    fn failures_and_the_end() {
        let (parent, child) = pair().unwrap();
        let failure = Failure {
            step: Step::Exec,
            item: 7,
            errno: Errno::ENOENT,
        };
        child.failed(failure);
        assert!(matches!(parent.hear().unwrap(), Heard::Failed(f) if f == failure));
        drop(child);
        assert!(matches!(parent.hear().unwrap(), Heard::End));
        for (i, step) in STEPS.iter().enumerate() {
            assert_eq!(*step as usize, i);
        }
    }
}
