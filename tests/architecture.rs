//! The rules of docs/architecture.md, "Modules", read off the sources: a module
//! imports only lower layers, some packages and unsafe code have one place
//! each, and files keep to their names and lengths. The tests run in the
//! package's directory, or in a copy of its sources.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// Modules with their layers, lowest first.
const LAYERS: &[&[&str]] = &[
    &["error", "paths", "text", "fs", "sys", "host"],
    &["image", "config", "userns", "cgroup", "logs", "output"],
    &[
        "record", "registry", "store", "runtime", "network", "volume",
    ],
    &["engine", "transfer", "monitor"],
    &["container", "build", "doctor"],
    &["compose"],
    &["cli", "api", "oci"],
];

/// Modules of one layer that another one of the same layer may use.
const SAME_LAYER: &[(&str, &str)] = &[
    ("paths", "error"),
    ("text", "error"),
    ("fs", "error"),
    ("sys", "error"),
    // Extended attributes of what is copied.
    ("fs", "sys"),
    // What an error advises.
    ("error", "host"),
    // Who uses a volume stands in the containers' records.
    ("volume", "record"),
    // registries.conf speaks of image references.
    ("config", "image"),
    // A step of a build is a container.
    ("build", "container"),
];

/// Package (or keyword), and the only places that may use it.
const PLACES: &[(&str, &[&str])] = &[
    ("reqwest", &["registry"]),
    ("clap", &["cli", "oci"]),
    ("libcgroups", &["cgroup"]),
];

const BANNED: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "manager",
];

/// Lines; tables of data (no function longer than a line) may be longer.
const MAX_LINES: usize = 700;

struct Source {
    path: PathBuf,
    /// `store` for src/store/unpack/x.rs; `main` and `lib` for themselves.
    module: String,
    text: String,
    /// Without comments, and without the tests at its end.
    code: String,
}

fn sources() -> Vec<Source> {
    let root = PathBuf::from("src");
    let (mut found, mut below) = (Vec::new(), vec![root.clone()]);
    while let Some(dir) = below.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_owned();
                let first = path.iter().next().unwrap().to_string_lossy();
                found.push(Source {
                    module: first.trim_end_matches(".rs").to_owned(),
                    code: without_comments(&text),
                    path,
                    text,
                });
            }
        }
    }
    assert!(found.len() > 10, "the sources were not found");
    found
}

fn without_comments(text: &str) -> String {
    let text = text
        .split("\n#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default();
    let code = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// First names after `crate::`, and within `crate::{…}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            None => found.extend(name(rest)),
            Some(group) => found.extend(group_names(group)),
        }
    }
    found
}

fn name(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The names at the top of a group whose opening brace is behind us.
fn group_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut fresh) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && (c.is_alphabetic() || c == '_') => {
                names.extend(name(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

fn report(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_module_imports_only_lower_layers() {
    let mut faults = Vec::new();
    for source in sources() {
        let module = source.module.as_str();
        if ["main", "lib"].contains(&module) {
            continue;
        }
        let Some(own) = layer(module) else {
            faults.push(format!("{} is in no layer", source.path.display()));
            continue;
        };
        for import in imports(&source.code) {
            // What is no module is an item of the crate's root, a macro.
            let Some(other) = layer(&import) else {
                continue;
            };
            let allowed =
                import == module || other < own || SAME_LAYER.contains(&(module, import.as_str()));
            if !allowed {
                let path = source.path.display();
                faults.push(format!(
                    "{path} (layer {own}) imports {import} (layer {other})"
                ));
            }
        }
    }
    report(faults);
}

#[test]
fn every_module_of_the_crate_has_a_layer() {
    let lib = std::fs::read_to_string("src/lib.rs").unwrap();
    let modules = lib.lines().filter_map(|line| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    let faults: Vec<_> = modules
        .filter(|module| layer(module).is_none())
        .map(String::from)
        .collect();
    report(faults);
}

#[test]
fn packages_and_unsafe_code_stay_in_their_places() {
    let mut faults = Vec::new();
    for source in sources() {
        let path = source.path.display();
        for (package, places) in PLACES {
            let used = [
                format!("{package}::"),
                format!("use {package}"),
                format!("#[{package}("),
            ];
            let is_used = used.iter().any(|text| {
                source.code.match_indices(text.as_str()).any(|(at, _)| {
                    let before = source.code[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
                })
            });
            if is_used && !places.contains(&source.module.as_str()) {
                faults.push(format!("{path} uses {package}"));
            }
        }
        let words = source
            .code
            .split(|c: char| !c.is_alphanumeric() && c != '_');
        let is_unsafe = words.into_iter().any(|word| word == "unsafe");
        if is_unsafe && source.module != "sys" {
            faults.push(format!("{path} has unsafe code"));
        }
        if is_unsafe && !source.text.contains("SAFETY") && !source.text.contains("# Safety") {
            faults.push(format!("{path} has unsafe code and no word on its safety"));
        }
    }
    report(faults);
}

#[test]
fn files_keep_to_names_and_lengths() {
    let mut faults = Vec::new();
    for source in sources() {
        let path = source.path.display();
        for part in source.path.with_extension("").iter() {
            if BANNED.contains(&part.to_string_lossy().as_ref()) {
                faults.push(format!("{path}: a name that says nothing"));
            }
        }
        let lines = source.code.lines().count();
        let is_table = !source.code.contains("fn ");
        if lines > MAX_LINES && !is_table {
            faults.push(format!(
                "{path} has {lines} lines without its tests, more than {MAX_LINES}"
            ));
        }
        if !source.text.starts_with("//!") {
            faults.push(format!("{path} does not open with what it owns"));
        }
    }
    let main = std::fs::read_to_string("src/main.rs").unwrap();
    if main.lines().count() > 100 {
        faults.push("main.rs has more than 100 lines".into());
    }
    report(faults);
}

#[test]
fn the_reader_of_imports_reads_them() {
    let code = "use crate::error::Result;\nuse crate::{sys::{pidfd, clone}, text, logs::Writer};\n\
                let x = crate::paths::Paths; $crate::store::y; mycrate::cli::x";
    let want = ["error", "logs", "paths", "store", "sys", "text"];
    assert_eq!(imports(code).into_iter().collect::<Vec<_>>(), want);
}
