//! The way out of a container that has a network namespace of its own: built
//! in ([`embedded`]), and where the kernel lacks something for that, pasta, else
//! slirp4netns, as a helper process beside it.
//!
//! A helper runs in the host's user namespace, where the helpers want to be started
//! (pasta of 2023 cannot open a namespace from within another one). The helper
//! lives as long as the container and not as the monitor: its pid is kept in
//! the container's directory, because the run directory goes with a logout
//! and the container does not. Whoever finds the container ended (the
//! monitor, or the next command when the monitor was killed) calls [`stop`].

pub mod embedded;

use crate::error::{Context, Error, Result};
use crate::host::Need;
use crate::sys::{pidfd, procfs, program};
use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// What the helpers give to the container, both alike.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
pub const PREFIX: u8 = 24;
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Questions sent here are put to the host's own name server.
pub const DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
/// Name of the helpers' interface in the container.
pub const INTERFACE: &str = "uplink0";

/// A helper that takes longer leaves the container without a way out.
pub const PATIENCE: Duration = Duration::from_secs(5);

const PID_FILE: &str = "uplink.pid";
const LOG_FILE: &str = "uplink.log";
/// A link to the network namespace; pasta quits when it disappears.
const LINK: &str = "uplink.netns";

/// The helpers that this host has, the better one first.
#[derive(Debug, Clone)]
pub struct Uplink {
    programs: Vec<Program>,
}

#[derive(Debug, Clone)]
struct Program {
    kind: Helpers,
    path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Helpers {
    Pasta,
    Slirp,
}

/// Which namespace gets the uplink.
#[derive(Debug, Clone)]
pub struct Target {
    /// The user namespace that owns the network namespace, as a path that
    /// stays valid until the start has finished; `None` when it is our own.
    pub userns: Option<PathBuf>,
    /// The network namespace, as a path that stays valid as long.
    pub netns: PathBuf,
    /// The container's directory below the data root.
    pub dir: PathBuf,
}

/// A helper on its way.
pub struct Starting {
    child: Child,
    /// slirp4netns tells here that it is ready; pasta's parent exits.
    ready: Option<OwnedFd>,
    kind: Helpers,
    rest: Vec<Program>,
    target: Target,
}

/// A helper that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Helper {
    pub pid: i32,
    /// Clock ticks since boot, as in `sys::procfs`.
    pub start_time: u64,
}

impl Uplink {
    /// Looks for the helpers.
    pub fn find() -> Self {
        Self::find_in(&program::DIRECTORIES.map(Path::new))
    }

    fn find_in(directories: &[&Path]) -> Self {
        let first =
            |kind, name: &str| program::find(directories, name).map(|path| Program { kind, path });
        let pasta = first(Helpers::Pasta, "pasta");
        let slirp = first(Helpers::Slirp, "slirp4netns");
        Self {
            programs: pasta.into_iter().chain(slirp).collect(),
        }
    }

    /// Starts the first helper; does not wait for it. The container may go on
    /// meanwhile: [`Starting::finish`] is only due before "started" is told.
    pub fn start(&self, target: Target) -> Result<Starting> {
        if self.programs.is_empty() {
            return Err(Error::unsupported(
                "no way out for the container: neither pasta nor slirp4netns is installed",
            )
            .hint(Need::Uplink.hint()));
        }
        launch(self.programs.clone(), target)
    }
}

/// Names of the helpers that this host has, the better one first.
pub fn installed() -> Vec<&'static str> {
    let programs = Uplink::find().programs;
    programs.iter().map(|program| program.kind.name()).collect()
}

impl Starting {
    /// Waits until the interface is there, at most `limit`; when one helper
    /// fails the next is tried. An error leaves the container with `lo` alone,
    /// and is a warning: it must not fail the run.
    pub fn finish(self, limit: Duration) -> Result<Helper> {
        let deadline = Instant::now() + limit;
        let mut starting = self;
        let mut reasons = Vec::new();
        loop {
            match starting.settle(deadline) {
                Ok(helper) => return Ok(helper),
                Err(reason) => reasons.push(format!("{}: {reason}", starting.kind.name())),
            }
            let Starting { rest, target, .. } = starting;
            if rest.is_empty() {
                stop(&target.dir);
                return Err(no_way_out(&reasons));
            }
            starting = launch(rest, target)?;
        }
    }

    /// The helper when it is ready, or why it will not be.
    fn settle(&mut self, deadline: Instant) -> Result<Helper, String> {
        let ready = match self.kind {
            Helpers::Pasta => self.pasta_ready(deadline),
            Helpers::Slirp => self.slirp_ready(deadline),
        };
        let dir = &self.target.dir;
        let failure = match ready {
            Ok(Some(pid)) => match procfs::start_time(pid) {
                Some(start_time) => {
                    let helper = Helper { pid, start_time };
                    // Without its note nobody would end it.
                    return helper.save(dir).map(|()| helper).map_err(|e| {
                        helper.terminate();
                        e.to_string()
                    });
                }
                None => last_words(dir),
            },
            Ok(None) => last_words(dir),
            Err(e) => e.to_string(),
        };
        let _ = self.child.kill();
        let _ = self.child.wait();
        Err(failure)
    }

    /// pasta goes to the background, which ends the process we started, when
    /// all is set up. `None`: it failed.
    fn pasta_ready(&mut self, deadline: Instant) -> Result<Option<i32>> {
        let pid = self.child.id() as i32;
        let fd = pidfd::open(pid).context(|| "cannot watch pasta")?;
        let ended = pidfd::wait_end(
            &fd,
            Some(deadline.saturating_duration_since(Instant::now())),
        );
        if !ended.context(|| "cannot wait for pasta")? {
            return Err(Error::unavailable("not ready in time"));
        }
        let status = self.child.wait().context(|| "cannot wait for pasta")?;
        if !status.success() {
            return Ok(None);
        }
        let file = self.target.dir.join(PID_FILE);
        let text = std::fs::read_to_string(&file)
            .context(|| format!("cannot read \"{}\"", file.display()))?;
        Ok(text.trim().parse().ok().filter(|pid| *pid > 1))
    }

    /// slirp4netns writes a byte when it is ready.
    fn slirp_ready(&mut self, deadline: Instant) -> Result<Option<i32>> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let Some(ready) = self.ready.take() else {
            return Ok(None);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(ready.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, timeout).context(|| "cannot wait for slirp4netns")? == 0 {
            return Err(Error::unavailable("not ready in time"));
        }
        let mut byte = [0];
        let told = File::from(ready)
            .read(&mut byte)
            .context(|| "cannot hear slirp4netns")?;
        Ok((told == 1).then_some(self.child.id() as i32))
    }
}

/// Ends the helper of a container, if it has one. Takes what is there as it
/// is and never fails: also for containers whose monitor or host died.
pub fn stop(dir: &Path) {
    // pasta ends when the link is gone, even one whose pid we never learned.
    let _ = std::fs::remove_file(dir.join(LINK));
    if let Some(helper) = Helper::load(dir) {
        helper.terminate();
    }
    for file in [PID_FILE, LOG_FILE] {
        let _ = std::fs::remove_file(dir.join(file));
    }
}

impl Helper {
    /// The helper noted in a container's directory, if it still lives.
    pub fn load(dir: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(dir.join(PID_FILE)).ok()?;
        let mut words = text.split_whitespace();
        let helper = Self {
            pid: words.next()?.parse().ok()?,
            start_time: words.next()?.parse().ok()?,
        };
        let same_boot = procfs::boot_id().ok()? == words.next()?;
        let lives = || procfs::start_time(helper.pid) == Some(helper.start_time);
        (same_boot && helper.pid > 1 && lives()).then_some(helper)
    }

    fn save(self, dir: &Path) -> Result<()> {
        let file = dir.join(PID_FILE);
        // pasta's own file, if there is one, belongs to us as well: replaced.
        procfs::boot_id()
            .map_err(std::io::Error::from)
            .and_then(|boot| {
                let text = format!("{} {} {boot}\n", self.pid, self.start_time);
                std::fs::write(&file, text)
            })
            .context(|| format!("cannot write \"{}\"", file.display()))
    }

    /// SIGTERM; does not wait (taking down a tap device lasts 15 ms).
    pub fn terminate(self) {
        // The descriptor first, then the check: now the pid cannot change hands.
        let Ok(fd) = pidfd::open(self.pid) else {
            return;
        };
        if procfs::start_time(self.pid) == Some(self.start_time) {
            let _ = pidfd::signal(&fd, libc::SIGTERM);
        }
    }
}

impl Helpers {
    fn name(self) -> &'static str {
        match self {
            Self::Pasta => "pasta",
            Self::Slirp => "slirp4netns",
        }
    }
}

fn no_way_out(reasons: &[String]) -> Error {
    let tun = "/dev/net/tun";
    let usable = File::options().read(true).write(true).open(tun).is_ok();
    let hint = match usable {
        true => "`ip route` on the host shows whether there is a default route".to_string(),
        false => Need::TunDevice.hint(),
    };
    let message = format!(
        "the container has no way out ({}), only its loopback interface",
        reasons.join("; ")
    );
    Error::unavailable(message).hint(hint)
}

fn launch(mut programs: Vec<Program>, target: Target) -> Result<Starting> {
    let program = programs.remove(0);
    let dir = &target.dir;
    let log = dir.join(LOG_FILE);
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let errors = options
        .open(&log)
        .context(|| format!("cannot write \"{}\"", log.display()))?;
    let mut command = program::command(&program.path);
    command.stdout(Stdio::null()).stderr(errors);
    let mut ready = None;
    match program.kind {
        Helpers::Pasta => {
            command.args(pasta_arguments(&target)?).stdin(Stdio::null());
        }
        Helpers::Slirp => {
            // Descriptor 0 is where it says that it is ready: it reads no input.
            let (ours, theirs) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
                .context(|| "cannot make a pipe")?;
            command.args(slirp_arguments(&target)).stdin(theirs);
            let note = dir.join(PID_FILE);
            let file =
                File::create(&note).context(|| format!("cannot write \"{}\"", note.display()))?;
            let boot = procfs::boot_id().context(|| "cannot read the boot id")?;
            program::note(&mut command, file.into(), format!(" {boot}\n"));
            ready = Some(ours);
        }
    }
    let child = command
        .spawn()
        .context(|| format!("cannot start \"{}\"", program.path.display()))?;
    Ok(Starting {
        child,
        ready,
        kind: program.kind,
        rest: programs,
        target,
    })
}

/// Without `--no-map-gw` containers would reach the host's 127.0.0.1 at the
/// gateway; without the `-t` to `-U` pasta publishes ports by itself.
fn pasta_arguments(target: &Target) -> Result<Vec<String>> {
    let link = target.dir.join(LINK);
    let _ = std::fs::remove_file(&link);
    symlink(&target.netns, &link).context(|| format!("cannot make \"{}\"", link.display()))?;
    let words = "--quiet --config-net --ipv4-only --no-map-gw -t none -u none -T none -U none";
    let mut arguments: Vec<String> = words.split(' ').map(str::to_string).collect();
    let mut option = |name: &str, value: String| arguments.extend([name.to_string(), value]);
    option("-I", INTERFACE.into());
    option("-a", ADDRESS.to_string());
    option("-n", PREFIX.to_string());
    option("-g", GATEWAY.to_string());
    option("--dns-forward", DNS.to_string());
    option("-P", text(&target.dir.join(PID_FILE)));
    option("--netns", text(&link));
    match &target.userns {
        Some(userns) => option("--userns", text(userns)),
        None => arguments.push("--netns-only".into()),
    }
    if nix::unistd::geteuid().is_root() {
        // As nobody it could not enter a namespace of root's.
        arguments.extend(["--runas".into(), "0:0".into()]);
    }
    Ok(arguments)
}

fn slirp_arguments(target: &Target) -> Vec<String> {
    let words = "--configure --mtu=65520 --disable-host-loopback --netns-type=path --ready-fd=0";
    let mut arguments: Vec<String> = words.split(' ').map(str::to_string).collect();
    if let Some(userns) = &target.userns {
        arguments.push(format!("--userns-path={}", text(userns)));
    }
    arguments.extend([text(&target.netns), INTERFACE.to_string()]);
    arguments
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The last line that the helper wrote.
fn last_words(dir: &Path) -> String {
    let mut log = String::new();
    if let Ok(file) = File::open(dir.join(LOG_FILE)) {
        let _ = file.take(64 << 10).read_to_string(&mut log);
    }
    let noise = |line: &&str| {
        !line.trim().is_empty()
            && !line.starts_with("Failed to send")
            && !line.starts_with("child failed")
    };
    match log.lines().rfind(noise) {
        Some(line) => line.trim().to_string(),
        None => "it gave no reason".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::sys::program::is_trusted;
    use std::os::unix::fs::PermissionsExt;

    fn directory(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("wherry-uplink-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn only_files_that_root_alone_can_write_are_run() {
        let dir = directory("trust");
        let program = dir.join("pasta");
        std::fs::write(&program, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let root = nix::unistd::geteuid().is_root();
        assert_eq!(is_trusted(&program), root);
        for (mode, path) in [
            (0o775, &program),
            (0o757, &program),
            (0o644, &program),
            (0o777, &dir),
        ] {
            let before = std::fs::metadata(path).unwrap().permissions();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(!is_trusted(&program), "{mode:o} {}", path.display());
            std::fs::set_permissions(path, before).unwrap();
        }
        assert!(is_trusted(Path::new("/bin/sh")));
        assert!(!is_trusted(&dir));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_host_without_helpers_is_told_what_to_install() {
        let dir = directory("none");
        let target = Target {
            userns: None,
            netns: dir.clone(),
            dir: dir.clone(),
        };
        let error = Uplink::find_in(&[&dir]).start(target).err().unwrap();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert_eq!(error.hint_text(), Some(&*Need::Uplink.hint()));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn helpers_that_are_not_ours_are_not_signalled() {
        let dir = directory("stop");
        let mut sleeper = std::process::Command::new("sleep")
            .arg("30")
            .spawn()
            .unwrap();
        let pid = sleeper.id();
        let boot = procfs::boot_id().unwrap();
        let start_time = procfs::start_time(pid.cast_signed()).unwrap();
        for text in [
            format!("{pid} 1 {boot}\n"),
            format!("{pid} {start_time} 01234567-89ab-cdef-0123-456789abcdef\n"),
            format!("{pid} {start_time}\n"),
            format!("{pid}\n"),
            "-1 5\n".into(),
            "x y\n".into(),
            String::new(),
        ] {
            std::fs::write(dir.join(PID_FILE), &text).unwrap();
            assert_eq!(Helper::load(&dir), None, "{text}");
            stop(&dir);
            assert!(sleeper.try_wait().unwrap().is_none(), "{text}");
        }
        let helper = Helper {
            pid: pid as i32,
            start_time: procfs::start_time(pid as i32).unwrap(),
        };
        helper.save(&dir).unwrap();
        assert_eq!(Helper::load(&dir), Some(helper));
        stop(&dir);
        assert!(!sleeper.wait().unwrap().success());
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        stop(&dir);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_last_line_that_matters_is_the_reason() {
        let dir = directory("log");
        assert_eq!(last_words(&dir), "it gave no reason");
        std::fs::write(
            dir.join(LOG_FILE),
            "a\nNo routable interface\n\nFailed to send 9 bytes to syslog\nchild failed(1)\n",
        )
        .unwrap();
        assert_eq!(last_words(&dir), "No routable interface");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
