//! Extended attributes of open files (xattr(7)); nix has no calls for them.

use super::check;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd};

/// fsetxattr(2) without flags: makes or replaces.
pub fn set(fd: impl AsFd, name: &CStr, value: &[u8]) -> nix::Result<()> {
    // SAFETY: `name` ends in NUL, and pointer and length are those of `value`.
    check(libc::c_long::from(unsafe {
        libc::fsetxattr(
            fd.as_fd().as_raw_fd(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    }))
    .map(drop)
}

/// fgetxattr(2); `None` when there is no such attribute.
pub fn get(fd: impl AsFd, name: &CStr) -> nix::Result<Option<Vec<u8>>> {
    // XATTR_SIZE_MAX: no value is longer.
    let mut value = vec![0u8; 64 << 10];
    // SAFETY: `name` ends in NUL, and pointer and length are those of `value`.
    let n = check(unsafe {
        libc::fgetxattr(
            fd.as_fd().as_raw_fd(),
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    } as libc::c_long);
    match n {
        Ok(n) => {
            value.truncate(n as usize);
            Ok(Some(value))
        }
        Err(nix::Error::ENODATA) => Ok(None),
        Err(e) => Err(e),
    }
}

/// flistxattr(2): the names, each with its NUL.
pub fn list(fd: impl AsFd) -> nix::Result<Vec<u8>> {
    let fd = fd.as_fd().as_raw_fd();
    // Most files have none: the size alone is asked for first.
    let ask = |names: &mut [u8]| {
        // SAFETY: pointer and length are those of `names`; length 0 writes nothing.
        check(
            unsafe { libc::flistxattr(fd, names.as_mut_ptr().cast(), names.len()) } as libc::c_long,
        )
    };
    if ask(&mut [])? == 0 {
        return Ok(Vec::new());
    }
    // XATTR_LIST_MAX: the list is no longer.
    let mut names = vec![0u8; 64 << 10];
    let n = ask(&mut names)?;
    names.truncate(n as usize);
    Ok(names)
}

/// fremovexattr(2); one that is not there is no error.
pub fn remove(fd: impl AsFd, name: &CStr) -> nix::Result<()> {
    // SAFETY: `name` ends in NUL.
    let ret = unsafe { libc::fremovexattr(fd.as_fd().as_raw_fd(), name.as_ptr()) };
    match check(libc::c_long::from(ret)) {
        Err(nix::Error::ENODATA) => Ok(()),
        other => other.map(drop),
    }
}
