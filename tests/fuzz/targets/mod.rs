//! What outsiders can hand to wherry as bytes, each with what has to hold
//! whatever the bytes are. A target panics when something does not. They are run
//! by libFuzzer (`fuzz_targets`) and by a mutator of our own (`probe.rs`).

// Each program takes some of it.
#![allow(dead_code)]

pub mod archives;
pub mod bake;
pub mod dockerfile;
pub mod documents;
pub mod names;
pub mod place;

pub struct Target {
    /// Also of its directory below `corpus` and its file in `fuzz_targets`.
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// Mutations in a short run; those that touch the disk have fewer.
    pub rounds: u64,
    /// Words that stand a better chance than random bytes.
    pub words: &'static [&'static str],
}

const fn target(
    name: &'static str,
    run: fn(&[u8]),
    rounds: u64,
    words: &'static [&'static str],
) -> Target {
    Target {
        name,
        run,
        rounds,
        words,
    }
}

pub const TARGETS: &[Target] = &[
    target("reference", names::reference, 6000, names::WORDS),
    target("challenge", names::challenge, 6000, names::CHALLENGES),
    target("manifest", documents::manifest, 5000, documents::WORDS),
    target("config", documents::config, 4000, documents::WORDS),
    target("login", documents::login, 4000, documents::LOGINS),
    target("layer", archives::layer, 2000, archives::WORDS),
    target("archive", archives::archive, 1000, archives::WORDS),
    target(
        "dockerfile",
        dockerfile::dockerfile,
        3000,
        dockerfile::WORDS,
    ),
    target("heredoc", dockerfile::heredoc, 4000, dockerfile::WORDS),
    target("ignore", dockerfile::ignore, 5000, dockerfile::PATTERNS),
    target("bake", bake::bake, 4000, bake::WORDS),
];
