//! Starting other people's programs outside of any container.

use super::procfs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs are taken from these alone: what PATH says is the user's matter,
/// and never decides which program serves a container.
pub const DIRECTORIES: [&str; 5] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"];

/// The first program called `name` in `directories` that is trusted.
pub fn find(directories: &[&Path], name: &str) -> Option<PathBuf> {
    let mut paths = directories.iter().map(|dir| dir.join(name));
    paths.find(|path| is_trusted(path))
}

/// A regular file of root that nobody else can write, in such a directory.
/// Root is the owner of `/`: in a user namespace that does not map it, its
/// files belong to the overflow id.
pub fn is_trusted(path: &Path) -> bool {
    let root = std::fs::metadata("/").map_or(0, |meta| meta.uid());
    let of_root = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        (meta.uid() == root && meta.mode() & 0o022 == 0).then_some(meta)
    };
    let dir = path.parent().and_then(of_root).is_some();
    dir && of_root(path).is_some_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
}

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
    // SAFETY: the closure makes system calls and touches no memory of others.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            // A monitor has all signals blocked.
            super::signal::unblock_all().map_err(std::io::Error::from)?;
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

/// Has the process write "PID STARTTIME" and `rest` into `file` before it
/// becomes the program: whoever starts it may be killed before he could.
pub fn note(command: &mut Command, file: OwnedFd, rest: String) {
    // SAFETY: the closure makes system calls, and formats on the stack.
    unsafe {
        command.pre_exec(move || {
            let pid = std::process::id().cast_signed();
            let start_time = procfs::start_time(pid).ok_or(std::io::ErrorKind::NotFound)?;
            let mut text = [0u8; 96];
            let mut free = &mut text[..];
            write!(free, "{pid} {start_time}{rest}")?;
            let left = free.len();
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
        // No pipe, whose ends the shell itself would have for a moment.
        let script =
            "pwd; ls -1 /proc/$$/fd; tr '\\0' ' ' </proc/$$/environ; cut -d' ' -f1,6 /proc/$$/stat";
        let output = command(Path::new("/bin/sh"))
            .args(["-c", script])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (pid, session) = text.lines().last().unwrap().rsplit_once(' ').unwrap();
        assert!(pid.ends_with(session), "{text}");
        let expected = "/\n0\n1\n2\nLC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin ";
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
        // It stays until its standard input ends: a zombie has no start time.
        sh.args(["-c", "cat $0; cat", path.to_str().unwrap()]);
        sh.stdin(std::process::Stdio::piped());
        note(
            &mut sh,
            std::fs::File::create(&path).unwrap().into(),
            " more\n".into(),
        );
        let child = sh.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let start_time = procfs::start_time(child.id().cast_signed());
        let want = format!("{} {} more\n", child.id(), start_time.unwrap());
        let seen = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(seen.stdout).unwrap(), want);
        std::fs::remove_file(path).unwrap();
    }
}
