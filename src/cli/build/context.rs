//! Where a build's files and its Dockerfile come from: a directory, an archive
//! or a Dockerfile on standard input, or a URL.

use super::git::{self, Repository};
use crate::build::exec::add;
use crate::build::exec::work::Work;
use crate::build::files::ignore::{self, Ignore};
use crate::build::files::tree::Tree;
use crate::build::parse::lines::MAX_FILE;
use crate::engine::Engine;
use crate::error::{Context as _, Error, Result};
use crate::image::Compression;
use crate::image::digest::Algorithm;
use crate::registry::{self, Options};
use crate::store::unpack::{self, Privilege};
use crate::userns::task;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// What a build is made of.
pub struct Loaded {
    /// `None`: only a Dockerfile was given.
    pub tree: Option<Tree>,
    /// Where it is: what is known of its files is kept by this.
    pub dir: Option<PathBuf>,
    pub dockerfile: Vec<u8>,
    /// As messages name it.
    pub name: String,
}

fn is_repository(place: &str) -> bool {
    add::is_git(place) || place.starts_with("github.com/")
}

/// Whether a context is fetched, and no path of this machine.
pub fn is_remote(place: &str) -> bool {
    is_repository(place) || add::is_url(place)
}

/// Loads the context `place` with the Dockerfile that `-f` names; `input` is what
/// either of them is when it is `-`.
pub fn load(
    engine: &Engine,
    work: &Work,
    place: &str,
    file: Option<&str>,
    input: &mut dyn Read,
) -> Result<Loaded> {
    if is_repository(place) {
        return of_repository(work, place, file);
    }
    if place == "-" {
        if file == Some("-") {
            return Err(Error::invalid(
                "invalid argument: can't use stdin for both build context and dockerfile",
            ));
        }
        return of_stream(engine, work, input, file);
    }
    if add::is_url(place) {
        let mut fetched = download(work, place)?;
        return of_stream(engine, work, &mut fetched, file);
    }
    let dir = Path::new(place);
    match std::fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => of_directory(dir, file, input),
        Ok(meta) if meta.is_file() => {
            let mut archive = File::open(dir).context(|| format!("cannot open \"{place}\""))?;
            of_stream(engine, work, &mut archive, file)
        }
        Ok(_) => Err(Error::invalid(format!(
            "unable to prepare context: path {place:?} is not a directory"
        ))),
        Err(_) => Err(Error::not_found(format!(
            "unable to prepare context: path {place:?} not found"
        ))),
    }
}

fn of_repository(work: &Work, place: &str, file: Option<&str>) -> Result<Loaded> {
    below(&repository(work, place, false, None)?, file)
}

/// Fetches a repository into a new directory of the build's; where in it the
/// files are. `checksum`: how the name of its commit must begin.
pub fn repository(
    work: &Work,
    place: &str,
    keep_git_dir: bool,
    checksum: Option<&str>,
) -> Result<PathBuf> {
    let repository = Repository::parse(place)?;
    let root = new_dir(work, "repository")?;
    repository.fetch(&root)?;
    if let Some(wanted) = checksum {
        git::check(&root, wanted).map_err(|e| e.within(place))?;
    }
    if !keep_git_dir {
        let hidden = root.join(".git");
        std::fs::remove_dir_all(&hidden).context(|| "cannot remove the repository's own files")?;
    }
    git::directory(&root, &repository.directory)
}

/// Fetches an archive and unpacks it into a new directory of the build's.
pub fn archive(engine: &Engine, work: &Work, url: &str) -> Result<PathBuf> {
    let mut fetched = download(work, url)?;
    let mut start = Vec::new();
    Read::by_ref(&mut fetched)
        .take(512)
        .read_to_end(&mut start)
        .context(|| "cannot read what was downloaded")?;
    let compression = Compression::detect(&start);
    if compression == Compression::None && !add::is_tar(&start) {
        return Err(Error::invalid(format!("{url} is not an archive")));
    }
    let mut archive = start.as_slice().chain(fetched);
    unpack_context(engine, work, &mut archive, compression)
}

fn new_dir(work: &Work, kind: &str) -> Result<PathBuf> {
    work.begin()?;
    let containers = work.steps.paths.containers();
    let dir = (0..)
        .map(|n: usize| containers.join(format!("{kind}-{n}")))
        .find(|dir| !dir.exists())
        .unwrap_or(containers);
    std::fs::create_dir(&dir).context(|| format!("cannot make directory \"{}\"", dir.display()))?;
    Ok(dir)
}

/// A context that was fetched: everything of it is beneath `dir`.
fn below(dir: &Path, file: Option<&str>) -> Result<Loaded> {
    let tree = Tree::open(dir, Ignore::default())?;
    let (dockerfile, name) = in_tree(&tree, file)?;
    let ignore = ignore_in(&tree, &name)?;
    Ok(Loaded {
        tree: Some(Tree::open(dir, ignore)?),
        dir: None,
        dockerfile,
        name,
    })
}

/// The ignore file of a context that was fetched, beneath it.
fn ignore_in(tree: &Tree, dockerfile: &str) -> Result<Ignore> {
    for name in [format!("{dockerfile}.dockerignore"), ".dockerignore".into()] {
        let Ok(path) = tree.canonical(name.trim_start_matches('/').as_bytes()) else {
            continue;
        };
        let mut text = Vec::new();
        tree.file(&path)?
            .take(ignore::MAX_FILE)
            .read_to_end(&mut text)
            .context(|| format!("cannot read {name}"))?;
        return Ignore::parse(&text).map_err(|e| e.within(name));
    }
    Ok(Ignore::default())
}

fn download(work: &Work, url: &str) -> Result<File> {
    let mut fetched = temporary(work)?;
    let options = Options::find()?;
    let mut found = registry::fetch(url, &options)?;
    std::io::copy(&mut found, &mut fetched).context(|| format!("cannot download {url}"))?;
    fetched
        .rewind()
        .context(|| "cannot read what was downloaded")?;
    Ok(fetched)
}

/// A file without a name.
fn temporary(work: &Work) -> Result<File> {
    work.begin()?;
    let path = work.steps.paths.containers().join("download");
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path);
    let file = file.context(|| format!("cannot make \"{}\"", path.display()))?;
    let _ = std::fs::remove_file(&path);
    Ok(file)
}

fn of_directory(dir: &Path, file: Option<&str>, input: &mut dyn Read) -> Result<Loaded> {
    let canonical =
        std::fs::canonicalize(dir).context(|| format!("cannot open \"{}\"", dir.display()))?;
    let (dockerfile, name, beside) = match file {
        Some("-") => {
            let mut text = Vec::new();
            read_bounded(input, &mut text)?;
            (text, "Dockerfile".into(), None)
        }
        Some(path) => {
            // As the caller names it: it may lie anywhere, and be a link.
            let text = read_file(Path::new(path))?;
            let name = Path::new(path)
                .file_name()
                .map_or(path.into(), |n| n.to_string_lossy().into_owned());
            (text, name, Some(PathBuf::from(path)))
        }
        None => in_tree(&Tree::open(&canonical, Ignore::default())?, None)
            .map(|(text, name)| (text, name.clone(), Some(canonical.join(name))))?,
    };
    let ignore = ignore_of(&canonical, beside.as_deref())?;
    Ok(Loaded {
        tree: Some(Tree::open(&canonical, ignore)?),
        dir: Some(canonical),
        dockerfile,
        name,
    })
}

/// The Dockerfile of a context, beneath it.
fn in_tree(tree: &Tree, file: Option<&str>) -> Result<(Vec<u8>, String)> {
    let names: &[&str] = match &file {
        Some(name) => std::slice::from_ref(name),
        None => &["Dockerfile", "dockerfile"],
    };
    for name in names {
        let Ok(path) = tree.canonical(name.trim_start_matches('/').as_bytes()) else {
            continue;
        };
        let mut text = Vec::new();
        read_bounded(&mut tree.file(&path)?, &mut text)?;
        return Ok((text, (*name).to_string()));
    }
    Err(Error::not_found(format!(
        "failed to read dockerfile: open {}: no such file or directory",
        names[0]
    ))
    .hint("-f names one that is elsewhere"))
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let opened = std::fs::metadata(path).and_then(|meta| match meta.is_file() {
        true => File::open(path),
        false => Err(std::io::Error::from_raw_os_error(if meta.is_dir() {
            libc::EISDIR
        } else {
            libc::EINVAL
        })),
    });
    let mut file = opened.map_err(|e| {
        Error::not_found(format!(
            "failed to read dockerfile: open {}: {}",
            path.display(),
            crate::error::reason(&e)
        ))
    })?;
    let mut text = Vec::new();
    read_bounded(&mut file, &mut text)?;
    Ok(text)
}

fn read_bounded(from: &mut dyn Read, text: &mut Vec<u8>) -> Result<()> {
    from.take(MAX_FILE as u64 + 1)
        .read_to_end(text)
        .context(|| "cannot read the Dockerfile")?;
    Ok(())
}

/// `NAME.dockerignore` beside the Dockerfile, else `.dockerignore` in the
/// context; never a fifo or what a link leads to outside of it.
fn ignore_of(dir: &Path, dockerfile: Option<&Path>) -> Result<Ignore> {
    if let Some(dockerfile) = dockerfile {
        let mut beside = dockerfile.as_os_str().to_os_string();
        beside.push(".dockerignore");
        if std::fs::metadata(&beside).is_ok_and(|meta| meta.is_file()) {
            let mut text = Vec::new();
            let file = File::open(&beside)
                .context(|| format!("cannot open \"{}\"", Path::new(&beside).display()))?;
            file.take(ignore::MAX_FILE)
                .read_to_end(&mut text)
                .context(|| "cannot read the ignore file")?;
            return Ignore::parse(&text).map_err(|e| e.within(Path::new(&beside).display()));
        }
    }
    // With no name in front it is the context's own.
    ignore_in(&Tree::open(dir, Ignore::default())?, "")
}

/// An archive with a context, or else a Dockerfile.
fn of_stream(
    engine: &Engine,
    work: &Work,
    stream: &mut dyn Read,
    file: Option<&str>,
) -> Result<Loaded> {
    let mut start = Vec::new();
    stream
        .take(512)
        .read_to_end(&mut start)
        .context(|| "cannot read the build context")?;
    let compression = Compression::detect(&start);
    let is_archive = compression != Compression::None || add::is_tar(&start);
    if !is_archive {
        read_bounded(stream, &mut start)?;
        if file.is_some() {
            return Err(Error::invalid(
                "a Dockerfile was given twice: by -f and on standard input",
            ));
        }
        return Ok(Loaded {
            tree: None,
            dir: None,
            dockerfile: start,
            name: "Dockerfile".into(),
        });
    }
    let mut archive = start.as_slice().chain(stream);
    let dir = unpack_context(engine, work, &mut archive, compression)?;
    below(&dir, file)
}

fn unpack_context(
    engine: &Engine,
    work: &Work,
    archive: &mut dyn Read,
    compression: Compression,
) -> Result<PathBuf> {
    let dir = new_dir(work, "context")?;
    let root = File::open(&dir).context(|| format!("cannot open \"{}\"", dir.display()))?;
    // Owners of a context mean nothing: all files are the caller's.
    task::run(&engine.paths, || {
        let options = unpack::Options {
            whiteouts: false,
            ..unpack::Options::layer(Privilege::OneId)
        };
        unpack::unpack(
            root.as_fd(),
            archive,
            compression,
            Algorithm::Sha256,
            options,
        )
        .map(drop)
    })
    .map_err(|e| e.within("cannot unpack the build context"))?;
    Ok(dir)
}
