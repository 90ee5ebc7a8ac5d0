//! Starting other people's programs outside of any container.

use super::procfs;
use std::io::Write;
use std::os::fd::OwnedFd;
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

/// Has the process write "PID STARTTIME" into `file` before it becomes the
/// program: whoever starts it may be killed before he could.
pub fn note(command: &mut Command, file: OwnedFd) {
    // SAFETY: the closure makes system calls, and formats on the stack.
    unsafe {
        command.pre_exec(move || {
            let pid = std::process::id().cast_signed();
            let start_time = procfs::start_time(pid).ok_or(std::io::ErrorKind::NotFound)?;
            let mut text = [0u8; 48];
            let mut rest = &mut text[..];
            writeln!(rest, "{pid} {start_time}")?;
            let left = rest.len();
            nix::unistd::write(&file, &text[..text.len() - left])?;
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shell started in this way sees of us.
    #[test]
    fn nothing_of_ours_reaches_a_helper() {
        let inherited = std::fs::File::open("/dev/null").unwrap();
        nix::fcntl::fcntl(&inherited, nix::fcntl::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
        let script = "pwd; ls /proc/$$/fd | tr '\\n' ' '; tr '\\0' ' ' </proc/$$/environ; cut -d' ' -f1,6 /proc/$$/stat";
        let output = command(Path::new("/bin/sh"))
            .args(["-c", script])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (pid, session) = text.lines().last().unwrap().rsplit_once(' ').unwrap();
        assert!(pid.ends_with(session), "{text}");
        let expected = "/\n0 1 2 LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin ";
        assert_eq!(
            text.strip_suffix(&format!("{session} {session}\n"))
                .unwrap(),
            expected
        );
    }
    #[test]
    fn a_helper_is_noted_before_it_runs() {
        let path = std::env::temp_dir().join(format!("wherry-note-{}", std::process::id()));
        let mut sh = command(Path::new("/bin/sh"));
        sh.args(["-c", "cat $0", path.to_str().unwrap()]);
        note(&mut sh, std::fs::File::create(&path).unwrap().into());
        let child = sh.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let start_time = procfs::start_time(child.id().cast_signed());
        let want = format!("{} {}\n", child.id(), start_time.unwrap());
        let seen = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(seen.stdout).unwrap(), want);
        std::fs::remove_file(path).unwrap();
    }
}
