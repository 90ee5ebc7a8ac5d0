//! `wherry cp`.

use crate::cli::{Front, Verb, input_file, output_file::OutputFile};
use crate::container::copy::{self, Host};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::text::size;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct CpArgs {
    /// Archive mode (copy all uid/gid information)
    #[arg(short, long)]
    archive: bool,
    /// Always follow symbol link in SRC_PATH
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Suppress progress output during copy. Progress output is automatically
    /// suppressed if no terminal is attached
    #[arg(short, long)]
    quiet: bool,
    #[arg(required = true, value_name = "SRC_PATH")]
    source: String,
    #[arg(required = true, value_name = "DEST_PATH")]
    destination: String,
}

/// `CONTAINER:PATH`, or a path on the host.
fn split(argument: &str) -> (Option<&str>, &str) {
    if argument.starts_with('/') {
        return (None, argument);
    }
    match argument.split_once(':') {
        // `./a:b` is a file's name.
        Some((container, path)) if !container.starts_with('.') && !container.is_empty() => {
            (Some(container), path)
        }
        _ => (None, argument),
    }
}

impl Verb for CpArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let (from, source) = split(&self.source);
        let (to, destination) = split(&self.destination);
        for (name, path) in [("source", source), ("destination", destination)] {
            if path.is_empty() {
                return Err(Error::invalid(format!("{name} can not be empty")));
            }
        }
        match (from, to) {
            (Some(_), Some(_)) => Err(Error::invalid(
                "copying between containers is not supported",
            )),
            (None, None) => Err(Error::invalid("must specify at least one container source")),
            (Some(container), None) => self.copy_out(front, container, source, destination),
            (None, Some(container)) => self.copy_in(front, container, source, destination),
        }
    }
}

impl CpArgs {
    fn copy_out(&self, front: &Front, container: &str, from: &str, to: &str) -> Result<u8> {
        let engine = Engine::open()?;
        if to == "-" {
            let out = OutputFile::open("")?;
            let file = out.file().try_clone();
            let file = file.map_err(|e| Error::internal(format!("cannot use stdout: {e}")))?;
            copy::out(
                &engine,
                container,
                from,
                self.follow_link,
                Host::Stream(file),
            )?;
            return Ok(0);
        }
        let host = Host::Path(Path::new(to));
        let bytes = copy::out(&engine, container, from, self.follow_link, host)?;
        self.tell(front, bytes, &absolute(to));
        Ok(0)
    }

    fn copy_in(&self, front: &Front, container: &str, from: &str, to: &str) -> Result<u8> {
        let engine = Engine::open()?;
        let whole = absolute(from);
        let host = match from {
            "-" => Host::Stream(input_file::stdin()?),
            _ => Host::Path(Path::new(&whole)),
        };
        let bytes = copy::into(&engine, container, host, to, self.follow_link, self.archive)?;
        if from != "-" {
            self.tell(front, bytes, &format!("{container}:{to}"));
        }
        Ok(0)
    }

    fn tell(&self, front: &Front, bytes: u64, to: &str) {
        if !self.quiet && std::io::stderr().is_terminal() {
            let size = size::decimal4(bytes);
            front.note(&format!("Successfully copied {size} to {to}"));
        }
    }
}

/// From the root, with its last slash or dot.
fn absolute(path: &str) -> String {
    let here = || std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("{}/{path}", here().display()),
    }
}
