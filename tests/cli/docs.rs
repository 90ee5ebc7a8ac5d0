//! Manual pages in man/ are those of the commands as they are, joined with the
//! texts in man/src. `UPDATE=1` writes them.

use super::pages::{self, File};
use crate::support::Env;
use crate::support::env::{Output, run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use wherry::cli::commands::COMMANDS;
use wherry::cli::docs;

fn texts() -> BTreeMap<String, pages::Text> {
    pages::read_texts(Path::new("man/src"))
}

#[test]
fn pages_are_up_to_date() {
    let wanted = pages::all(&texts());
    let man = Path::new("man");
    let entries = std::fs::read_dir(man).unwrap().map(Result::unwrap);
    let found: Vec<PathBuf> = entries
        .filter(|entry| !entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into())
        .collect();
    if std::env::var_os("UPDATE").is_some() {
        for file in found {
            std::fs::remove_file(man.join(file)).unwrap();
        }
        for (file, content) in wanted {
            match content {
                File::Page(text) => std::fs::write(man.join(file), text).unwrap(),
                File::Link(to) => std::os::unix::fs::symlink(to, man.join(file)).unwrap(),
            }
        }
        return;
    }
    for file in &found {
        let known = wanted.contains_key(file);
        assert!(known, "{} is of no command", file.display());
    }
    for (file, content) in &wanted {
        let path = man.join(file);
        let fresh = match content {
            File::Page(text) => std::fs::read_to_string(path).is_ok_and(|there| there == *text),
            File::Link(to) => std::fs::read_link(path).is_ok_and(|there| there == Path::new(to)),
        };
        assert!(fresh, "{} is stale: run `make generate`", file.display());
    }
}

#[test]
fn every_command_has_words_and_examples_of_its_own() {
    let texts = texts();
    for entry in COMMANDS {
        let page = pages::name_of(entry);
        let file = format!("man/src/{page}.md");
        let text = texts.get(&page).unwrap_or_else(|| {
            panic!("{file} is missing: it needs the sections DESCRIPTION and EXAMPLES")
        });
        for section in ["DESCRIPTION", "EXAMPLES"] {
            assert!(text.has(section), "{file} has no section {section}");
        }
    }
    for page in texts.keys() {
        let known = page == "wherry" || COMMANDS.iter().any(|e| pages::name_of(e) == *page);
        assert!(known, "man/src/{page}.md is of no command");
    }
}

#[test]
fn examples_are_command_lines_that_are_understood() {
    let texts = texts();
    let mut seen = 0;
    for entry in COMMANDS {
        let page = pages::name_of(entry);
        let Some(text) = texts.get(&page) else {
            continue;
        };
        for line in text.commands() {
            let words = super::words(&line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Err(e) = docs::understands(&words) {
                panic!("man/src/{page}.md: wherry {line}\n{e}");
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn pages_that_are_pointed_at_are_there() {
    let pages = pages::all(&texts());
    let mut seen = 0;
    for (file, content) in &pages {
        let File::Page(text) = content else {
            continue;
        };
        for line in text.lines().filter(|l| l.starts_with(".BR wherry")) {
            let name = line.split(' ').nth(1).unwrap().replace("\\-", "-");
            let path = PathBuf::from(format!("{name}.1"));
            assert!(pages.contains_key(&path), "{}: {line}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}

/// They ask wherry itself: nothing in them can be stale.
#[test]
fn completions_ask_the_program() {
    for (file, asks) in [
        ("wherry.bash", "\"$program\" __complete "),
        ("_wherry", "\"$program\" __complete "),
        ("wherry.fish", "$program __complete "),
    ] {
        let text = std::fs::read_to_string(Path::new("completions").join(file)).unwrap();
        assert!(text.contains(asks), "{file}");
    }
}

/// What every page has.
const HEADINGS: [&str; 6] = [
    "NAME",
    "SYNOPSIS",
    "DESCRIPTION",
    "EXIT STATUS",
    "FILES",
    "SEE ALSO",
];

fn output(program: &str, args: &[&str], path: &Path) -> Output {
    let mut command = Command::new(program);
    command
        .args(args)
        .arg(path)
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("MANWIDTH", "100");
    run(command, b"", 60)
}

#[test]
fn man_and_mandoc_have_nothing_to_say_against_them() {
    let env = Env::new();
    for (file, content) in pages::all(&texts()) {
        let File::Page(text) = content else {
            continue;
        };
        let path = env.path("tmp").join(file);
        std::fs::write(&path, text).unwrap();
        let lint = output("mandoc", &["-Tlint", "-Wwarning"], &path);
        assert_eq!((lint.status, lint.text().as_str()), (0, ""), "{lint}");
        let shown = output("man", &["--warnings", "-l"], &path).ok();
        assert_eq!(shown.errors(), "", "{shown}");
        let text = shown.text();
        for heading in HEADINGS {
            let there = text.lines().any(|l| l == heading);
            assert!(there, "{}: no {heading}\n{text}", path.display());
        }
    }
}
