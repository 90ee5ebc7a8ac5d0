//! Files of `NAME=value` lines: `--env-file` and `--label-file`.

use crate::error::{Error, Result, reason};
use std::io::Read;
use std::path::Path;

/// Longer files are refused: they are read whole.
const MOST: u64 = 1 << 20;

/// One line: a name, and a value unless the line has no `=`.
pub type Line = (String, Option<String>);

/// The lines of `path`. Empty lines, and those that begin with `#`, are left
/// out; blanks before the name are dropped, blanks in the value are kept.
pub fn read(path: &Path, what: &str) -> Result<Vec<Line>> {
    let open = |e: std::io::Error| Error::usage(format!("open {}: {}", path.display(), reason(&e)));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(open)?;
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(open)?;
    let invalid =
        |why: String| Error::usage(format!("invalid {what} file ({}): {why}", path.display()));
    if bytes.len() as u64 > MOST {
        return Err(invalid("longer than 1 MiB".into()));
    }
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(e) => {
            let line = bytes[..e.valid_up_to()]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1;
            return Err(invalid(format!("invalid utf8 bytes at line {line}")));
        }
    };
    text.lines()
        .filter_map(|line| parse(line).transpose())
        .map(|r| r.map_err(&invalid))
        .collect()
}

fn parse(line: &str) -> std::result::Result<Option<Line>, String> {
    let line = line.trim_start();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name, Some(value.to_string())),
        None => (line.trim_end(), None),
    };
    if name.is_empty() {
        return Err(format!("no variable name on line '{line}'"));
    }
    if name.contains(char::is_whitespace) {
        return Err(format!("variable '{name}' contains whitespaces"));
    }
    if line.contains('\0') {
        return Err(format!(
            "variable '{}' contains a NUL byte",
            name.escape_debug()
        ));
    }
    Ok(Some((name.to_string(), value)))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines() {
        let value = |v: &str| Some(v.to_string());
        for (line, want) in [
            ("A=1", Ok(Some(("A".into(), value("1"))))),
            ("  A= 1 ", Ok(Some(("A".into(), value(" 1 "))))),
            ("A=b=c", Ok(Some(("A".into(), value("b=c"))))),
            ("A=", Ok(Some(("A".into(), value(""))))),
            ("A  ", Ok(Some(("A".into(), None)))),
            ("# A=1", Ok(None)),
            ("", Ok(None)),
            (
                "A B=1",
                Err("variable 'A B' contains whitespaces".to_string()),
            ),
            ("A =1", Err("variable 'A ' contains whitespaces".into())),
            ("=1", Err("no variable name on line '=1'".into())),
        ] {
            assert_eq!(parse(line), want, "{line}");
        }
    }
}
