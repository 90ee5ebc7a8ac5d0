//! A pull without a command line, for tests that kill it, fill its disk or
//! measure it: `pull_probe ROOT NAME` pulls into the store at ROOT, in the
//! caller's user namespace unless he is root. Ends with the image's ID on
//! stdout, or 1 and the reason on stderr; time and memory come before it.

use std::io::Write;
use std::path::PathBuf;
use wherry::config::{Logins, Proxies, Registries, Source};
use wherry::error::Result;
use wherry::image::Reference;
use wherry::output::progress::Silent;
use wherry::paths::Paths;
use wherry::registry::{Client, Options};
use wherry::store::Store;
use wherry::transfer::pull::{PullOptions, Pulled, pull};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [root, name] = &args[..] else {
        eprintln!("usage: pull_probe ROOT NAME");
        std::process::exit(2);
    };
    let root = PathBuf::from(root);
    let paths = Paths::at(root.join("data"), root.join("run"));
    match prepare_and_pull(&paths, name) {
        Ok(pulled) => {
            let _ = writeln!(std::io::stdout(), "{}", pulled.image_id);
        }
        Err(e) => {
            // A test may have made writing fail.
            let _ = writeln!(std::io::stderr(), "{e}");
            std::process::exit(1);
        }
    }
}

fn prepare_and_pull(paths: &Paths, name: &str) -> Result<Pulled> {
    paths.ensure()?;
    let registries = Registries::find()?;
    let reference = registries.expand(name)?;
    let sources = Source::find(&registries, &Logins::find(), &reference)?;
    let options = Options {
        proxies: Proxies::find()?,
        ..Options::default()
    };
    let work = || work(paths, &reference, sources, &options);
    match nix::unistd::geteuid().is_root() {
        true => work(),
        false => wherry::userns::task::run(paths, work),
    }
}

fn work(
    paths: &Paths,
    name: &Reference,
    sources: Vec<Source>,
    options: &Options,
) -> Result<Pulled> {
    let start = std::time::Instant::now();
    let client = Client::new(name, sources, options);
    let pulled = pull(
        &Store::open(paths)?,
        &client,
        &PullOptions::default(),
        &Silent,
    )?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find(|l| l.starts_with("VmHWM:"))
        .unwrap_or_default();
    let _ = writeln!(
        std::io::stderr(),
        "{:.3} s, {peak}",
        start.elapsed().as_secs_f64()
    );
    Ok(pulled)
}
