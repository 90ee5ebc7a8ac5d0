//! The command line that others see of this process (/proc/PID/cmdline).

use std::ffi::CStr;

/// Where this program's arguments are in its memory: fields 48 and 49 of
/// /proc/self/stat (proc_pid_stat(5)).
#[derive(Debug, Clone, Copy)]
pub struct Arguments {
    start: usize,
    end: usize,
}

impl Arguments {
    /// Finds them; before the process becomes undumpable.
    pub fn find() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let (_, after_name) = stat.rsplit_once(')')?;
        let mut fields = after_name.split_ascii_whitespace().skip(45);
        let start = fields.next()?.parse().ok()?;
        let end = fields.next()?.parse().ok()?;
        (start != 0 && start < end).then_some(Self { start, end })
    }

    /// Writes `title` over them, so that a container's `ps` does not show how
    /// the engine was called. Usable between clone and exec; only for a
    /// process that does not look at its arguments any more.
    pub fn replace(self, title: &CStr) {
        let room = self.end - self.start;
        let bytes = title.to_bytes();
        let length = bytes.len().min(room - 1);
        let area = self.start as *mut u8;
        // SAFETY: the kernel put the argument strings of this program between
        // start and end, writable memory of its stack that lives as long as it
        // does; nothing in this process refers to it from now on.
        unsafe {
            std::ptr::write_bytes(area, 0, room);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), area, length);
        }
    }
}
