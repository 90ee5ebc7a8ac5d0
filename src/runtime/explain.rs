//! From {step, item, errno} to a sentence and a kind, with the plan at hand.

use super::plan::{Mount, Plan, Process, Root, Source, Step as TreeStep};
use super::sync::{Failure, MAX_GROUPS, Step};
use crate::error::{Error, Kind, reason};
use crate::host::Need;
use crate::userns::map::lacking;
use nix::errno::Errno;
use nix::unistd::AccessFlags;
use std::ffi::CStr;
use std::path::Path;

/// The clone of the container itself was refused.
pub fn clone(errno: Errno) -> Error {
    let error = Error::internal(format!(
        "cannot make the container's namespaces: {}",
        text(errno)
    ));
    match errno {
        Errno::ENOSPC | Errno::EUSERS => {
            error.hint(Need::NamespaceLimit.hint())
        }
        Errno::EPERM => error.hint("the kernel, or a container around this one, does not allow new namespaces"),
        Errno::EAGAIN => error.hint("the limit of processes (ulimit -u) is reached"),
        Errno::EACCES => error.hint("the cgroup of this session may not be left; start wherry from `systemd-run --user --scope`"),
        _ => error,
    }
}

/// Somebody killed it, or its container.
pub fn ended() -> Error {
    Error::internal("the new process ended before its start")
}

/// The process could not be told which user to become.
pub fn user(name: &str, errno: Errno) -> Error {
    match errno {
        Errno::EMSGSIZE => Error::invalid(format!(
            "user \"{name}\" is in more than {MAX_GROUPS} groups"
        )),
        Errno::EPIPE => ended(),
        errno => Error::internal(format!("cannot talk to the new process: {}", text(errno))),
    }
}

/// A step of starting a container failed.
pub fn failure(plan: &Plan, failure: Failure) -> Error {
    let Failure { step, item, errno } = failure;
    let item = usize::from(item);
    match step {
        Step::Root => root(&plan.root, errno),
        Step::Tree => match plan.steps.get(item) {
            Some(TreeStep::Mount(m)) => mount(m, errno),
            Some(TreeStep::Node { path, .. } | TreeStep::Link { path, .. }) => internal(
                &format!("cannot make \"/{}\" in the container", show(path)),
                errno,
            ),
            None => internal("cannot build the container's mounts", errno),
        },
        Step::Sysctl => {
            let name = plan
                .sysctls
                .get(item)
                .map(|(path, _)| show(path))
                .unwrap_or_default();
            internal(
                &format!(
                    "cannot set sysctl \"{}\"",
                    name.trim_start_matches("sys/").replace('/', ".")
                ),
                errno,
            )
        }
        Step::Mask => internal(
            &format!("cannot mask \"/{}\"", listed(&plan.masked, item)),
            errno,
        ),
        Step::ReadOnly => internal(
            &format!(
                "cannot make \"/{}\" read-only",
                listed(&plan.read_only, item)
            ),
            errno,
        ),
        _ => process_failure(&plan.process, failure),
    }
}

/// A step that start and exec share failed.
pub fn process_failure(process: &Process, failure: Failure) -> Error {
    let Failure { step, item, errno } = failure;
    match step {
        Step::Lookup => lookup(process, errno),
        Step::Exec => exec(process, errno),
        Step::Limits => limits(process, usize::from(item), errno),
        Step::User => internal("cannot become the container's user", errno)
            .hint(lacking().unwrap_or(Need::MoreSubordinateIds).hint()),
        Step::Directory => Error::new(
            if errno == Errno::EACCES {
                Kind::Denied
            } else {
                Kind::Invalid
            },
            format!(
                "cannot change to working directory \"{}\": {}",
                show(&process.directory),
                text(errno)
            ),
        ),
        Step::DirectoryOutside => Error::new(
            Kind::Denied,
            format!(
                "working directory \"{}\" is outside of the container",
                show(&process.directory)
            ),
        ),
        Step::Stub => internal("cannot run the start program", errno).hint(stub()),
        Step::Keyring => internal(
            "cannot give the container a session keyring of its own",
            errno,
        )
        .hint(Need::Keys.hint()),
        Step::Seccomp => internal("cannot load the seccomp filter", errno),
        Step::Terminal => internal("cannot make the container's terminal", errno),
        other => internal(
            &format!("cannot start the container's process ({other:?})"),
            errno,
        ),
    }
}

/// The source of a bind lies below a directory that the caller may not enter:
/// the uppermost such one is named.
pub fn closed_source(source: &Path) -> Error {
    let mut above: Vec<&Path> = source.ancestors().skip(1).collect();
    above.reverse();
    let may_enter = |dir: &&Path| nix::unistd::access(*dir, AccessFlags::X_OK).is_ok();
    let error = Error::new(
        Kind::Denied,
        format!("cannot bind \"{}\": permission denied", source.display()),
    );
    match above.into_iter().find(|dir| !may_enter(dir)) {
        Some(dir) => error.hint(format!(
            "you may not enter \"{0}\": `sudo chmod o+x \"{0}\"`",
            dir.display()
        )),
        None => error,
    }
}

/// What keeps a program in memory from being run.
fn stub() -> String {
    let set = std::fs::read_to_string("/proc/sys/vm/memfd_noexec").unwrap_or_default();
    match set.trim() {
        "2" => Need::ProgramsInMemory.hint(),
        _ => "a custom seccomp profile must allow execve and execveat".into(),
    }
}

fn text(errno: Errno) -> String {
    reason(&errno.into())
}

fn show(path: &CStr) -> String {
    path.to_string_lossy().into_owned()
}

fn listed(paths: &[std::ffi::CString], item: usize) -> String {
    paths.get(item).map(|p| show(p)).unwrap_or_default()
}

fn internal(what: &str, errno: Errno) -> Error {
    Error::internal(format!("{what}: {}", text(errno)))
}

fn root(root: &Root, errno: Errno) -> Error {
    match root {
        Root::Directory(path) => {
            let kind = if errno == Errno::ENOENT {
                Kind::NotFound
            } else {
                Kind::Internal
            };
            Error::new(
                kind,
                format!(
                    "cannot use \"{}\" as root file system: {}",
                    show(path),
                    text(errno)
                ),
            )
        }
        Root::Overlay(_) => {
            // What the kernel refuses altogether does not come here: see `fuse`.
            let error = internal("cannot mount the container's overlay", errno);
            match errno {
                Errno::ELOOP => error.hint("the data directory is too deep below other overlays"),
                _ => error,
            }
        }
    }
}

fn mount(m: &Mount, errno: Errno) -> Error {
    let target = show(&m.target);
    match (&m.source, errno) {
        (
            Source::Host {
                subpath: Some(below),
                ..
            }
            | Source::Image {
                subpath: Some(below),
            },
            _,
        ) => subpath(below, &target, errno),
        (Source::Host { path, .. }, Errno::ENOENT) => Error::not_found(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            show(path)
        )),
        (Source::Host { path, .. }, Errno::ENOTDIR | Errno::EISDIR) => Error::invalid(format!(
            "cannot mount \"{}\" on \"/{target}\": not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type",
            show(path)
        )),
        (Source::Host { path, .. }, _) => {
            let error = internal(
                &format!("cannot mount \"{}\" on \"/{target}\"", show(path)),
                errno,
            );
            match errno {
                Errno::EACCES => error.with_kind(Kind::Denied),
                _ => error,
            }
        }
        (Source::Image { .. }, Errno::ENOTDIR | Errno::EISDIR) => Error::invalid(format!(
            "cannot mount an image on \"/{target}\": not a directory"
        )),
        (Source::Image { .. } | Source::Detached(_), _) => {
            internal(&format!("cannot mount /{target}"), errno)
        }
        (Source::New { .. }, Errno::ELOOP) => Error::new(
            Kind::Denied,
            format!("\"/{target}\" of the image is a symbolic link; it must be a directory"),
        ),
        (Source::New { fstype, .. }, _) => {
            let error = internal(
                &format!("cannot mount {} on \"/{target}\"", show(fstype)),
                errno,
            );
            match errno {
                Errno::EPERM => error.hint("inside another container, its /proc and /sys must not be masked (`--security-opt systempaths=unconfined` there)"),
                Errno::ENOSPC => error.hint("sysctl fs.mount-max is reached"),
                _ => error,
            }
        }
    }
}

/// What is below a volume or an image.
fn subpath(below: &CStr, target: &str, errno: Errno) -> Error {
    let below = show(below);
    match errno {
        Errno::ENOENT => Error::not_found(format!(
            "cannot access path {below}: no such file or directory (subpath of the mount on \"/{target}\")"
        )),
        Errno::EXDEV | Errno::ELOOP => Error::new(
            Kind::Denied,
            format!("subpath \"{below}\" of the mount on \"/{target}\" leads out of it"),
        ),
        Errno::ENOTDIR | Errno::EISDIR => Error::invalid(format!(
            "cannot mount subpath \"{below}\" on \"/{target}\": not a directory: Are you trying to mount a directory onto a file (or vice-versa)?"
        )),
        errno => internal(
            &format!("cannot mount subpath \"{below}\" on \"/{target}\""),
            errno,
        ),
    }
}

/// The program as the user wrote it.
fn program(process: &Process) -> String {
    process.program.to_string_lossy().into_owned()
}

fn lookup(process: &Process, errno: Errno) -> Error {
    let program = program(process);
    match (errno, program.contains('/')) {
        (Errno::ENOENT, true) => Error::new(
            Kind::NoSuchCommand,
            format!("exec: \"{program}\": stat {program}: no such file or directory"),
        ),
        (Errno::ENOENT, false) => Error::new(
            Kind::NoSuchCommand,
            format!("exec: \"{program}\": executable file not found in $PATH"),
        ),
        _ => exec(process, errno),
    }
}

fn exec(process: &Process, errno: Errno) -> Error {
    let program = program(process);
    let message = format!("exec: \"{program}\": {}", text(errno));
    match errno {
        // The file is there, but its interpreter is not.
        Errno::ENOENT => Error::new(Kind::NoSuchCommand, message)
            .hint("the program's interpreter or dynamic loader is not in the image"),
        Errno::ENOEXEC => Error::new(Kind::NotExecutable, message)
            .hint("the program is for another architecture, or a script without a `#!` line"),
        Errno::ENOMEM | Errno::EAGAIN => Error::internal(message),
        _ => Error::new(Kind::NotExecutable, message),
    }
}

fn limits(process: &Process, item: usize, errno: Errno) -> Error {
    let hard = process.limits.get(item).map(|l| l.2).unwrap_or_default();
    let error = internal(&format!("cannot set ulimit to {hard}"), errno);
    if errno == Errno::EPERM {
        return error.hint(
            "without root a limit cannot be raised above the caller's hard limit (`ulimit -H -a`)",
        );
    }
    error
}
