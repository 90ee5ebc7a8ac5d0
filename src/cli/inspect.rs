//! `wherry inspect`, `container inspect`, `image inspect`.

use crate::cli::{Front, Verb, report, stdout};
use crate::container::inspect;
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::output::template::Template;
use serde::Serialize;
use serde_json::Value;

#[derive(clap::Args)]
pub struct InspectArgs {
    /// Format output using a custom template: 'json', or a Go template
    #[arg(short, long)]
    format: Option<String>,
    /// Refused until the size of a container's files can be told
    #[arg(short, long, hide = true)]
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
    /// Refused until the size of a container's files can be told
    #[arg(short, long, hide = true)]
    size: bool,
    #[arg(required = true)]
    names: Vec<String>,
}

#[derive(clap::Args)]
pub struct ImageInspectArgs {
    /// Format output using a custom template: 'json', or a Go template
    #[arg(short, long)]
    format: Option<String>,
    #[arg(required = true)]
    names: Vec<String>,
}

impl Verb for InspectArgs {
    fn run(self, front: &Front) -> Result<u8> {
        refuse_size(self.size)?;
        let find = match self.kind.as_deref().unwrap_or_default() {
            "" => any,
            "container" => inspect::inspect,
            "image" => image,
            kind @ ("network" | "volume" | "plugin" | "config" | "node" | "secret" | "service"
            | "task") => {
                return Err(
                    Error::unsupported(format!("--type {kind} is not supported"))
                        .hint("there are containers and images"),
                );
            }
            kind => {
                return Err(
                    Error::invalid(format!("\"{kind}\" is not a valid value for --type"))
                        .hint("valid values are container and image"),
                );
            }
        };
        show(front, &self.names, self.format.as_deref(), find)
    }
}

impl Verb for ContainerInspectArgs {
    fn run(self, front: &Front) -> Result<u8> {
        refuse_size(self.size)?;
        show(front, &self.names, self.format.as_deref(), inspect::inspect)
    }
}

impl Verb for ImageInspectArgs {
    fn run(self, front: &Front) -> Result<u8> {
        show(front, &self.names, self.format.as_deref(), image)
    }
}

fn refuse_size(asked: bool) -> Result<()> {
    if asked {
        return Err(Error::unsupported("--size is not supported yet"));
    }
    Ok(())
}

fn image(engine: &Engine, name: &str) -> Result<Value> {
    let store = engine.store()?;
    store.inspect(&store.resolve(name)?)
}

/// A container, else an image.
fn any(engine: &Engine, name: &str) -> Result<Value> {
    let missing = |e: &Error| e.kind() == Kind::NotFound || e.kind() == Kind::Invalid;
    match inspect::inspect(engine, name) {
        Err(e) if e.kind() == Kind::NotFound => {}
        found => return found,
    }
    match image(engine, name) {
        Err(e) if missing(&e) => Err(Error::not_found(format!("No such object: {name}"))),
        found => found,
    }
}

type Find = fn(&Engine, &str) -> Result<Value>;

/// What is found goes to standard output, what is not to standard error; then
/// the status is 1.
fn show(front: &Front, names: &[String], format: Option<&str>, find: Find) -> Result<u8> {
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

/// One line per object; an error ends the list. An empty line stands for no
/// object at all.
fn rendered(template: &Template, found: &[Value]) -> (String, Option<Error>) {
    let mut text = String::new();
    let mut error = None;
    for document in found {
        match template.render(document) {
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
