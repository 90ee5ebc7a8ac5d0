//! Where a container's output goes: `--log-driver` and `--log-opt`.

use crate::error::{Error, Result};
use crate::logs::journal::SOCKET;
use crate::logs::{Driver, Journal, Options, Target};
use crate::output::template::Template;
use crate::record::container::Container;
use crate::text::id;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Refuses what the driver cannot do, and a tag that cannot be read.
pub fn check(container: &Container) -> Result<()> {
    let options = options(container)?;
    tag(&options.tag, container, "").map(drop)
}

fn options(container: &Container) -> Result<Options> {
    let log = &container.host_config.log_config;
    Options::parse(&log.driver, &log.config)
}

/// `None`: nowhere. `name` is the container's.
pub fn target(container: &Container, name: &str) -> Result<Option<Target>> {
    let options = options(container)?;
    let config = &container.config;
    let mut attributes = options.attributes(&config.labels, &config.env);
    match options.driver {
        Driver::None => Ok(None),
        Driver::Files => {
            if !options.tag.is_empty() {
                attributes.insert("tag".into(), tag(&options.tag, container, name)?);
            }
            Ok(Some(Target::Files {
                caps: options.caps,
                attrs: in_record(&attributes),
            }))
        }
        Driver::Journald => {
            let given = match options.tag.as_str() {
                "" => "{{.ID}}",
                given => given,
            };
            let tag = tag(given, container, name)?;
            for (field, value) in [
                ("CONTAINER_ID", id::short(&container.id)),
                ("CONTAINER_ID_FULL", container.id.as_str()),
                ("CONTAINER_NAME", name),
                ("CONTAINER_TAG", tag.as_str()),
                ("IMAGE_NAME", config.image.as_str()),
                ("SYSLOG_IDENTIFIER", tag.as_str()),
            ] {
                attributes.insert(field.into(), value.into());
            }
            Journal::open(Path::new(SOCKET), &attributes, options.buffer)
                .map(|journal| Some(Target::Journal(journal)))
        }
    }
}

/// As it stands in each record.
fn in_record(attributes: &BTreeMap<String, String>) -> String {
    if attributes.is_empty() {
        return String::new();
    }
    format!(",\"attrs\":{}", json!(attributes))
}

/// Docker's template for it, with what it knows of the container.
fn tag(template: &str, container: &Container, name: &str) -> Result<String> {
    if template.is_empty() {
        return Ok(String::new());
    }
    let image = container.image.as_str();
    let hex = image.split_once(':').map_or(image, |(_, hex)| hex);
    let command: Vec<&str> = std::iter::once(&container.path)
        .chain(&container.args)
        .map(String::as_str)
        .collect();
    let info: Value = json!({
        "ID": id::short(&container.id),
        "FullID": container.id,
        "Name": name,
        "ImageID": id::short(hex),
        "ImageFullID": image,
        "ImageName": container.config.image,
        "Command": command.join(" "),
        "ContainerID": container.id,
        "ContainerName": format!("/{name}"),
        "ContainerImageID": image,
        "ContainerImageName": container.config.image,
        "DaemonName": "wherry",
    });
    let invalid = |e: Error| Error::invalid(format!("invalid log opt 'tag': {}", e.message()));
    Template::parse(template)
        .and_then(|template| template.render(&info))
        .map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let container = Container {
            id: "0123456789abcdef".repeat(4),
            path: "sh".into(),
            args: vec!["-c".into()],
            image: format!("sha256:{}", "f".repeat(64)),
            ..Container::default()
        };
        for (template, want) in [
            ("", ""),
            ("{{.ID}}", "0123456789ab"),
            ("{{.Name}}/{{.Command}}", "box/sh -c"),
            ("{{.ImageID}} {{.ContainerName}}", "ffffffffffff /box"),
        ] {
            assert_eq!(tag(template, &container, "box").unwrap(), want);
        }
        let error = tag("{{.Nothing}}", &container, "box").unwrap_err();
        assert!(
            error.message().starts_with("invalid log opt 'tag': "),
            "{error}"
        );
    }

    #[test]
    fn attributes_are_json() {
        assert_eq!(in_record(&BTreeMap::new()), "");
        let one = [("a\"".to_string(), "b".to_string())].into();
        assert_eq!(in_record(&one), r#","attrs":{"a\"":"b"}"#);
    }
}
