//! `-e`, `--env-file`.

use super::lines;
use crate::error::{Error, Result};
use std::path::PathBuf;

/// The value of `-e`: `NAME=value`, or `NAME` for the caller's own value.
pub fn parse(text: &str) -> Result<String> {
    if text.starts_with('=') || text.is_empty() || text.contains('\0') {
        return Err(Error::usage(format!(
            "invalid environment variable: {text}"
        )));
    }
    Ok(text.to_string())
}

/// Files first, then `-e`. A later value of a name takes the place of an
/// earlier one. A bare `NAME` that the caller has not set is left out when it
/// is in a file; from `-e` it stays bare, which removes the image's variable.
pub fn join(
    files: &[PathBuf],
    given: Vec<String>,
    own: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    for file in files {
        for (name, value) in lines::read(file, "env")? {
            if let Some(value) = value.or_else(|| own(&name)) {
                set(&mut all, format!("{name}={value}"));
            }
        }
    }
    for variable in given {
        if variable.contains('=') {
            set(&mut all, variable);
        } else {
            match own(&variable) {
                Some(value) => set(&mut all, format!("{variable}={value}")),
                None => set(&mut all, variable),
            }
        }
    }
    Ok(all)
}

fn set(all: &mut Vec<String>, variable: String) {
    let name = |v: &str| v.split_once('=').map_or(v, |(name, _)| name).to_string();
    let wanted = name(&variable);
    match all.iter_mut().find(|v| name(v) == wanted) {
        Some(earlier) => *earlier = variable,
        None => all.push(variable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_values_win_and_bare_names_ask_the_caller() {
        let dir = std::env::temp_dir().join(format!("wherry-env-{}", std::process::id()));
        std::fs::write(&dir, "A=file\nB=file\nHOME\nMISSING\n").unwrap();
        let own = |name: &str| (name == "HOME").then(|| "/home/me".to_string());
        let given = ["A=flag", "GONE", "HOME", "C="].map(String::from).to_vec();
        let all = join(std::slice::from_ref(&dir), given, &own);
        std::fs::remove_file(&dir).unwrap();
        assert_eq!(
            all.unwrap(),
            ["A=flag", "B=file", "HOME=/home/me", "GONE", "C="]
        );
    }

    #[test]
    fn bad_variables() {
        for text in ["", "=", "=x", "a\0b"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        let missing = join(&[PathBuf::from("/nope")], Vec::new(), &|_| None).unwrap_err();
        assert_eq!(missing.message(), "open /nope: no such file or directory");
    }
}
