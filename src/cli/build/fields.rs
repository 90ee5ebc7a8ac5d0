//! `--secret`, `--ssh`, `--output`, `--build-context`: values of several fields.

use crate::build::exec::{Secret, add};
use crate::cli::annotation::Annotation;
use crate::error::{Error, Result};
use crate::image::{Digest, Platform};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `key=value,key=value`; a field without `=` has no value.
pub fn fields(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(',').map(|field| match field.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value)),
        None => (field.trim(), None),
    })
}

/// `id=ID[,src=FILE|,env=VARIABLE][,type=file|env]`. `variable` asks for one of
/// the caller's.
pub fn secret(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<(String, Secret)> {
    let (mut id, mut source, mut env, mut kind) = (None, None, None, None);
    for (key, value) in fields(text) {
        let value = value.ok_or_else(|| {
            Error::usage(format!("invalid field '{key}' must be a key=value pair"))
        })?;
        match key {
            "id" => id = Some(value.to_string()),
            "source" | "src" => source = Some(value),
            "env" => env = Some(value),
            "type" if matches!(value, "file" | "env") => kind = Some(value),
            "type" => return Err(Error::usage(format!("unsupported secret type {value:?}"))),
            _ => return Err(Error::usage(format!("unexpected key '{key}' in '{text}'"))),
        }
    }
    // `type=env,src=NAME` is the old spelling.
    if kind == Some("env") && env.is_none() {
        env = source.take();
    }
    let id = id
        .or_else(|| env.map(str::to_string))
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Error::usage(format!("invalid secret '{text}': an id is required")))?;
    if let Some(path) = source {
        let path = PathBuf::from(path);
        check_file(&path, &id)?;
        return Ok((id, Secret::File(path)));
    }
    let name = env.unwrap_or(&id);
    if let Some(value) = variable(name) {
        return Ok((id, Secret::Variable(value)));
    }
    if env.is_some() {
        return Err(Error::not_found(format!(
            "secret {id}: the variable {name} is not set"
        )));
    }
    let path = PathBuf::from(&id);
    check_file(&path, &id)?;
    Ok((id, Secret::File(path)))
}

fn check_file(path: &Path, id: &str) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => Ok(()),
        Ok(_) => Err(Error::invalid(format!(
            "secret {id}: \"{}\" is not a file",
            path.display()
        ))),
        Err(e) => Err(Error::not_found(format!(
            "secret {id}: failed to stat {}: {}",
            path.display(),
            crate::error::reason(&e)
        ))),
    }
}

/// `default`, `ID`, `ID=SOCKET`.
pub fn agent(text: &str, own: Option<String>) -> Result<(String, PathBuf)> {
    use std::os::unix::fs::FileTypeExt;
    let (id, path) = match text.split_once('=') {
        Some((id, path)) => (id, PathBuf::from(path)),
        None => {
            let own = own.filter(|path| !path.is_empty()).ok_or_else(|| {
                Error::not_found(format!(
                    "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set ({text})"
                ))
            })?;
            (text, PathBuf::from(own))
        }
    };
    match std::fs::metadata(&path) {
        Ok(meta) if meta.file_type().is_socket() => Ok((id.to_string(), path)),
        Ok(_) => Err(Error::unsupported(format!(
            "--ssh {text}: \"{}\" is not the socket of an agent",
            path.display()
        ))
        .hint("keys in files are not supported: add them to an agent by ssh-add")),
        Err(e) => Err(Error::not_found(format!(
            "--ssh {text}: {}: {}",
            path.display(),
            crate::error::reason(&e)
        ))),
    }
}

/// Where the result goes besides the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Into the store; and from there to its registry.
    Image { name: Option<String>, push: bool },
    /// An archive of the image, for `load` and for readers of OCI layouts; `-`
    /// is standard output. It does not come into the store.
    Archive { name: Option<String>, to: PathBuf },
    /// The same, not packed: an OCI layout.
    Layout { name: Option<String>, to: PathBuf },
    /// Nowhere: the steps are in the cache.
    Nothing,
    /// The files, into a directory.
    Local(PathBuf),
    /// The files, as an archive; `-` is standard output.
    Tar(PathBuf),
}

/// `type=local,dest=DIR`, or a directory, or `-` for an archive.
pub fn output(text: &str) -> Result<Output> {
    if !text.contains('=') {
        return Ok(match text {
            "-" => Output::Tar("-".into()),
            dir => Output::Local(dir.into()),
        });
    }
    let (mut kind, mut dest, mut name, mut push) = (None, None, None, None);
    let mut packed = true;
    for (key, value) in fields(text) {
        match (key, value) {
            ("type", Some(value)) => kind = Some(value),
            ("dest", Some(value)) => dest = Some(value),
            ("name", Some(value)) => name = Some(value.to_string()),
            ("tar", Some("true")) => packed = true,
            ("tar", Some("false")) => packed = false,
            ("push", Some("true")) => push = Some(true),
            ("push", Some("false")) => push = Some(false),
            // It is so in any case; the first with SOURCE_DATE_EPOCH.
            ("rewrite-timestamp" | "oci-mediatypes" | "platform-split", Some("true"))
            | ("compression", Some("gzip")) => {}
            (key, _) => return Err(refused(&format!("--output {key}"))),
        }
    }
    let registry = matches!(kind, Some("image" | "registry"));
    match (push, dest) {
        (Some(_), _) if !registry => return Err(refused(&format!("--output {text}: push"))),
        (_, Some(_)) if registry => return Err(refused(&format!("--output {text}: dest"))),
        _ => {}
    }
    let needed = |dest: Option<&str>| {
        let dest = dest.filter(|d| !d.is_empty()).map(PathBuf::from);
        dest.ok_or_else(|| Error::usage(format!("dest is required for --output {text}")))
    };
    match kind {
        Some("oci") if !packed => Ok(Output::Layout {
            name,
            to: needed(dest)?,
        }),
        _ if !packed => Err(refused(&format!("--output {text}: tar"))),
        Some("cacheonly") if dest.is_none() && name.is_none() => Ok(Output::Nothing),
        Some("local") => Ok(Output::Local(needed(dest)?)),
        Some("tar") => Ok(Output::Tar(needed(dest)?)),
        Some("image") => Ok(Output::Image {
            name,
            push: push.unwrap_or(false),
        }),
        Some("registry") => Ok(Output::Image {
            name,
            push: push.unwrap_or(true),
        }),
        Some("docker") if dest.is_none() => Ok(Output::Image { name, push: false }),
        Some("docker" | "oci") => Ok(Output::Archive {
            name,
            to: dest.filter(|dest| !dest.is_empty()).unwrap_or("-").into(),
        }),
        Some(kind) => Err(Error::usage(format!("unknown output type {kind:?}"))),
        None => Err(Error::usage(format!("type is required for output: {text}"))),
    }
}

/// `--annotation`.
pub fn annotation(text: &str) -> Result<Annotation> {
    let annotation = Annotation::parse(text)?;
    for kind in annotation.kinds() {
        match kind {
            "manifest" | "manifest-descriptor" | "index" => {}
            "index-descriptor" => return Err(refused("--annotation index-descriptor")),
            kind => return Err(Error::usage(format!("unknown annotation type {kind:?}"))),
        }
    }
    Ok(annotation)
}

/// Those of this kind for this platform; the last one of a key counts.
pub fn annotations(
    all: &[Annotation],
    kind: &str,
    platform: &Platform,
) -> BTreeMap<String, String> {
    let its = all
        .iter()
        .filter(|one| one.is_for(Some(platform)) && one.kinds().any(|other| other == kind));
    its.map(|one| (one.key.clone(), one.value.clone()))
        .collect()
}

/// `type=KIND[,disabled=true]` of `--attest`: whether it asks for one.
pub fn attests(text: &str) -> bool {
    !fields(text).any(|field| matches!(field, ("disabled", None | Some("true" | "1"))))
}

/// An option that is known and does not work.
pub fn refused(option: &str) -> Error {
    Error::unsupported(format!("{option} is not supported"))
}

/// `NAME=VALUE` of `--build-context`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    Image(String),
    Directory(PathBuf),
    /// `URL[#REF[:DIRECTORY]]`.
    Repository(String),
    /// The URL of one.
    Archive(String),
}

/// Before the place of an OCI layout.
pub const LAYOUT: &str = "oci-layout://";

/// `PATH[:TAG][@DIGEST]`; the tag is `latest` when there is neither.
pub fn layout(text: &str) -> Result<(PathBuf, String, Option<Digest>)> {
    let (text, digest) = match text.split_once('@') {
        Some((text, digest)) => (text, Some(Digest::parse(digest)?)),
        None => (text, None),
    };
    let (path, tag) = match text.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (text, "latest"),
    };
    match path.is_empty() || tag.is_empty() {
        true => Err(Error::usage(format!("invalid OCI layout {text:?}"))
            .hint("oci-layout://PATH[:TAG][@DIGEST]")),
        false => Ok((path.into(), tag.to_owned(), digest)),
    }
}

/// Where the OCI layout is that stands for an image.
pub fn layout_of(image: &str) -> Option<PathBuf> {
    let place = image.strip_prefix(LAYOUT)?;
    layout(place).ok().map(|(dir, _, _)| dir)
}

pub fn build_context(text: &str) -> Result<(String, Named)> {
    let (name, value) = text
        .split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .ok_or_else(|| {
            Error::usage(format!("invalid context value: {text}, expected key=value"))
        })?;
    let named = match value.split_once("://") {
        Some(("docker-image", image)) => Named::Image(image.to_string()),
        _ if add::is_git(value) => Named::Repository(value.to_string()),
        _ if add::is_url(value) => Named::Archive(value.to_string()),
        Some((scheme, place)) if format!("{scheme}://") == LAYOUT => {
            layout(place)?;
            Named::Image(value.to_string())
        }
        Some((scheme, _)) => return Err(refused(&format!("--build-context {scheme}://"))),
        None if value == "-" => return Err(refused(&format!("--build-context {value}"))),
        None => Named::Directory(value.into()),
    };
    Ok((name.to_string(), named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets() {
        let variable = |name: &str| (name == "TOK").then(|| "v".to_string());
        let of = |text: &str| secret(text, &variable);
        let file = std::env::temp_dir().join(format!("wherry-secret-{}", std::process::id()));
        std::fs::write(&file, "x").unwrap();
        let shown = file.display().to_string();
        assert_eq!(
            of(&format!("id=a,src={shown}")).unwrap(),
            ("a".into(), Secret::File(file.clone()))
        );
        let value = Secret::Variable("v".into());
        for text in ["id=a,env=TOK", "id=a,type=env,src=TOK"] {
            assert_eq!(of(text).unwrap(), ("a".into(), value.clone()), "{text}");
        }
        assert_eq!(of("id=TOK").unwrap(), ("TOK".into(), value));
        for bad in [
            "",
            "id=",
            "id=a",
            "id=a,x=y",
            "id=a,env=NO",
            "type=x,id=a",
            "src=/nope",
            "id=a,src=/",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn what_is_annotated() {
        let platform = Platform::parse("linux/arm64").unwrap();
        let of = |texts: &[&str]| {
            let all: Vec<Annotation> = texts.iter().map(|t| annotation(t).unwrap()).collect();
            let found = annotations(&all, "manifest", &platform).into_iter();
            found.map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>()
        };
        assert_eq!(of(&["a=b", "manifest:c=d=e", "a=f"]), ["a=f", "c=d=e"]);
        assert_eq!(
            of(&[
                "manifest[linux/arm64]:a=1",
                "manifest[linux/amd64]:b=2",
                "c="
            ]),
            ["a=1", "c="]
        );
        assert_eq!(of(&["index:a=1", "index,manifest:b=2"]), ["b=2"]);
        for bad in [
            "a",
            "=b",
            "index-descriptor:a=b",
            "manifest,x:a=b",
            "x:a=b",
            "a b=c",
            "manifest[]:a=b",
        ] {
            assert!(annotation(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn outputs_and_contexts() {
        assert_eq!(output("out").unwrap(), Output::Local("out".into()));
        assert_eq!(output("-").unwrap(), Output::Tar("-".into()));
        assert_eq!(
            output("type=tar,dest=a.tar").unwrap(),
            Output::Tar("a.tar".into())
        );
        let image = |push| Output::Image { name: None, push };
        for (text, push) in [
            ("type=docker", false),
            ("type=image", false),
            ("type=image,push=true", true),
            ("type=registry", true),
            ("type=registry,push=false", false),
        ] {
            assert_eq!(output(text).unwrap(), image(push), "{text}");
        }
        let archive = |to: &str| Output::Archive {
            name: None,
            to: to.into(),
        };
        assert_eq!(output("type=docker,dest=x").unwrap(), archive("x"));
        assert_eq!(output("type=oci,dest=x").unwrap(), archive("x"));
        assert_eq!(output("type=oci").unwrap(), archive("-"));
        assert_eq!(output("type=cacheonly").unwrap(), Output::Nothing);
        let unpacked = Output::Layout {
            name: None,
            to: "x".into(),
        };
        assert_eq!(output("type=oci,tar=false,dest=x").unwrap(), unpacked);
        for bad in [
            "type=oci,tar=false",
            "type=docker,tar=false,dest=x",
            "type=cacheonly,dest=x",
            "type=oci,push=true",
            "type=image,dest=x",
            "type=image,push=maybe",
            "type=x",
            "dest=x",
            "type=local",
            "type=local,dest=x,platform-split=false",
        ] {
            assert!(output(bad).is_err(), "{bad}");
        }
        assert_eq!(
            build_context("a=docker-image://b:1").unwrap(),
            ("a".into(), Named::Image("b:1".into()))
        );
        assert_eq!(
            build_context("a=dir").unwrap(),
            ("a".into(), Named::Directory("dir".into()))
        );
        assert_eq!(
            build_context("a=https://h/r.git#main").unwrap(),
            ("a".into(), Named::Repository("https://h/r.git#main".into()))
        );
        assert_eq!(
            build_context("a=https://h/r.tar.gz").unwrap(),
            ("a".into(), Named::Archive("https://h/r.tar.gz".into()))
        );
        let of = |text: &str| layout(text).map(|(path, tag, _)| (path, tag)).unwrap();
        assert_eq!(of("a/b"), ("a/b".into(), "latest".into()));
        assert_eq!(of("a:b/c:1"), ("a:b/c".into(), "1".into()));
        let digest = Digest::of(b"x");
        let found = layout(&format!("/d:1@{digest}")).unwrap();
        assert_eq!(found, ("/d".into(), "1".into(), Some(digest)));
        for bad in [
            "a",
            "=x",
            "a=oci-layout://",
            "a=oci-layout://x@y",
            "a=s://x",
            "a=-",
            "a=",
        ] {
            assert!(build_context(bad).is_err(), "{bad}");
        }
    }
}
