//! Memory of this process.

use std::ffi::c_void;

unsafe extern "C" {
    static __executable_start: u8;
    static etext: u8;
}

/// Lets go of this program's code and constants, which are in the page cache
/// and come back as they are needed: the way here took far more of them than
/// what follows.
pub fn release_code() {
    const PAGE: usize = 4096;
    let start = (&raw const __executable_start)
        .addr()
        .next_multiple_of(PAGE);
    let end = (&raw const etext).addr() & !(PAGE - 1);
    // SAFETY: the linker's symbols delimit a mapping of the program's file that
    // is never written to, so its pages are the file's whenever they are read.
    unsafe {
        libc::madvise(
            start as *mut c_void,
            end.saturating_sub(start),
            libc::MADV_DONTNEED,
        );
    }
}
