//! The command's side: forking the monitor and hearing how the start went.

use super::job::Job;
use super::protocol::{self, End, Kind, Network, UplinkPaths};
use super::supervise;
use crate::error::{Context, Error, Result};
use crate::fs::lock::Lock;
use crate::sys::clone;
use crate::userns::enter::{Entered, Userns};
use std::os::fd::OwnedFd;

/// A running container with this command attached to its monitor.
pub struct Client {
    pub socket: End,
    /// The container's init: signals go to it directly.
    pub init: OwnedFd,
}

/// Forks the monitor and waits until the container's program runs. `uplink` is
/// called with the namespaces' paths when the job asks for one.
pub fn spawn(
    job: Job,
    userns: Userns,
    uplink: impl FnOnce(&UplinkPaths) -> Result<Network>,
) -> Result<Client> {
    let (client, _, lock) = fork(userns, |end| supervise::main(job, end))?;
    let client = wait_started(client, uplink);
    // Held until the monitor has listed itself, which it does first.
    drop(lock);
    client
}

/// Forks a process into U that has `serve` for its life and its own end of a
/// connection; ours, its descriptor, and the lock of a U that is new.
pub(super) fn fork(
    userns: Userns,
    serve: impl FnOnce(End),
) -> Result<(End, OwnedFd, Option<Lock>)> {
    let (ours, theirs) = protocol::pair().context(|| "cannot make a socket pair")?;
    let (entered, lock) = userns.fork()?;
    match entered {
        Entered::Child => {
            drop(ours);
            // The command's lock is the command's; this process holds none.
            std::mem::forget(lock);
            serve(theirs);
            clone::exit(0)
        }
        Entered::Parent { pidfd, .. } => Ok((ours, pidfd, lock)),
    }
}

fn wait_started(
    socket: End,
    uplink: impl FnOnce(&UplinkPaths) -> Result<Network>,
) -> Result<Client> {
    let mut uplink = Some(uplink);
    let mut buffer = vec![0u8; protocol::MAX_PAYLOAD + 1];
    loop {
        let message = socket
            .receive(&mut buffer)
            .context(|| "cannot hear from the container's monitor")?
            .ok_or_else(|| {
                Error::internal("the container's monitor ended before the container had started")
            })?;
        match message.kind {
            Kind::Uplink => {
                let paths: UplinkPaths = protocol::parse(message.payload)?;
                let make = uplink
                    .take()
                    .ok_or_else(|| Error::internal("the monitor asked for a second uplink"))?;
                match socket.send_json(Kind::Network, &make(&paths)?) {
                    // It has given up meanwhile; why is the next message.
                    Err(nix::Error::EPIPE) => {}
                    sent => sent.context(|| "cannot answer the container's monitor")?,
                }
            }
            Kind::Started => {
                let init = message
                    .fd
                    .ok_or_else(|| Error::internal("the monitor sent no process descriptor"))?;
                return Ok(Client { socket, init });
            }
            Kind::Failed => return Err(protocol::parse_error(message.payload)),
            _ => return Err(Error::internal("the monitor said something out of turn")),
        }
    }
}
