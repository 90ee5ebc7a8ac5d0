//! `wherry buildx imagetools inspect`.

use super::check_builder;
use crate::cli::manifest::client;
use crate::cli::{Front, Verb, stdout};
use crate::error::{Context, Error, Result};
use crate::image::{Document, Reference};
use crate::output::template::{Object, Template};
use crate::registry::Client;
use crate::transfer::manifests::{self, config};
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct InspectArgs {
    /// Override the configured builder instance
    #[arg(long, value_name = "string")]
    builder: Option<String>,
    /// Format the output using the given Go template
    #[arg(long, default_value = "{{.Manifest}}")]
    format: String,
    /// Show original, unformatted JSON manifest
    #[arg(long)]
    raw: bool,
    #[arg(required = true, value_name = "NAME")]
    name: String,
}

impl Verb for InspectArgs {
    fn run(self, front: &Front) -> Result<u8> {
        check_builder(self.builder.as_deref())?;
        let name = Reference::parse(&self.name)?;
        let template = Template::parse(&self.format).map_err(|e| e.within("template parsing"))?;
        let client = client(front, &name, false)?;
        let (fetched, document) = manifests::fetch(&client)?;
        if self.raw {
            let text = String::from_utf8(fetched.bytes);
            stdout::print(&text.map_err(|_| Error::invalid("the manifest is no text"))?)?;
            return Ok(0);
        }
        let raw: Value =
            serde_json::from_slice(&fetched.bytes).context(|| "the manifest is no JSON")?;
        let media_type = match &document {
            Document::Index(index) => &index.media_type,
            Document::Manifest(manifest) => &manifest.media_type,
        };
        let mut shown = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "digest": fetched.digest,
            "size": fetched.bytes.len(),
        });
        for field in ["manifests", "annotations", "config", "layers"] {
            if let Some(value) = raw.get(field) {
                shown[field] = value.clone();
            }
        }
        if self.format == "{{.Manifest}}" {
            stdout::print(&plain(&name, &shown))?;
            return Ok(0);
        }
        let image = match template.uses("Image") || template.uses("") {
            true => Some(images(front, &client, &document)?),
            false => None,
        };
        let all = Inspected {
            name: name.canonical(),
            manifest: shown,
            image,
        };
        let text = template
            .render(&all)
            .map_err(|e| e.within("template parsing error"))?;
        stdout::line(&text)?;
        Ok(0)
    }
}

/// What a template is applied to: fields as Go names them, of documents as JSON
/// does.
struct Inspected {
    name: String,
    manifest: Value,
    image: Option<Value>,
}

impl Object for Inspected {
    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Name" => Some(json!(self.name)),
            "Manifest" => Some(self.manifest.clone()),
            "Image" => self.image.clone(),
            _ => None,
        }
    }
    fn whole(&self) -> Value {
        json!({"name": self.name, "manifest": self.manifest, "image": self.image})
    }
    fn unknown(&self, name: &str) -> String {
        format!("can't evaluate field {name}: there are Name, Manifest and Image")
    }
    fn folds_case(&self) -> bool {
        true
    }
}

/// The config of an image, or those of all of an index by their platforms.
fn images(front: &Front, of: &Client, document: &Document) -> Result<Value> {
    let index = match document {
        Document::Manifest(manifest) => return config(of, manifest),
        Document::Index(index) => index,
    };
    let mut all = serde_json::Map::new();
    let images = index
        .manifests
        .iter()
        .filter(|d| d.is_manifest() && !d.is_attestation());
    for entry in images {
        let client = client(
            front,
            &of.reference().with_digest(entry.digest.clone()),
            false,
        )?;
        if let (_, Document::Manifest(manifest)) = manifests::fetch(&client)? {
            let config = config(&client, &manifest)?;
            let platform = entry.platform.as_ref().map(ToString::to_string);
            all.insert(platform.unwrap_or_else(|| entry.digest.to_string()), config);
        }
    }
    Ok(Value::Object(all))
}

/// As buildx writes it.
fn plain(name: &Reference, manifest: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut out = format!(
        "Name:      {}\nMediaType: {}\nDigest:    {}\n",
        name.canonical(),
        text(&manifest["mediaType"]),
        text(&manifest["digest"])
    );
    let Some(entries) = manifest["manifests"].as_array() else {
        return out;
    };
    out += "           \nManifests: \n";
    let repository = name.name();
    let blocks = entries.iter().map(|entry| {
        let mut block = format!(
            "  Name:        {repository}@{}\n  MediaType:   {}\n",
            text(&entry["digest"]),
            text(&entry["mediaType"])
        );
        let platform = &entry["platform"];
        if platform.is_object() {
            let parts = ["os", "architecture", "variant"].map(|part| text(&platform[part]));
            let parts: Vec<&str> = parts
                .iter()
                .map(String::as_str)
                .filter(|p| !p.is_empty())
                .collect();
            block += &format!("  Platform:    {}\n", parts.join("/"));
        }
        if let Some(annotations) = entry["annotations"].as_object() {
            block += "  Annotations: \n";
            for (key, value) in annotations {
                block += &format!("    {key}: {}\n", text(value));
            }
        }
        block
    });
    out + &blocks.collect::<Vec<_>>().join("               \n")
}
