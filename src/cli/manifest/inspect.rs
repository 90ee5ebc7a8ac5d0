//! `wherry manifest inspect`.

use super::client;
use crate::cli::{Front, Verb, stdout};
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::image::{Document, Reference};
use crate::transfer::manifests::{self, Entry, Lists};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct InspectArgs {
    /// Allow communication with an insecure registry
    #[arg(long)]
    insecure: bool,
    /// Output additional info including layers and platform
    #[arg(short, long)]
    verbose: bool,
    /// `[MANIFEST_LIST] MANIFEST`
    #[arg(required = true, num_args = 1..=2, value_name = "MANIFEST")]
    names: Vec<String>,
}

impl Verb for InspectArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let lists = Lists::new(&Engine::open()?.paths);
        let names: Vec<Reference> = self
            .names
            .iter()
            .map(|name| Reference::parse(name))
            .collect::<Result<_>>()?;
        let document = match &names[..] {
            [list, image] => {
                let list = lists.find(list)?;
                let entry = list.entries.iter().find(|e| e.reference == *image);
                let entry = entry.ok_or_else(|| {
                    Error::not_found(format!("No such manifest: {}", image.familiar()))
                })?;
                self.of_entry(entry)?
            }
            [name] => match lists.find(name) {
                Ok(list) if self.verbose => {
                    let all: Result<Vec<Value>> = list.entries.iter().map(verbose).collect();
                    Value::Array(all?)
                }
                Ok(list) => list.document().0,
                Err(e) if e.kind() == Kind::NotFound => self.of_registry(front, name)?,
                Err(e) => return Err(e),
            },
            _ => return Err(Error::invalid("one or two names are needed")),
        };
        stdout::print(&pretty(&document)?)?;
        Ok(0)
    }
}

impl InspectArgs {
    fn of_entry(&self, entry: &Entry) -> Result<Value> {
        match self.verbose {
            true => verbose(entry),
            false => parsed(entry.manifest.as_bytes()),
        }
    }

    fn of_registry(&self, front: &Front, name: &Reference) -> Result<Value> {
        let client = client(front, name, self.insecure)?;
        let (fetched, document) = manifests::fetch(&client)?;
        if !self.verbose {
            return parsed(&fetched.bytes);
        }
        let Document::Index(index) = document else {
            return verbose(&manifests::entry(&client)?);
        };
        let of = |digest| {
            let image = name.with_digest(digest);
            manifests::entry(&self::client(front, &image, self.insecure)?)
        };
        let entries = index
            .manifests
            .into_iter()
            .map(|d| (d.digest.clone(), d.media_type));
        // What else is in an index (attestations, other indexes) is no image.
        let images =
            entries.filter(|(_, kind)| !kind.ends_with("index.v1+json") && !kind.contains("list"));
        let all: Result<Vec<Value>> = images
            .filter_map(|(digest, _)| match of(digest) {
                Err(e) if e.kind() == Kind::Invalid => None,
                entry => Some(entry.and_then(|entry| verbose(&entry))),
            })
            .collect();
        Ok(Value::Array(all?))
    }
}

fn parsed(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).context(|| "the manifest is no JSON")
}

/// Docker's form: where it is, what it is, and the document itself.
fn verbose(entry: &Entry) -> Result<Value> {
    use base64::Engine as _;
    let kind = match entry.media_type.contains("oci") {
        true => "OCIManifest",
        false => "SchemaV2Manifest",
    };
    Ok(json!({
        "Ref": entry.reference.canonical(),
        "Descriptor": entry.descriptor(),
        "Raw": base64::engine::general_purpose::STANDARD.encode(&entry.manifest),
        kind: parsed(entry.manifest.as_bytes())?,
    }))
}

/// Indented by tabs.
fn pretty(document: &Value) -> Result<String> {
    let mut bytes = Vec::new();
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, indent);
    document
        .serialize(&mut serializer)
        .context(|| "cannot write JSON")?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(|_| Error::internal("JSON is no text"))
}
