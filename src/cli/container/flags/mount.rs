//! `--mount`: comma-separated `key=value` fields; `--tmpfs`.

use super::volume::{clean, is_propagation};
use crate::error::{Error, Result};
use crate::record::container::{BindOptions, Mount, TmpfsOptions};
use crate::text::size;

/// Reads one `--mount`.
pub fn parse(text: &str) -> Result<Mount> {
    let mut mount = Mount {
        kind: "volume".into(),
        ..Mount::default()
    };
    let mut bind = BindOptions::default();
    let mut tmpfs = TmpfsOptions::default();
    let mut groups: Vec<&'static str> = Vec::new();
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_ascii_lowercase(), Some(value)),
            None => (field.to_ascii_lowercase(), None),
        };
        let switch = matches!(
            key.as_str(),
            "readonly" | "ro" | "bind-nonrecursive" | "bind-create-src"
        );
        let Some(value) = value.or(switch.then_some("true")) else {
            return Err(Error::usage(format!(
                "invalid field '{field}' must be a key=value pair"
            )));
        };
        match key.as_str() {
            "type" => mount.kind = value.to_ascii_lowercase(),
            "source" | "src" => mount.source = source(value)?,
            "target" | "dst" | "destination" => mount.target = value.into(),
            "readonly" | "ro" => mount.read_only = truth(&key, value)?,
            _ if key.starts_with("bind-") => {
                groups.push("bind");
                bind_option(&mut bind, &key, value, &field)?;
            }
            _ if key.starts_with("tmpfs-") => {
                groups.push("tmpfs");
                tmpfs_option(&mut tmpfs, &key, value, &field)?;
            }
            _ if key.starts_with("volume-")
                || key.starts_with("image-")
                || key == "consistency" =>
            {
                return Err(Error::unsupported(format!(
                    "--mount option '{key}' is not supported"
                )));
            }
            _ => return Err(Error::usage(format!("unexpected key '{key}' in '{field}'"))),
        }
    }
    if mount.target.is_empty() {
        return Err(Error::usage("target is required"));
    }
    if let Some(group) = groups.iter().find(|g| **g != mount.kind) {
        return Err(Error::usage(format!(
            "cannot mix '{group}-*' options with mount type '{}'",
            mount.kind
        )));
    }
    mount.bind_options = groups.contains(&"bind").then_some(bind);
    mount.tmpfs_options = groups.contains(&"tmpfs").then_some(tmpfs);
    Ok(mount)
}

/// A source that begins with a dot is relative to the working directory.
fn source(value: &str) -> Result<String> {
    if !value.starts_with('.') {
        return Ok(value.into());
    }
    let cwd = std::env::current_dir().map_err(|e| {
        Error::usage(format!(
            "cannot complete {value}: {}",
            crate::error::reason(&e)
        ))
    })?;
    Ok(clean(&cwd.join(value).to_string_lossy()))
}

fn truth(key: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Error::usage(format!("invalid value for {key}: {value}"))),
    }
}

fn bind_option(bind: &mut BindOptions, key: &str, value: &str, field: &str) -> Result<()> {
    match key {
        "bind-propagation" => bind.propagation = value.to_ascii_lowercase(),
        "bind-nonrecursive" => bind.non_recursive = truth(key, value)?,
        "bind-create-src" => bind.create_mountpoint = truth(key, value)?,
        "bind-recursive" => match value {
            "enabled" => bind.non_recursive = false,
            "disabled" => bind.non_recursive = true,
            "writable" | "readonly" => {
                return Err(Error::unsupported(format!(
                    "bind-recursive={value} is not supported"
                )));
            }
            _ => return Err(Error::usage(format!("invalid value for {key}: {value}"))),
        },
        _ => return Err(Error::usage(format!("unexpected key '{key}' in '{field}'"))),
    }
    Ok(())
}

fn tmpfs_option(tmpfs: &mut TmpfsOptions, key: &str, value: &str, field: &str) -> Result<()> {
    let invalid = || Error::usage(format!("invalid value for {key}: {value}"));
    match key {
        "tmpfs-size" => tmpfs.size_bytes = size::parse(value).map_err(|_| invalid())?,
        "tmpfs-mode" => {
            let mode = u32::from_str_radix(value, 8).map_err(|_| invalid())?;
            if mode > 0o7777 {
                return Err(invalid());
            }
            tmpfs.mode = mode;
        }
        _ => return Err(Error::usage(format!("unexpected key '{key}' in '{field}'"))),
    }
    Ok(())
}

/// Splits a line of comma-separated values; a field in double quotes may hold
/// commas, and a doubled quote is one (RFC 4180).
pub fn fields(text: &str) -> Result<Vec<String>> {
    let mut all = vec![String::new()];
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        let Some(field) = all.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            '"' => return Err(Error::usage("bare \" in non-quoted field")),
            ',' if !quoted => all.push(String::new()),
            c => field.push(c),
        }
    }
    if quoted {
        return Err(Error::usage("missing \" at the end of a quoted field"));
    }
    Ok(all)
}

/// What is wrong with a mount that is well written.
pub fn check(mount: &Mount) -> Result<()> {
    let kind = &mount.kind;
    let invalid = |why: &str| {
        Err(Error::invalid(format!(
            "invalid mount config for type \"{kind}\": {why}"
        )))
    };
    match kind.as_str() {
        "bind" | "tmpfs" => {}
        "volume" | "image" => {
            return Err(Error::unsupported(format!(
                "--mount type={kind} is not supported yet (target {})",
                mount.target
            ))
            .hint("type=bind and type=tmpfs are"));
        }
        _ => return invalid("mount type unknown"),
    }
    if !mount.target.starts_with('/') {
        return invalid(&format!(
            "invalid mount path: '{}' mount path must be absolute",
            mount.target
        ));
    }
    if clean(&mount.target) == "/" {
        return invalid("invalid specification: destination can't be '/'");
    }
    if kind == "tmpfs" {
        return if mount.source.is_empty() {
            Ok(())
        } else {
            invalid("field Source must not be specified")
        };
    }
    if mount.source.is_empty() {
        return invalid("field Source must not be empty");
    }
    if !mount.source.starts_with('/') {
        return invalid(&format!(
            "invalid mount path: '{}' mount path must be absolute",
            mount.source
        ));
    }
    let options = mount.bind_options.as_ref();
    if let Some(word) = options
        .map(|o| &o.propagation)
        .filter(|p| !p.is_empty() && !is_propagation(p))
    {
        return invalid(&format!("invalid propagation mode: {word}"));
    }
    let makes_source = options.is_some_and(|o| o.create_mountpoint);
    if !makes_source && !std::path::Path::new(&mount.source).exists() {
        return invalid(&format!(
            "bind source path does not exist: {}",
            mount.source
        ));
    }
    Ok(())
}

/// `--tmpfs TARGET[:OPTIONS]`.
pub fn tmpfs(text: &str) -> Result<(String, String)> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    if !target.starts_with('/') {
        return Err(Error::invalid(format!(
            "invalid mount config for type \"tmpfs\": invalid mount path: '{target}' mount path must be absolute"
        )));
    }
    Ok((target.to_string(), options.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_and_tmpfs() {
        let bind = parse("type=bind,src=/s,dst=/d,ro,bind-propagation=rslave").unwrap();
        assert_eq!(
            (
                bind.kind.as_str(),
                bind.source.as_str(),
                bind.target.as_str()
            ),
            ("bind", "/s", "/d")
        );
        assert!(bind.read_only);
        assert_eq!(bind.bind_options.unwrap().propagation, "rslave");
        let tmpfs = parse("type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=700").unwrap();
        let options = tmpfs.tmpfs_options.unwrap();
        assert_eq!((options.size_bytes, options.mode), (1 << 20, 0o700));
        let quoted = parse("type=bind,\"src=/a,b\",dst=/d").unwrap();
        assert_eq!(quoted.source, "/a,b");
    }

    #[test]
    fn what_cannot_be_read() {
        for (text, want) in [
            ("foo", "invalid field 'foo' must be a key=value pair"),
            ("type=bind", "target is required"),
            (
                "type=bind,src=/a,dst=/x,ro=maybe",
                "invalid value for ro: maybe",
            ),
            (
                "type=bind,src=/a,dst=/x,foo=1",
                "unexpected key 'foo' in 'foo=1'",
            ),
            (
                "type=bind,src=/a,dst=/x,tmpfs-size=1",
                "cannot mix 'tmpfs-*' options with mount type 'bind'",
            ),
            (
                "type=tmpfs,dst=/x,bind-propagation=rslave",
                "cannot mix 'bind-*' options with mount type 'tmpfs'",
            ),
            (
                "type=tmpfs,dst=/x,tmpfs-mode=9",
                "invalid value for tmpfs-mode: 9",
            ),
            (
                "type=tmpfs,dst=/x,tmpfs-size=-1",
                "invalid value for tmpfs-size: -1",
            ),
            (
                "type=volume,dst=/x,volume-driver=d",
                "--mount option 'volume-driver' is not supported",
            ),
            ("\"a", "missing \" at the end of a quoted field"),
            ("a\"b", "bare \" in non-quoted field"),
        ] {
            assert_eq!(parse(text).unwrap_err().message(), want, "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense() {
        for (text, want) in [
            (
                "type=foo,dst=/x",
                "invalid mount config for type \"foo\": mount type unknown",
            ),
            (
                "type=bind,dst=/x",
                "invalid mount config for type \"bind\": field Source must not be empty",
            ),
            (
                "type=bind,src=/nope-nope,dst=/x",
                "invalid mount config for type \"bind\": bind source path does not exist: /nope-nope",
            ),
            (
                "type=bind,src=/,dst=x",
                "invalid mount config for type \"bind\": invalid mount path: 'x' mount path must be absolute",
            ),
            (
                "type=tmpfs,src=/a,dst=/x",
                "invalid mount config for type \"tmpfs\": field Source must not be specified",
            ),
            (
                "src=data,dst=/x",
                "--mount type=volume is not supported yet (target /x)",
            ),
        ] {
            assert_eq!(
                check(&parse(text).unwrap()).unwrap_err().message(),
                want,
                "{text}"
            );
        }
        assert!(check(&parse("type=bind,src=/,dst=/x").unwrap()).is_ok());
    }
}
