//! The command line as a user sees it: what is printed where, and the status.
//! Needs nothing but the binary. Expected texts are in tests/golden/cli;
//! `UPDATE=1` rewrites them.

mod docs;
mod errors;
mod inspect;
mod install;
mod pages;
mod ps;
mod records;
mod streams;

use crate::support::Env;
use std::fmt::Write;
use std::path::Path;

/// Compares with tests/golden/cli/`name`.
#[track_caller]
pub fn golden(name: &str, got: &str) {
    let path = Path::new("tests/golden/cli").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, got).unwrap();
        return;
    }
    let want = std::fs::read_to_string(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; make it with UPDATE=1", path.display()));
    assert!(
        got == want,
        "{name} differs; UPDATE=1 rewrites it\n--- want\n{want}\n--- got\n{got}"
    );
}

/// Runs each line as the words of a command and shows what it did. `'` quotes.
pub fn session(env: &Env, lines: &[&str]) -> String {
    let mut all = String::new();
    for line in lines {
        let out = env.wherry(words(line));
        let _ = writeln!(
            all,
            "$ wherry {line}\n{}",
            out.text().trim_end_matches('\n')
        );
        let errors = out.errors();
        if !errors.is_empty() {
            let _ = writeln!(all, "-- stderr\n{}", errors.trim_end_matches('\n'));
        }
        let _ = writeln!(all, "-- status {}\n", out.status);
    }
    all
}

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    if line.is_empty() { Vec::new() } else { words }
}
