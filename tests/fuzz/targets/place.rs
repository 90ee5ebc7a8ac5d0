//! A directory for targets that write files, with something beside it that
//! nobody may touch.

use crate::evil_tar::Canary;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub struct Place {
    dir: PathBuf,
    canary: Canary,
}

impl Place {
    /// The process's one, below `$TMPDIR`.
    pub fn ours() -> &'static Self {
        static OURS: OnceLock<Place> = OnceLock::new();
        OURS.get_or_init(|| {
            let dir = std::env::temp_dir().join(format!("wherry-fuzz-{}", std::process::id()));
            std::fs::create_dir_all(&dir).unwrap();
            let canary = Canary::plant(&dir.join("canary"));
            Self { dir, canary }
        })
    }

    pub fn canary(&self) -> &Canary {
        &self.canary
    }

    /// Runs `work` in an empty directory, and looks at what is outside of it.
    pub fn jailed(&self, work: impl FnOnce(&Path)) {
        let jail = self.dir.join("jail");
        std::fs::create_dir(&jail).unwrap();
        work(&jail);
        self.canary.assert_unharmed("the input");
        let root = std::fs::File::open(&self.dir).unwrap();
        wherry::fs::rooted::remove_all(std::os::fd::AsFd::as_fd(&root), b"jail").unwrap();
        let left = std::fs::read_dir(&self.dir).unwrap().count();
        assert_eq!(left, 1, "files appeared outside of the root");
    }

    /// Removes it all, at the end of the process.
    pub fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
