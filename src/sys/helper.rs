//! Starting other people's programs outside of any container.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A command with a fixed environment, in `/`, in a session of its own, and
/// with no descriptors but the three that the caller sets: neither the user's
/// environment nor an image's reaches a helper.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .current_dir("/");
    // SAFETY: the closure makes two system calls and touches no memory.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            // Close-on-exec instead of close: the pipe by which std reports a
            // failed exec has to live until then.
            let flags = libc::CLOSE_RANGE_CLOEXEC;
            match libc::syscall(libc::SYS_close_range, 3, u32::MAX, flags) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    command
}
