//! `wherry inspect`, `container inspect`, `image inspect`.

use crate::cli::volume::inspect as volume;
use crate::cli::{Front, Verb, report, stdout};
use crate::container::network::operate;
use crate::container::{images, inspect};
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::image::Platform;
use crate::output::template::Template;
use serde::Serialize;
use serde_json::Value;

#[derive(clap::Args)]
pub struct InspectArgs {
    /// Format output using a custom template: 'json', or a Go template
    #[arg(short, long)]
    format: Option<String>,
    /// Display total file sizes if the type is container
    #[arg(short, long)]
    size: bool,
    /// Only inspect objects of the given type
    #[arg(long = "type")]
    kind: Option<String>,
    #[arg(required = true)]
    names: Vec<String>,
}

#[derive(clap::Args)]
pub struct ContainerInspectArgs {
    /// Format output using a custom template: 'json', or a Go template
    #[arg(short, long)]
    format: Option<String>,
    /// Display total file sizes
    #[arg(short, long)]
    size: bool,
    #[arg(required = true)]
    names: Vec<String>,
}

#[derive(clap::Args)]
pub struct ImageInspectArgs {
    /// Format output using a custom template: 'json', or a Go template
    #[arg(short, long)]
    format: Option<String>,
    /// Inspect the given platform only (as "os[/arch[/variant]]")
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    #[arg(required = true)]
    names: Vec<String>,
}

#[derive(clap::Args)]
pub struct NetworkInspectArgs {
    /// Format output using a custom template: 'json', or a Go template
    #[arg(short, long)]
    format: Option<String>,
    /// Verbose output for diagnostics
    // About the tasks of a swarm, of which there is none.
    #[arg(short, long)]
    verbose: bool,
    #[arg(required = true)]
    names: Vec<String>,
}

impl Verb for NetworkInspectArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let find = |engine: &Engine, name: &str| operate::inspect(engine, name);
        show(front, &self.names, self.format.as_deref(), &find)
    }
}

impl Verb for InspectArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let find: &Find<'_> = match self.kind.as_deref().unwrap_or_default() {
            "" => &|engine, name| any(engine, name, self.size, front),
            "container" => &|engine, name| inspect::inspect(engine, name, self.size),
            "image" => &|engine, name| image(engine, name, self.size, front),
            "network" => &|engine, name| operate::inspect(engine, name),
            "volume" => &volume::find,
            kind @ ("plugin" | "config" | "node" | "secret" | "service" | "task") => {
                return Err(
                    Error::unsupported(format!("--type {kind} is not supported"))
                        .hint("there are containers, images, networks and volumes"),
                );
            }
            kind => {
                return Err(Error::invalid(format!("unknown type: \"{kind}\""))
                    .hint("there are containers, images, networks and volumes"));
            }
        };
        show(front, &self.names, self.format.as_deref(), find)
    }
}

impl Verb for ContainerInspectArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let find = |engine: &Engine, name: &str| inspect::inspect(engine, name, self.size);
        show(front, &self.names, self.format.as_deref(), &find)
    }
}

impl Verb for ImageInspectArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let find = |engine: &Engine, name: &str| {
            let found = images::find(engine, name, self.platform.as_slice())?;
            engine.store()?.inspect(&found)
        };
        show(front, &self.names, self.format.as_deref(), &find)
    }
}

fn image(engine: &Engine, name: &str, size: bool, front: &Front) -> Result<Value> {
    let store = engine.store()?;
    let document = store.inspect(&store.resolve(name)?)?;
    if size {
        front.warn("--size ignored for image");
    }
    Ok(document)
}

/// A container, else an image, else a network, else a volume.
fn any(engine: &Engine, name: &str, size: bool, front: &Front) -> Result<Value> {
    let missing = |e: &Error| e.kind() == Kind::NotFound || e.kind() == Kind::Invalid;
    match inspect::inspect(engine, name, size) {
        Err(e) if e.kind() == Kind::NotFound => {}
        found => return found,
    }
    match image(engine, name, size, front) {
        Err(e) if missing(&e) => {}
        found => return found,
    }
    match operate::inspect(engine, name) {
        Err(e) if missing(&e) => {}
        found => return found,
    }
    match volume::find(engine, name) {
        Err(e) if e.kind() == Kind::NotFound => {
            Err(Error::not_found(format!("No such object: {name}")))
        }
        found => found,
    }
}

pub type Find<'a> = dyn Fn(&Engine, &str) -> Result<Value> + 'a;

/// What is found goes to standard output, what is not to standard error; then
/// the status is 1.
pub fn show(front: &Front, names: &[String], format: Option<&str>, find: &Find<'_>) -> Result<u8> {
    let format = format.unwrap_or_default();
    let template = match format {
        "" | "json" => None,
        text => Some(Template::parse(text).map_err(|e| e.within("template parsing error"))?),
    };
    let engine = Engine::open()?;
    let mut failed: Vec<Error> = Vec::new();
    let mut found = Vec::new();
    for name in names {
        match find(&engine, name) {
            Ok(document) => found.push(document),
            Err(e) => failed.push(e),
        }
    }
    let text = match template {
        None if format == "json" => format!("{}\n", Value::Array(found)),
        None => pretty(&found)?,
        Some(template) => {
            let (text, error) = rendered(&template, &found);
            failed.extend(error);
            text
        }
    };
    stdout::print(&text)?;
    let worst = failed.iter().map(|e| report::show(e, front)).max();
    Ok(worst.unwrap_or(0))
}

/// The document with what it leaves out.
fn completed(mut document: Value) -> Value {
    for (place, key, empty) in LEFT_OUT {
        let object = document.pointer_mut(place).and_then(Value::as_object_mut);
        if let Some(object) = object.filter(|o| !o.contains_key(*key)) {
            let value = match empty {
                Empty::Null => Value::Null,
                Empty::Text => Value::from(""),
                Empty::Truth => Value::from(false),
            };
            object.insert((*key).to_string(), value);
        }
    }
    document
}

/// How a field looks to a template when it is left out.
#[derive(Clone, Copy)]
enum Empty {
    Null,
    Text,
    Truth,
}

/// What a document leaves out when it is empty, and a template may ask for
/// all the same (`{{if .State.Health}}`).
const LEFT_OUT: &[(&str, &str, Empty)] = &[
    ("/State", "Health", Empty::Null),
    ("/Config", "ExposedPorts", Empty::Null),
    ("/Config", "Healthcheck", Empty::Null),
    ("/Config", "MacAddress", Empty::Text),
    ("/Config", "NetworkDisabled", Empty::Truth),
    ("/Config", "OnBuild", Empty::Null),
    ("/Config", "Shell", Empty::Null),
    ("/Config", "StopSignal", Empty::Text),
    ("/Config", "StopTimeout", Empty::Null),
    ("/HostConfig", "Annotations", Empty::Null),
    ("/HostConfig", "Init", Empty::Null),
    ("/HostConfig", "Mounts", Empty::Null),
    ("/HostConfig", "StorageOpt", Empty::Null),
    ("/HostConfig", "Sysctls", Empty::Null),
    ("/HostConfig", "Tmpfs", Empty::Null),
];

/// One line per object; an error ends the list. An empty line stands for no
/// object at all.
fn rendered(template: &Template, found: &[Value]) -> (String, Option<Error>) {
    let mut text = String::new();
    let mut error = None;
    for document in found {
        let document = completed(document.clone());
        match template.render(&document) {
            Ok(line) => text.push_str(&format!("{line}\n")),
            Err(e) => {
                error = Some(e.within("template parsing error"));
                break;
            }
        }
    }
    if text.is_empty() {
        text.push('\n');
    }
    (text, error)
}

/// A JSON array with four spaces per level.
fn pretty(found: &[Value]) -> Result<String> {
    let mut bytes = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, indent);
    found
        .serialize(&mut serializer)
        .context(|| "cannot write JSON")?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
