//! The new mount API (fsopen(2) and friends) and pivot_root(2). Everything
//! takes C strings and descriptors and is usable between clone and exec.

use super::check;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

pub const ATTR_RDONLY: u64 = 0x1;
pub const ATTR_NOSUID: u64 = 0x2;
pub const ATTR_NODEV: u64 = 0x4;
pub const ATTR_NOEXEC: u64 = 0x8;
pub const ATTR_NOATIME: u64 = 0x10;
pub const ATTR_STRICTATIME: u64 = 0x20;
pub const ATTR_NODIRATIME: u64 = 0x80;

const FSOPEN_CLOEXEC: u32 = 1;
const FSMOUNT_CLOEXEC: u32 = 1;
const FSCONFIG_SET_FLAG: u32 = 0;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const OPEN_TREE_CLONE: u32 = 1;
const OPEN_TREE_CLOEXEC: u32 = libc::O_CLOEXEC as u32;
const AT_RECURSIVE: u32 = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: u32 = 0x4;
const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;

/// A file system being configured.
pub struct Context(OwnedFd);

impl Context {
    /// fsopen(2).
    pub fn open(fstype: &CStr) -> nix::Result<Self> {
        // SAFETY: the string is NUL-terminated; the result is a new descriptor.
        let fd =
            check(unsafe { libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), FSOPEN_CLOEXEC) })?;
        // SAFETY: as above, nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    fn config(
        &self,
        cmd: u32,
        key: *const libc::c_char,
        value: *const libc::c_char,
    ) -> nix::Result<()> {
        // SAFETY: key and value are NUL-terminated or null, as `cmd` wants.
        check(unsafe { libc::syscall(libc::SYS_fsconfig, self.0.as_raw_fd(), cmd, key, value, 0) })
            .map(drop)
    }

    pub fn flag(&self, key: &CStr) -> nix::Result<()> {
        self.config(FSCONFIG_SET_FLAG, key.as_ptr(), std::ptr::null())
    }

    pub fn string(&self, key: &CStr, value: &CStr) -> nix::Result<()> {
        self.config(FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr())
    }

    /// Creates the superblock and a detached mount of it with `attributes`.
    pub fn mount(self, attributes: u64) -> nix::Result<OwnedFd> {
        self.config(FSCONFIG_CMD_CREATE, std::ptr::null(), std::ptr::null())?;
        // SAFETY: plain numbers; the result is a new descriptor.
        let fd = check(unsafe {
            libc::syscall(
                libc::SYS_fsmount,
                self.0.as_raw_fd(),
                FSMOUNT_CLOEXEC,
                attributes as u32,
            )
        })?;
        // SAFETY: as above, nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
    }
}

/// A detached copy of the mount at `path` below `dir` (`c""`: of `dir` itself).
pub fn clone_tree(dir: BorrowedFd<'_>, path: &CStr, recursive: bool) -> nix::Result<OwnedFd> {
    let mut flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= AT_RECURSIVE;
    }
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH as u32;
    }
    // SAFETY: NUL-terminated string, live descriptor; the result is new.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), path.as_ptr(), flags)
    })?;
    // SAFETY: as above, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Attaches the detached mount `mount` on what `target` refers to.
pub fn attach(mount: impl AsFd, target: impl AsFd) -> nix::Result<()> {
    // SAFETY: both descriptors are live; paths are empty by the flags.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            target.as_fd().as_raw_fd(),
            c"".as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// `struct mount_attr` (linux/mount.h).
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// mount_setattr(2): sets attributes and, when not 0, propagation (`MS_PRIVATE`…)
/// of a mount. Locked flags that are already set stay set.
pub fn set_attributes(
    mount: impl AsFd,
    set: u64,
    propagation: u64,
    recursive: bool,
) -> nix::Result<()> {
    let attr = MountAttr {
        attr_set: set,
        attr_clr: 0,
        propagation,
        userns_fd: 0,
    };
    let mut flags = libc::AT_EMPTY_PATH as u32;
    if recursive {
        flags |= AT_RECURSIVE;
    }
    // SAFETY: `attr` is a valid mount_attr of the size given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            std::mem::size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// Mounts an overlay on `target` by mount(2), for kernels whose new mount API
/// does not take layers one by one.
pub fn overlay(target: &CStr, options: &CStr) -> nix::Result<()> {
    let name = c"overlay".as_ptr();
    // SAFETY: four NUL-terminated strings; the options are a string for overlay.
    check(libc::c_long::from(unsafe {
        libc::mount(name, target.as_ptr(), name, 0, options.as_ptr().cast())
    }))
    .map(drop)
}

/// Detaches what is mounted on `target`.
pub fn detach(target: &CStr) -> nix::Result<()> {
    // SAFETY: a NUL-terminated string and a flag.
    check(libc::c_long::from(unsafe {
        libc::umount2(target.as_ptr(), libc::MNT_DETACH)
    }))
    .map(drop)
}

/// Sets the propagation of `/` and everything below it.
pub fn set_root_propagation(flags: libc::c_ulong) -> nix::Result<()> {
    // SAFETY: constant strings and null pointers as mount(2) allows here.
    check(libc::c_long::from(unsafe {
        libc::mount(
            std::ptr::null(),
            c"/".as_ptr(),
            std::ptr::null(),
            flags,
            std::ptr::null(),
        )
    }))
    .map(drop)
}

/// Makes the current directory the root and drops the old one, in the form
/// pivot_root(".", ".") of pivot_root(2), NOTES.
pub fn pivot_to_current_dir() -> nix::Result<()> {
    let here = c".".as_ptr();
    // SAFETY: constant strings; the old root is mounted on "." afterwards.
    unsafe {
        check(libc::syscall(libc::SYS_pivot_root, here, here))?;
        check(libc::c_long::from(libc::umount2(here, libc::MNT_DETACH)))?;
        check(libc::c_long::from(libc::chdir(c"/".as_ptr())))?;
    }
    Ok(())
}
