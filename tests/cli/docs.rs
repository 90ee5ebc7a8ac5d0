//! Manual pages in man/ are those of the commands as they are. `UPDATE=1`
//! writes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every file that there has to be, with its content.
fn wanted() -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let tree = wherry::cli::docs::tree();
    pages(&tree, "wherry", &mut files);
    files
}

fn pages(command: &clap::Command, name: &str, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let mut text = Vec::new();
    let page = command
        .clone()
        .display_name(name)
        .bin_name(name.replace('-', " "));
    // No date and no version of the day: the file changes with the command.
    let man = clap_mangen::Man::new(page)
        .title(name)
        .source("wherry")
        .manual("wherry");
    man.render(&mut text).unwrap();
    files.insert(format!("man/{name}.1").into(), text);
    for below in command.get_subcommands() {
        pages(below, &format!("{name}-{}", below.get_name()), files);
    }
}

#[test]
fn pages_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wanted = wanted();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join("man")).unwrap() {
        found.push(Path::new("man").join(entry.unwrap().file_name()));
    }
    if std::env::var_os("UPDATE").is_some() {
        for file in found.iter().filter(|f| !wanted.contains_key(*f)) {
            std::fs::remove_file(root.join(file)).unwrap();
        }
        for (file, text) in &wanted {
            std::fs::write(root.join(file), text).unwrap();
        }
        return;
    }
    for file in &found {
        assert!(
            wanted.contains_key(file),
            "{} is of no command",
            file.display()
        );
    }
    for (file, text) in &wanted {
        let there = std::fs::read(root.join(file)).unwrap_or_default();
        assert!(
            there == *text,
            "{} is stale: run the test with UPDATE=1",
            file.display()
        );
    }
}
