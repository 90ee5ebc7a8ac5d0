//! The whole command tree as one clap command, for manual pages and shell
//! completion. Slow by comparison: never on the way to running a command.

use super::commands::{COMMANDS, NOUNS};
use super::parse;
use clap::{Arg, ArgAction, Command};

/// `wherry` with every command below it. A command that has several full
/// names stands at the canonical one and at its short one.
pub fn tree() -> Command {
    let mut root = Command::new("wherry")
        .about("Containers without a daemon and without root")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .args(globals());
    for noun in NOUNS {
        let mut parent = Command::new(noun.name).about(noun.about);
        for entry in COMMANDS {
            let mut below = entry
                .paths
                .iter()
                .filter_map(|path| path.strip_prefix(noun.name)?.strip_prefix(' '));
            if let Some(name) = below.next() {
                parent = parent.subcommand(parse::plain(entry, name).visible_aliases(below));
            }
        }
        root = root.subcommand(parent);
    }
    for entry in COMMANDS {
        if let Some(name) = entry.paths.iter().find(|path| !path.contains(' ')) {
            root = root.subcommand(parse::plain(entry, name));
        }
    }
    root
}

fn globals() -> [Arg; 3] {
    [
        Arg::new("config")
            .long("config")
            .value_name("DIR")
            .help("Directory of Docker's client settings and credentials"),
        Arg::new("debug")
            .short('D')
            .long("debug")
            .action(ArgAction::SetTrue)
            .help("Show what caused an error"),
        Arg::new("log-level")
            .short('l')
            .long("log-level")
            .value_parser(["debug", "info", "warn", "error", "fatal"])
            .help("What to print on standard error"),
    ]
}
