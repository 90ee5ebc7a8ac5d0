//! The table of commands. A command is added by its row here and a module;
//! help, completion and manual pages follow.

use super::container::logs::LogsArgs;
use super::system::version::VersionArgs;
use super::verb::Entry;
use std::ffi::OsString;

/// A management command.
pub struct Noun {
    pub name: &'static str,
    pub about: &'static str,
}

/// Management commands that have at least one command below them.
pub static NOUNS: &[Noun] = &[Noun {
    name: "container",
    about: "Manage containers",
}];

/// Every command. Common ones are listed in this order in the help.
pub static COMMANDS: &[Entry] = &[
    Entry::of::<LogsArgs>(
        &["container logs", "logs"],
        &["CONTAINER"],
        "Fetch the logs of a container",
    ),
    Entry::of::<VersionArgs>(&["version"], &[""], "Show the version information").common(),
];

/// Entry points of wherry's own helper processes: name, and what runs with
/// the arguments after the name; the result is the exit status.
pub static HIDDEN: &[(&str, fn(&[OsString]) -> u8)] = &[];
