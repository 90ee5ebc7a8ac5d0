//! `-l`, `--label-file`, `--annotation`.

use super::lines;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `NAME=value` or `NAME` (an empty value).
pub fn parse(text: &str) -> Result<(String, String)> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.trim().is_empty() {
        return Err(Error::usage(format!("invalid label '{text}': empty name")));
    }
    Ok((name.to_string(), value.to_string()))
}

/// Files first, then `-l`; later values win.
pub fn join(files: &[PathBuf], given: Vec<(String, String)>) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for file in files {
        for (name, value) in lines::read(file, "label")? {
            all.insert(name, value.unwrap_or_default());
        }
    }
    all.extend(given);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        assert_eq!(parse("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        assert_eq!(parse("a").unwrap(), ("a".into(), String::new()));
        assert_eq!(
            parse("=x").unwrap_err().message(),
            "invalid label '=x': empty name"
        );
        assert!(parse("").is_err());
    }

    #[test]
    fn the_last_value_wins() {
        let given = vec![("a".into(), "1".into()), ("a".into(), "2".into())];
        assert_eq!(join(&[], given).unwrap()["a"], "2");
    }
}
