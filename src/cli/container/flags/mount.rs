//! `--mount`: comma-separated `key=value` fields; `--tmpfs`.

use crate::container::mounts::request::is_propagation;
use crate::error::{Error, Result};
use crate::record::mount::{BindOptions, ImageOptions, Mount, TmpfsOptions, VolumeOptions};
use crate::text::path::absolute;
use crate::text::size;

/// Reads one `--mount`.
pub fn parse(text: &str) -> Result<Mount> {
    let mut mount = Mount {
        kind: "volume".into(),
        ..Mount::default()
    };
    let mut bind = BindOptions::default();
    let mut volume = VolumeOptions::default();
    let mut image = ImageOptions::default();
    let mut tmpfs = TmpfsOptions::default();
    let mut groups: Vec<&'static str> = Vec::new();
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_ascii_lowercase(), Some(value)),
            None => (field.to_ascii_lowercase(), None),
        };
        let switch = matches!(
            key.as_str(),
            "readonly" | "ro" | "bind-nonrecursive" | "bind-create-src" | "volume-nocopy"
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
            "consistency" => mount.consistency = value.to_ascii_lowercase(),
            _ if key.starts_with("bind-") => {
                groups.push("bind");
                bind_option(&mut bind, &key, value, &field)?;
            }
            _ if key.starts_with("volume-") => {
                groups.push("volume");
                volume_option(&mut volume, &key, value, &field)?;
            }
            "image-subpath" => {
                groups.push("image");
                image.subpath = value.into();
            }
            _ if key.starts_with("tmpfs-") => {
                groups.push("tmpfs");
                tmpfs_option(&mut tmpfs, &key, value, &field)?;
            }
            _ => return Err(unexpected(&key, &field)),
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
    check_recursion(&bind, mount.read_only)?;
    mount.bind_options = groups.contains(&"bind").then_some(bind);
    mount.volume_options = groups.contains(&"volume").then_some(volume);
    mount.image_options = groups.contains(&"image").then_some(image);
    mount.tmpfs_options = groups.contains(&"tmpfs").then_some(tmpfs);
    Ok(mount)
}

fn unexpected(key: &str, field: &str) -> Error {
    Error::usage(format!("unexpected key '{key}' in '{field}'"))
}

/// What `bind-recursive` says of a read-only bind.
fn check_recursion(bind: &BindOptions, read_only: bool) -> Result<()> {
    let needs = |word: &str, what: &str| {
        Err(Error::usage(format!(
            "option 'bind-recursive={word}' requires '{what}' to be specified in conjunction"
        )))
    };
    match (bind.read_only_non_recursive, bind.read_only_force_recursive) {
        (true, _) if !read_only => needs("writable", "readonly"),
        (_, true) if !read_only => needs("readonly", "readonly"),
        (_, true) if bind.propagation != "rprivate" => {
            needs("readonly", "bind-propagation=rprivate")
        }
        _ => Ok(()),
    }
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
    Ok(absolute(&cwd.join(value).to_string_lossy()))
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
            // Read-only is so all the way down.
            "enabled" => {}
            "disabled" => bind.non_recursive = true,
            "writable" => bind.read_only_non_recursive = true,
            "readonly" => bind.read_only_force_recursive = true,
            _ => {
                return Err(Error::usage(format!(
                    "invalid value for {key}: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                )));
            }
        },
        _ => return Err(unexpected(key, field)),
    }
    Ok(())
}

fn volume_option(volume: &mut VolumeOptions, key: &str, value: &str, field: &str) -> Result<()> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_string(), value.to_string())
    };
    match key {
        "volume-nocopy" => volume.no_copy = truth(key, value)?,
        "volume-subpath" => volume.subpath = value.into(),
        "volume-label" => volume.labels.extend([pair(value)]),
        "volume-driver" => volume.driver_config.get_or_insert_default().name = value.into(),
        "volume-opt" => {
            let driver = volume.driver_config.get_or_insert_default();
            driver.options.extend([pair(value)]);
        }
        _ => return Err(unexpected(key, field)),
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
        _ => return Err(unexpected(key, field)),
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

/// What is wrong with a mount that is well written (moby, validate.go).
pub fn check(mount: &Mount) -> Result<()> {
    let kind = &mount.kind;
    let invalid = |why: &str| {
        Err(Error::invalid(format!(
            "invalid mount config for type \"{kind}\": {why}"
        )))
    };
    if !matches!(kind.as_str(), "bind" | "volume" | "tmpfs" | "image") {
        return invalid("mount type unknown");
    }
    if !mount.target.starts_with('/') {
        return invalid(&format!(
            "invalid mount path: '{}' mount path must be absolute",
            mount.target
        ));
    }
    if absolute(&mount.target) == "/" {
        return invalid("invalid specification: destination can't be '/'");
    }
    match (kind.as_str(), mount.source.as_str()) {
        ("tmpfs", "") => Ok(()),
        ("tmpfs", _) => invalid("field Source must not be specified"),
        ("bind" | "image", "") => invalid("field Source must not be empty"),
        ("bind", _) => check_bind(mount).or_else(|why| invalid(&why)),
        (_, source) => check_part(mount, source).or_else(|why| invalid(&why)),
    }
}

fn check_bind(mount: &Mount) -> std::result::Result<(), String> {
    if !mount.source.starts_with('/') {
        return Err(format!(
            "invalid mount path: '{}' mount path must be absolute",
            mount.source
        ));
    }
    let options = mount.bind_options.as_ref();
    if let Some(word) = options
        .map(|o| &o.propagation)
        .filter(|p| !p.is_empty() && !is_propagation(p))
    {
        return Err(format!("invalid propagation mode: {word}"));
    }
    let makes_source = options.is_some_and(|o| o.create_mountpoint);
    if !makes_source && !std::path::Path::new(&mount.source).exists() {
        return Err(format!("bind source path does not exist: {}", mount.source));
    }
    Ok(())
}

/// Of a volume or an image.
fn check_part(mount: &Mount, source: &str) -> std::result::Result<(), String> {
    let of_volume = mount.volume_options.as_ref().map(|o| o.subpath.as_str());
    let of_image = mount.image_options.as_ref().map(|o| o.subpath.as_str());
    let subpath = of_volume.or(of_image).unwrap_or_default();
    if source.is_empty() {
        if !subpath.is_empty() {
            return Err("must not set Subpath when using anonymous volumes".into());
        }
        if mount.read_only {
            return Err("must not set ReadOnly mode when using anonymous volumes".into());
        }
    }
    let leads_out = || {
        let mut depth = 0_i32;
        subpath.split('/').any(|part| {
            depth += match part {
                "" | "." => 0,
                ".." => -1,
                _ => 1,
            };
            depth < 0
        })
    };
    if subpath.starts_with('/') || leads_out() {
        return Err("subpath must be a relative path within the volume".into());
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
    fn volumes_and_images() {
        let volume = parse("src=data,dst=/x,volume-nocopy,volume-label=a=b,volume-opt=o=ro,volume-opt=type=tmpfs,volume-subpath=s").unwrap();
        let options = volume.volume_options.unwrap();
        assert!(options.no_copy && options.subpath == "s" && options.labels["a"] == "b");
        let driver = options.driver_config.unwrap();
        assert_eq!(
            (&*driver.options["o"], &*driver.options["type"]),
            ("ro", "tmpfs")
        );
        let image = parse("type=image,src=busybox,dst=/x,image-subpath=etc").unwrap();
        assert_eq!(image.image_options.unwrap().subpath, "etc");
        let bind =
            parse("type=bind,src=/,dst=/x,ro,bind-recursive=readonly,bind-propagation=rprivate")
                .unwrap();
        assert!(bind.bind_options.unwrap().read_only_force_recursive);
        for good in ["dst=/x", "src=data,dst=/x,ro,volume-subpath=a/../b"] {
            check(&parse(good).unwrap()).unwrap();
        }
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
                "type=bind,src=/,dst=/x,bind-recursive=readonly,ro",
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction",
            ),
            (
                "type=bind,src=/,dst=/x,bind-recursive=writable",
                "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
            ),
            (
                "type=bind,src=/,dst=/x,bind-recursive=some",
                "invalid value for bind-recursive: some (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")",
            ),
            (
                "type=volume,dst=/x,image-subpath=d",
                "cannot mix 'image-*' options with mount type 'volume'",
            ),
            (
                "type=volume,dst=/x,volume-foo=d",
                "unexpected key 'volume-foo' in 'volume-foo=d'",
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
                "dst=/x,volume-subpath=a",
                "invalid mount config for type \"volume\": must not set Subpath when using anonymous volumes",
            ),
            (
                "dst=/x,ro",
                "invalid mount config for type \"volume\": must not set ReadOnly mode when using anonymous volumes",
            ),
            (
                "src=data,dst=/x,volume-subpath=a/../../b",
                "invalid mount config for type \"volume\": subpath must be a relative path within the volume",
            ),
            (
                "type=image,src=i,dst=/x,image-subpath=/etc",
                "invalid mount config for type \"image\": subpath must be a relative path within the volume",
            ),
            (
                "type=image,dst=/x",
                "invalid mount config for type \"image\": field Source must not be empty",
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
