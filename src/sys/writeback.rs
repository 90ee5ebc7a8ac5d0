//! Writing to the disk while there is still something else to do.

use std::os::fd::{AsRawFd, BorrowedFd};

/// Has the kernel begin to write these bytes of a file to the disk; it does not
/// wait for that. A hint: where it is not possible, a later sync takes longer.
pub fn begin(file: BorrowedFd<'_>, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else {
        return;
    };
    // SAFETY: only numbers are passed on, and the descriptor is open.
    unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            offset,
            length,
            libc::SYNC_FILE_RANGE_WRITE,
        );
    }
}
