//! A further process in a container: into its namespaces, and leading the
//! child to its program.

use super::explain;
use super::plan::Process;
use super::sync::{Heard, ParentEnd};
use super::users::{self, Files};
use crate::error::{Context, Error, Kind, Result};
use crate::sys::{cred, ns};
use nix::errno::Errno;
use std::os::fd::OwnedFd;

/// Joins the namespaces of `init` that `flags` (CLONE_NEW*) names, in one call,
/// and its user namespace where that is not ours.
pub fn enter(init: &OwnedFd, flags: libc::c_int) -> Result<()> {
    // Before: nobody in there may look at what we hold (CVE-2016-9962).
    cred::not_dumpable().context(|| "cannot hide this process from the container")?;
    let joined = match ns::join(init, flags | libc::CLONE_NEWUSER) {
        // Root's container is in our own user namespace.
        Err(Errno::EINVAL) => ns::join(init, flags),
        other => other,
    };
    joined.context(|| "cannot enter the container")
}

/// Leads the child to its program as `user`; its terminal, if it has one.
pub fn lead(
    parent: &ParentEnd,
    process: &Process,
    user: &str,
    group_add: &[String],
) -> Result<Option<OwnedFd>> {
    let cannot = |e: Error| match e.kind() {
        Kind::NoSuchCommand | Kind::Internal => e,
        _ => e.with_kind(Kind::NotExecutable),
    };
    let hear = || match parent
        .hear()
        .context(|| "cannot hear from the new process")?
    {
        Heard::Failed(failure) => Err(cannot(explain::process_failure(process, failure))),
        heard => Ok(heard),
    };
    parent.go().context(|| "cannot talk to the new process")?;
    let Heard::Ready(mut ready) = hear()? else {
        return Err(Error::internal("the new process ended before its start"));
    };
    let files = Files::read(ready.passwd.take(), ready.group.take());
    let who = users::resolve(user, group_add, &files).map_err(cannot)?;
    parent
        .user(&who)
        .map_err(|errno| explain::user(user, errno))?;
    match hear()? {
        Heard::End => Ok(ready.terminal),
        _ => Err(Error::internal(
            "the new process said something out of turn",
        )),
    }
}
