//! What the targets of a bake file may touch without being asked: the directory
//! that the command was called in and what is below it. The file may be somebody
//! else's, and names paths, sockets and networks; buildx asks in the same way.

use super::caches::{CacheFrom, CacheTo};
use super::command::{BuildArgs, HOST_NETWORK};
use super::context::is_remote;
use super::fields::{self, Named, Output};
use crate::build::exec::{Options, Secret};
use crate::error::{Context, Error, Result};
use std::path::{Component, Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// `--allow`, and where the command was called.
pub struct Allowed {
    here: PathBuf,
    paths: Vec<(Access, PathBuf)>,
    ssh: bool,
    /// What `build` has an option for.
    pub others: Vec<String>,
}

impl Allowed {
    pub fn parse(words: &[String]) -> Result<Self> {
        let here = std::env::current_dir().context(|| "cannot tell the current directory")?;
        let mut allowed = Self {
            here: canonical(&here),
            paths: Vec::new(),
            ssh: false,
            others: Vec::new(),
        };
        for word in words {
            let (what, path) = word.split_once('=').unwrap_or((word, "*"));
            let path = match path {
                "*" => PathBuf::from("/"),
                path => canonical(Path::new(path)),
            };
            match what {
                "fs" => {
                    allowed.paths.push((Access::Read, path.clone()));
                    allowed.paths.push((Access::Write, path));
                }
                "fs.read" => allowed.paths.push((Access::Read, path)),
                "fs.write" => allowed.paths.push((Access::Write, path)),
                "ssh" => allowed.ssh = true,
                _ => allowed.others.push(word.clone()),
            }
        }
        Ok(allowed)
    }

    /// An error names the first thing that is not allowed.
    pub fn check(&self, args: &BuildArgs, options: &Options) -> Result<()> {
        if !self.ssh && !options.agents.is_empty() {
            return Err(Error::invalid("it uses an agent's socket").hint("--allow ssh allows it"));
        }
        // Also by `entitlements`, which are what the file says of itself.
        let given = |what: &str| self.others.iter().any(|other| other == what);
        if args.uses_host_network() && !given(HOST_NETWORK) {
            return Err(Error::invalid("it uses the network of this machine")
                .hint(format!("--allow {HOST_NETWORK} allows it")));
        }
        for (access, path) in touched(args, options) {
            let real = canonical(&path);
            let mut allowed = self.paths.iter().filter(|(kind, _)| *kind == access);
            if real.starts_with(&self.here) || allowed.any(|(_, below)| real.starts_with(below)) {
                continue;
            }
            let (verb, kind) = match access {
                Access::Read => ("reads", "read"),
                Access::Write => ("writes", "write"),
            };
            return Err(Error::invalid(format!(
                "it {verb} \"{}\", which is not below this directory",
                real.display()
            ))
            .hint(format!("--allow fs.{kind}={} allows it", real.display())));
        }
        Ok(())
    }
}

/// All paths of this machine's.
fn touched(args: &BuildArgs, options: &Options) -> Vec<(Access, PathBuf)> {
    let mut reads: Vec<PathBuf> = Vec::new();
    let mut writes: Vec<PathBuf> = Vec::new();
    if !is_remote(&args.context) {
        reads.push(args.context.clone().into());
        let file = args.file.as_ref().filter(|file| *file != "-");
        reads.extend(file.map(PathBuf::from));
    }
    for (_, named) in &args.build_context {
        match named {
            Named::Directory(dir) => reads.push(dir.clone()),
            Named::Image(image) => reads.extend(fields::layout_of(image)),
            Named::Repository(_) | Named::Archive(_) => {}
        }
    }
    for secret in options.secrets.values() {
        if let Secret::File(path) = secret {
            reads.push(path.clone());
        }
    }
    for from in &args.cache_from {
        if let CacheFrom::Local { src, .. } = from {
            reads.push(src.clone());
        }
    }
    writes.extend(args.cache_to.iter().filter_map(CacheTo::directory).cloned());
    for output in &args.output {
        match output {
            Output::Local(path)
            | Output::Tar(path)
            | Output::Archive { to: path, .. }
            | Output::Layout { to: path, .. } => writes.push(path.clone()),
            Output::Image { .. } | Output::Nothing => {}
        }
    }
    let is_stream = |path: &PathBuf| path.as_os_str() == "-";
    let reads = reads.into_iter().map(|path| (Access::Read, path));
    let writes = writes.into_iter().filter(|path| !is_stream(path));
    reads
        .chain(writes.map(|path| (Access::Write, path)))
        .collect()
}

/// Without links, as far as it exists.
fn canonical(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in whole.ancestors() {
        if let Ok(mut real) = std::fs::canonicalize(ancestor) {
            // What is not there yet has no links.
            let rest = whole.strip_prefix(ancestor).unwrap_or(Path::new(""));
            for component in rest.components() {
                match component {
                    Component::ParentDir => drop(real.pop()),
                    other => real.push(other),
                }
            }
            return real;
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_without_their_links() {
        let dir = std::env::temp_dir().join(format!("wherry-access-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("real/sub")).unwrap();
        std::os::unix::fs::symlink("real/sub", dir.join("link")).unwrap();
        let of = |path: &str| canonical(&dir.join(path));
        let base = std::fs::canonicalize(&dir).unwrap();
        assert_eq!(of("link/f"), base.join("real/sub/f"));
        assert_eq!(of("link/../f"), base.join("real/f"));
        assert_eq!(of("no/../../f"), base.parent().unwrap().join("f"));
        assert_eq!(of("no/./f"), base.join("no/f"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
