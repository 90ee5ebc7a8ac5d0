//! What stands for the value of an option and for an argument. A command that
//! is not named here gets what its usage line says.

use super::names::{self, Which};
use super::{Answer, Offer, Shell};
use crate::cli::parse;
use crate::cli::verb::Entry;
use crate::sys::caps::CapSet;

/// What can be offered.
#[derive(Clone, Copy)]
enum What {
    Words(&'static [&'static str]),
    /// Beginnings: something follows.
    Keys(&'static [&'static str]),
    /// Modes of a namespace (none: the networks), and `container:NAME`.
    Modes(&'static [&'static str]),
    Files,
    Directories,
    Containers(Which),
    Images,
    Networks,
    Volumes,
    /// Containers, images, networks and volumes.
    Objects,
    Environment,
    Signals,
    Capabilities,
    Nothing,
}

use What::{Capabilities, Containers, Directories, Environment, Files, Images, Keys, Modes};
use What::{Networks, Nothing, Objects, Signals, Volumes, Words};

/// Options by their long names; they mean the same wherever they occur.
const OPTIONS: &[(&str, What)] = &[
    ("allow", Words(&["network.host"])),
    ("annotation", Nothing),
    ("attach", Words(&["stderr", "stdin", "stdout"])),
    ("build-arg", Environment),
    ("call", Words(&["build", "check", "outline", "targets"])),
    ("cap-add", Capabilities),
    ("cap-drop", Capabilities),
    ("cgroupns", Words(&["host", "private"])),
    ("cidfile", Files),
    ("device", Files),
    ("env", Environment),
    ("env-file", Files),
    ("file", Files),
    ("iidfile", Files),
    ("ipc", Modes(&["host", "none", "private", "shareable"])),
    ("label-file", Files),
    ("log-driver", Words(LOG_DRIVERS)),
    ("log-opt", Keys(LOG_OPTIONS)),
    ("metadata-file", Files),
    (
        "mount",
        Keys(&["type=bind,", "type=image,", "type=tmpfs,", "type=volume,"]),
    ),
    ("driver", Words(&["bridge"])),
    ("network", Modes(&[])),
    ("output", Files),
    ("pid", Modes(&["host", "private"])),
    (
        "platform",
        Words(&["linux/386", "linux/amd64", "linux/arm/v7", "linux/arm64"]),
    ),
    ("pull", Words(&["always", "missing", "never"])),
    (
        "restart",
        Words(&["always", "no", "on-failure", "unless-stopped"]),
    ),
    ("rootfs", Directories),
    ("secret", Keys(&["env=", "id=", "src=", "type="])),
    (
        "security-opt",
        Words(&[
            "no-new-privileges",
            "seccomp=unconfined",
            "systempaths=unconfined",
        ]),
    ),
    ("signal", Signals),
    ("stop-signal", Signals),
    ("type", Words(&["container", "image", "network", "volume"])),
    (
        "ulimit",
        Keys(&[
            "as=",
            "core=",
            "cpu=",
            "data=",
            "fsize=",
            "locks=",
            "memlock=",
            "msgqueue=",
            "nice=",
            "nofile=",
            "nproc=",
            "rss=",
            "rtprio=",
            "rttime=",
            "sigpending=",
            "stack=",
        ]),
    ),
    ("userns", Words(&["host", "keep-id", "nomap"])),
    ("uts", Words(&["host", "private"])),
    ("volume", Files),
    ("volume-driver", Words(&["local"])),
    ("volumes-from", Containers(Which::All)),
];
pub const LOG_DRIVERS: &[&str] = &["journald", "json-file", "local", "none"];
const LOG_OPTIONS: &[&str] = &[
    "compress=",
    "env-regex=",
    "env=",
    "labels-regex=",
    "labels=",
    "max-buffer-size=",
    "max-file=",
    "max-size=",
    "mode=",
    "tag=",
];
const STATUSES: &[&str] = &[
    "created",
    "dead",
    "exited",
    "paused",
    "removing",
    "restarting",
    "running",
];

/// Keys of `--filter`.
const FILTERS: &[(&str, &[&str])] = &[
    (
        "container ls",
        &[
            "ancestor=",
            "before=",
            "exited=",
            "expose=",
            "health=",
            "id=",
            "is-task=",
            "label=",
            "name=",
            "network=",
            "publish=",
            "since=",
            "status=",
            "volume=",
        ],
    ),
    (
        "image ls",
        &[
            "before=",
            "dangling=",
            "label=",
            "reference=",
            "since=",
            "until=",
        ],
    ),
    ("builder prune", &["unused-for=", "until="]),
    ("container prune", &["label!=", "label=", "until="]),
    ("image prune", &["dangling=", "label!=", "label=", "until="]),
    (
        "network ls",
        &[
            "dangling=",
            "driver=",
            "id=",
            "label=",
            "name=",
            "scope=",
            "type=",
        ],
    ),
    ("network prune", &["label!=", "label=", "until="]),
    ("system prune", &["label!=", "label=", "until="]),
    ("search", &["is-official=", "stars="]),
    ("volume ls", &["dangling=", "driver=", "label=", "name="]),
    ("volume prune", &["all=", "label!=", "label="]),
];

/// Arguments that the usage line does not tell enough of.
const ARGUMENTS: &[(&str, What)] = &[
    ("container attach", Containers(Which::Running)),
    ("container exec", Containers(Which::Running)),
    ("container kill", Containers(Which::Running)),
    ("container pause", Containers(Which::Running)),
    ("container port", Containers(Which::Running)),
    ("container start", Containers(Which::Stopped)),
    ("container stats", Containers(Which::Running)),
    ("container stop", Containers(Which::Running)),
    ("container top", Containers(Which::Running)),
    ("container unpause", Containers(Which::Paused)),
    ("container wait", Containers(Which::Running)),
    ("image build", Directories),
    ("image import", Files),
    ("image load", Files),
    ("image ls", Images),
    ("image pull", Images),
    ("image tag", Images),
    ("network connect", Networks),
    ("network disconnect", Networks),
    ("inspect", Objects),
];

/// The commands that are named here.
#[cfg(test)]
pub fn paths() -> impl Iterator<Item = &'static str> {
    let filters = FILTERS.iter().map(|(path, _)| *path);
    filters.chain(ARGUMENTS.iter().map(|(path, _)| *path))
}

/// Values of the options before the command.
pub fn global(option: &str) -> Answer {
    match option {
        "--config" => offer(Directories, ""),
        "--log-level" | "-l" => offer(Words(&["debug", "error", "fatal", "info", "warn"]), ""),
        _ => Answer::nothing(),
    }
}

/// Values of an option of a command.
pub fn option(entry: &Entry, option: &str, typed: &str) -> Answer {
    if option == "filter" {
        return filter(entry, typed);
    }
    if option == "format" {
        let inspects = entry.paths[0].ends_with("inspect");
        return match inspects {
            true => offer(Words(&["json"]), typed),
            false => offer(Words(&["json", "table"]), typed),
        };
    }
    let command = parse::build(entry);
    let possible = command
        .get_arguments()
        .find(|a| a.get_long() == Some(option))
        .map(clap::Arg::get_possible_values)
        .unwrap_or_default();
    if !possible.is_empty() {
        let offers = possible.iter().map(|v| Offer::new(v.get_name(), ""));
        return Answer(offers.collect(), Shell::Nothing);
    }
    let known = OPTIONS.iter().find(|(name, _)| *name == option);
    offer(known.map_or(Nothing, |(_, what)| *what), typed)
}

/// Keys, and behind `=` the values that are known.
fn filter(entry: &Entry, typed: &str) -> Answer {
    let Some((key, _)) = typed.split_once('=') else {
        let known = FILTERS.iter().find(|(path, _)| *path == entry.paths[0]);
        return offer(known.map_or(Nothing, |(_, keys)| Keys(keys)), typed);
    };
    let what = match key {
        "status" => Words(STATUSES),
        "health" => Words(&["healthy", "none", "starting", "unhealthy"]),
        "dangling" | "is-task" | "is-official" => Words(&["false", "true"]),
        "network" => Networks,
        "type" => Words(&["builtin", "custom"]),
        "driver" if entry.paths[0] == "volume ls" => Words(&["local"]),
        "driver" => Words(&["bridge", "host", "null"]),
        "scope" => Words(&["local"]),
        "ancestor" | "reference" => Images,
        "before" | "since" if entry.paths[0] == "image ls" => Images,
        "volume" => Volumes,
        "name" if entry.paths[0] == "volume ls" => Volumes,
        "before" | "since" | "name" => Containers(Which::All),
        _ => Nothing,
    };
    let Answer(offers, shell) = offer(what, typed);
    let whole = |o: Offer| Offer::new(format!("{key}={}", o.value), o.about);
    Answer(offers.into_iter().map(whole).collect(), shell)
}

/// What comes behind the arguments `before`.
pub fn argument(entry: &Entry, before: &[&str]) -> Answer {
    let form = entry.usage.first().copied().unwrap_or_default();
    let (first, more) = form.split_once(' ').unwrap_or((form, ""));
    let repeats = more.starts_with(&format!("[{first}")) || first.ends_with("...]");
    let moves = matches!(entry.paths[0], "network connect" | "network disconnect");
    if moves && before.len() == 1 {
        return offer(Containers(Which::All), "");
    }
    if !before.is_empty() && !repeats {
        // A command of the container, or a second thing that is new.
        return Answer::nothing();
    }
    let known = ARGUMENTS.iter().find(|(path, _)| *path == entry.paths[0]);
    let what = match (known, first) {
        (Some((_, what)), _) => *what,
        (None, "CONTAINER" | "[CONTAINER...]") => Containers(Which::All),
        (None, "IMAGE") => Images,
        (None, "NETWORK") if !entry.paths[0].ends_with("create") => Networks,
        (None, "VOLUME") => Volumes,
        _ => Nothing,
    };
    let Answer(mut offers, shell) = offer(what, "");
    offers.retain(|o| !before.contains(&o.value.as_str()));
    Answer(offers, shell)
}

fn offer(what: What, typed: &str) -> Answer {
    let plain = |words: &[&str]| words.iter().map(|w| Offer::new(*w, "")).collect::<Vec<_>>();
    match what {
        Words(words) => Answer(plain(words), Shell::Nothing),
        Keys(words) => Answer(plain(words), Shell::GoOn),
        Modes(words) => modes(words, typed),
        Files => Answer(Vec::new(), Shell::Files),
        Directories => Answer(Vec::new(), Shell::Directories),
        Containers(which) => Answer(names::containers(which), Shell::Nothing),
        Images => Answer(names::images(), Shell::Nothing),
        Networks => Answer(names::networks(), Shell::Nothing),
        Volumes => Answer(names::volumes(), Shell::Nothing),
        Objects => {
            let mut all = names::containers(Which::All);
            all.extend(names::images());
            all.extend(names::networks());
            all.extend(names::volumes());
            Answer(all, Shell::Nothing)
        }
        Environment => {
            let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
            let mut offers: Vec<Offer> = names.map(|name| Offer::new(name, "")).collect();
            offers.sort_by(|a, b| a.value.cmp(&b.value));
            Answer(offers, Shell::Nothing)
        }
        Signals => {
            let names = nix::sys::signal::Signal::iterator().map(|s| Offer::new(s.as_str(), ""));
            Answer(names.collect(), Shell::Nothing)
        }
        Capabilities => {
            let mut names: Vec<String> = CapSet::NAMED.names();
            for name in &mut names {
                *name = name.trim_start_matches("CAP_").to_string();
            }
            names.push("ALL".into());
            names.sort();
            Answer(
                names.into_iter().map(|n| Offer::new(n, "")).collect(),
                Shell::Nothing,
            )
        }
        Nothing => Answer::nothing(),
    }
}

/// `container:` by itself until it is typed, then with every name.
fn modes(words: &[&str], typed: &str) -> Answer {
    let joined = "container:";
    if typed.starts_with(joined) {
        let names = names::containers(Which::Running).into_iter();
        let offers = names.map(|o| Offer::new(format!("{joined}{}", o.value), ""));
        return Answer(offers.collect(), Shell::Nothing);
    }
    let mut offers: Vec<Offer> = words.iter().map(|w| Offer::new(*w, "")).collect();
    if words.is_empty() {
        offers = names::networks();
    }
    offers.push(Offer::new(joined, ""));
    let only = !typed.is_empty() && joined.starts_with(typed);
    Answer(offers, if only { Shell::GoOn } else { Shell::Nothing })
}
