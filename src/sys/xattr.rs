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
