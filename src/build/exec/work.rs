//! The directory that a build works in: `build/work/PID.STARTTIME/`, named by
//! the command. It holds the containers of its steps and what they write, and
//! goes with it. What a killed build has left is taken away by the next one.

use crate::container::{remove, sweep};
use crate::engine::Engine;
use crate::error::{Context, Result};
use crate::record::containers;
use crate::sys::procfs::Process;
use crate::userns::task;
use std::cell::Cell;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub struct Work {
    pub steps: Engine,
    dir: PathBuf,
    begun: Cell<bool>,
}

impl Work {
    pub fn new(engine: &Engine) -> Self {
        let me = Process::me();
        let steps = Engine::at(
            engine
                .paths
                .of_build(&format!("{}.{}", me.pid, me.start_time)),
        );
        Self {
            dir: steps.paths.containers(),
            steps,
            begun: Cell::new(false),
        }
    }

    /// Whether there was anything to do.
    pub fn has_begun(&self) -> bool {
        self.begun.get()
    }

    /// Makes it; nothing is there before there is something to do.
    pub fn begin(&self) -> Result<()> {
        self.begun.set(true);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .context(|| format!("cannot make directory \"{}\"", self.dir.display()))
    }

    /// Everything in it goes. Call it where no process of the build lives.
    pub fn end(&self) -> Result<()> {
        clear(&self.steps, &self.dir)
    }
}

/// Takes away what builds have left whose command is dead.
pub fn sweep(engine: &Engine) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(engine.paths.build().join("work")) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !lives(name)) else {
            continue;
        };
        clear(&Engine::at(engine.paths.of_build(name)), &entry.path())?;
    }
    Ok(())
}

fn lives(name: &str) -> bool {
    let process = name.split_once('.').and_then(|(pid, start_time)| {
        Some(Process {
            pid: pid.parse().ok()?,
            start_time: start_time.parse().ok()?,
        })
    });
    process.is_some_and(|process| process.lives())
}

fn clear(steps: &Engine, dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    // Their monitors kill them when the worker has gone; that may be just now.
    for id in containers::ids(&steps.paths)? {
        let _ = remove::remove_alone(steps, &id, true, true);
    }
    // A network of theirs may have been killed before it gave its address back.
    sweep::clear_networks(steps);
    let _ = std::fs::remove_dir_all(steps.paths.run_container("x").parent().unwrap_or(dir));
    if std::fs::remove_dir(dir).is_ok() {
        return Ok(());
    }
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Ok(());
    };
    task::run(&steps.paths, || {
        use std::os::fd::AsFd;
        use std::os::unix::ffi::OsStrExt;
        let parent =
            std::fs::File::open(parent).context(|| "cannot open the directory of builds")?;
        crate::fs::rooted::remove_all(parent.as_fd(), name.as_bytes())
            .context(|| format!("cannot remove \"{}\"", dir.display()))
    })
}
