//! A repository as build context: fetched by git(1), whose settings are ours
//! alone, so that nothing that the repository or a URL says is run or read from
//! the host (CVE-2019-13139, CVE-2026-33747).

use crate::error::{Context, Error, Kind, Result};
use crate::sys::program;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Ways that a repository may come by.
const PROTOCOLS: [&str; 4] = ["git", "http", "https", "ssh"];

/// `URL[#REF[:DIRECTORY]]`.
#[derive(Debug, PartialEq, Eq)]
pub struct Repository {
    pub url: String,
    /// Empty: what the repository says.
    pub reference: String,
    /// Empty: its root.
    pub directory: String,
}

impl Repository {
    pub fn parse(text: &str) -> Result<Self> {
        let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
        let url = match url.strip_prefix("github.com/") {
            Some(_) => format!("https://{url}"),
            None => url.to_string(),
        };
        let plain = |text: &str| !text.starts_with('-') && !text.contains(|c: char| c.is_control());
        if !plain(&url) || !plain(reference) || !plain(directory) {
            return Err(Error::invalid(format!(
                "invalid repository {:?}",
                text.escape_debug().to_string()
            )));
        }
        if reference.contains("..") || reference.contains([' ', '~', '^', ':', '?', '*', '[', '\\'])
        {
            return Err(Error::invalid(format!(
                "invalid git reference {reference:?}"
            )));
        }
        Ok(Self {
            url,
            reference: reference.to_string(),
            directory: directory.trim_matches('/').to_string(),
        })
    }

    /// Fetches it into the new directory `to`.
    pub fn fetch(&self, to: &Path) -> Result<()> {
        let git = program::find(&program::DIRECTORIES.map(Path::new), "git").ok_or_else(|| {
            Error::unsupported("a repository as build context needs git, which is not installed")
                .hint("install git, or use a directory")
        })?;
        let reference = match self.reference.as_str() {
            "" => "HEAD",
            reference => reference,
        };
        run(&git, to, &["init", "--quiet", "--template=", "."])?;
        run(
            &git,
            to,
            &[
                "fetch",
                "--quiet",
                "--depth=1",
                "--no-tags",
                "--",
                &self.url,
                reference,
            ],
        )
        .map_err(|e| e.within(format!("failed to fetch {}", without_password(&self.url))))?;
        run(&git, to, &["checkout", "--quiet", "--detach", "FETCH_HEAD"])
    }
}

/// Whether the name of the commit that was fetched begins so.
pub fn check(root: &Path, wanted: &str) -> Result<()> {
    let path = root.join(".git/HEAD");
    let commit =
        std::fs::read_to_string(&path).context(|| format!("cannot read \"{}\"", path.display()))?;
    let commit = commit.trim();
    let is_hex = !wanted.is_empty() && wanted.bytes().all(|b| b.is_ascii_hexdigit());
    match is_hex && commit.starts_with(&wanted.to_ascii_lowercase()) {
        true => Ok(()),
        false => Err(
            Error::invalid(format!("expected checksum to match {wanted}, got {commit}"))
                .hint("what the repository has is not what --checksum says"),
        ),
    }
}

fn run(git: &Path, dir: &Path, words: &[&str]) -> Result<()> {
    let mut command = program::command(git);
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CEILING_DIRECTORIES", dir)
        .arg("-C")
        .arg(dir);
    let mut settings = vec![
        "core.hooksPath=/dev/null".to_string(),
        "core.fsmonitor=false".into(),
        "submodule.recurse=false".into(),
        "protocol.allow=never".into(),
    ];
    settings.extend(PROTOCOLS.map(|protocol| format!("protocol.{protocol}.allow=always")));
    for setting in &settings {
        command.args(["-c", setting]);
    }
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let output = command
        .stderr(Stdio::piped())
        .output()
        .context(|| format!("cannot start \"{}\"", git.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    Err(Error::new(
        Kind::Unavailable,
        last.unwrap_or("git gave no reason").to_string(),
    ))
}

/// For messages.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_string(),
    }
}

/// Where in the repository the context is; never through a link.
pub fn directory(root: &Path, below: &str) -> Result<PathBuf> {
    let mut dir = root.to_path_buf();
    for part in below
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        dir.push(part);
        let is_dir = std::fs::symlink_metadata(&dir).is_ok_and(|meta| meta.is_dir());
        if part == ".." || part == ".git" || !is_dir {
            return Err(Error::not_found(format!(
                "the repository has no directory \"{below}\""
            )));
        }
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_for_a_repository() {
        let of = |text: &str| Repository::parse(text).map(|r| (r.url, r.reference, r.directory));
        assert_eq!(
            of("https://h/r.git#main:a/b/").unwrap(),
            ("https://h/r.git".into(), "main".into(), "a/b".into())
        );
        assert_eq!(of("github.com/u/r").unwrap().0, "https://github.com/u/r");
        assert_eq!(
            of("git@h:r#:dir").unwrap(),
            ("git@h:r".into(), String::new(), "dir".into())
        );
        for bad in [
            "https://h/r.git#--output=x",
            "https://h/r.git#-u",
            "https://h/r.git#a b",
            "https://h/r.git#a..b",
            "https://h/r.git#a\nb",
            "https://h/\nr.git",
            "https://h/r.git#:-x",
            "--upload-pack=x#",
            "https://h/r.git#a^{/x}",
        ] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
        assert_eq!(without_password("https://u:p@h/r"), "https://h/r");
    }

    #[test]
    fn directories_are_no_links() {
        let root = std::env::temp_dir().join(format!("wherry-git-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("a/link")).unwrap();
        assert_eq!(directory(&root, "a/./b").unwrap(), root.join("a/b"));
        for bad in ["..", "a/../..", "a/link", "nope", ".git"] {
            assert!(directory(&root, bad).is_err(), "{bad}");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }
}
