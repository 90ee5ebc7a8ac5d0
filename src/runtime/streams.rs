//! The three streams of a process without a terminal: a pipe each, so that
//! nothing of the caller's own gets into the container.

use crate::error::{Context, Result};
use crate::runtime::child::Streams;
use nix::fcntl::OFlag;
use std::os::fd::OwnedFd;

/// The parent's ends.
#[derive(Default)]
pub struct Ends {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

/// Pipes for stdout and stderr, and for stdin when it is `open`.
pub fn pipes(open_stdin: bool) -> Result<(Streams, Ends)> {
    let pipe = || nix::unistd::pipe2(OFlag::O_CLOEXEC).context(|| "cannot make a pipe");
    let stdin = open_stdin.then(pipe).transpose()?;
    let (stdout_read, stdout_write) = pipe()?;
    let (stderr_read, stderr_write) = pipe()?;
    let (stdin_read, stdin_write) = stdin.unzip();
    let streams = Streams {
        stdin: stdin_read,
        stdout: Some(stdout_write),
        stderr: Some(stderr_write),
    };
    let ends = Ends {
        stdin: stdin_write,
        stdout: Some(stdout_read),
        stderr: Some(stderr_read),
    };
    Ok((streams, ends))
}
