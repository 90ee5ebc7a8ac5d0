//! Work done by a child process as root of U: it sees all ids that containers
//! and layers use. The result comes back as JSON through a pipe.

use super::enter::{Entered, Userns};
use super::map::Maps;
use crate::error::{Context, Error, Kind, Result};
use crate::paths::Paths;
use crate::sys::{clone, pidfd};
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

#[derive(Serialize, Deserialize)]
enum Reply<T> {
    Done(T),
    Failed {
        kind: u8,
        message: String,
        hint: Option<String>,
    },
}

/// Runs `work` in a child inside U and returns what it returned. The child
/// may start threads; the caller must have none.
pub fn run<T, F>(paths: &Paths, work: F) -> Result<T>
where
    T: Serialize + DeserializeOwned,
    F: FnOnce() -> Result<T>,
{
    start(paths, work)?.finish()
}

/// Work that a child is doing.
pub struct Running<T> {
    reply: std::fs::File,
    pidfd: OwnedFd,
    gives: std::marker::PhantomData<T>,
}

impl<T: DeserializeOwned> Running<T> {
    /// Waits for its end.
    pub fn finish(mut self) -> Result<T> {
        let mut text = Vec::new();
        let got = self.reply.read_to_end(&mut text);
        let ended = pidfd::reap(&self.pidfd);
        got.context(|| "cannot hear from the worker")?;
        parse(&text, ended.map_or(255, pidfd::Ended::status))
    }
}

/// As [`run`], but the caller goes on meanwhile.
pub fn start<T, F>(paths: &Paths, work: F) -> Result<Running<T>>
where
    T: Serialize,
    F: FnOnce() -> Result<T>,
{
    let maps = Maps::of_caller()?;
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).context(|| "cannot make a pipe")?;
    match Userns::find_passing(paths, &maps)?.fork()?.0 {
        Entered::Child => {
            drop(read);
            reply(write, work());
            clone::exit(0);
        }
        Entered::Parent { pidfd, .. } => {
            drop(write);
            Ok(Running {
                reply: read.into(),
                pidfd,
                gives: std::marker::PhantomData,
            })
        }
    }
}

fn reply<T: Serialize>(pipe: OwnedFd, result: Result<T>) {
    let reply = match result {
        Ok(value) => Reply::Done(value),
        Err(e) => Reply::Failed {
            kind: e.kind().number(),
            message: e.message().to_string(),
            hint: e.hint_text().map(str::to_string),
        },
    };
    let text = serde_json::to_vec(&reply).unwrap_or_default();
    let _ = std::fs::File::from(pipe).write_all(&text);
}

fn parse<T: DeserializeOwned>(text: &[u8], status: i32) -> Result<T> {
    match serde_json::from_slice(text) {
        Ok(Reply::Done(value)) => Ok(value),
        Ok(Reply::Failed {
            kind,
            message,
            hint,
        }) => {
            let error = Error::new(Kind::from_number(kind), message);
            Err(match hint {
                Some(hint) => error.hint(hint),
                None => error,
            })
        }
        Err(_) if status > 128 => Err(Error::exit(status as u8)),
        Err(_) => Err(Error::internal(format!(
            "a worker process ended early with status {status}"
        ))),
    }
}
