//! `wherry image referrers`.

use super::pull::wanted_platform;
use crate::cli::registry::server::logins;
use crate::cli::{Front, Verb, listing};
use crate::config::{Registries, Source};
use crate::error::{Context, Result};
use crate::image::Platform;
use crate::output::list::{Field, Row};
use crate::registry::{Client, Options};
use crate::text::size;
use crate::transfer::referrers::{Found, fetch, list};
use crate::transfer::trust::digests_of;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct ReferrersArgs {
    /// Only those of this type
    #[arg(long, value_name = "string")]
    artifact_type: Option<String>,
    /// Format output using a custom template: 'table', 'table TEMPLATE',
    /// 'json', or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Write each of them into a directory of its own in this one
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// What is about the image for this platform (as "os[/arch[/variant]]")
    #[arg(long, value_name = "string")]
    platform: Option<Platform>,
    /// Only show digests
    #[arg(short, long)]
    quiet: bool,
    #[arg(required = true, value_name = "IMAGE")]
    image: String,
}

const TABLE: &str = "{{.Digest}}\t{{.ArtifactType}}\t{{.Size}}\t{{.Subject}}";

impl Verb for ReferrersArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let given = self.format.as_deref().unwrap_or_default();
        let text = match given {
            "" | "table" if self.quiet => "{{.Digest}}",
            given => given,
        };
        let format = listing::parse(text, TABLE, text)?;
        listing::check::<Line>(&format)?;
        let registries = Registries::find()?;
        let name = registries.expand(&self.image)?;
        let sources = Source::find(&registries, &logins(front), &name)?;
        let options = Options::find()?;
        let client = Client::new(&name, sources, &options);
        let digests = digests_of(&client, &name, &wanted_platform(self.platform.as_ref()))?;
        let found = list(&client, &digests, self.artifact_type.as_deref())?;
        if let Some(dir) = &self.output {
            std::fs::create_dir_all(dir)
                .context(|| format!("cannot make directory \"{}\"", dir.display()))?;
            for one in &found {
                fetch(&client, one, dir)?;
            }
        }
        let whole = self.no_trunc || self.quiet;
        let rows: Vec<Line> = found
            .into_iter()
            .map(|found| Line { found, whole })
            .collect();
        listing::print(&format, &rows)
    }
}

/// A row.
struct Line {
    found: Found,
    /// Digests are not shortened.
    whole: bool,
}

impl Line {
    fn shown(&self, digest: &crate::image::Digest) -> String {
        match self.whole {
            true => digest.to_string(),
            false => digest.short().to_owned(),
        }
    }
}

impl Row for Line {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "ArtifactType",
            header: "ARTIFACT TYPE",
            get: |l| l.found.referrer.artifact_type.as_str().into(),
        },
        Field {
            name: "Digest",
            header: "DIGEST",
            get: |l| l.shown(&l.found.referrer.descriptor.digest).into(),
        },
        Field {
            name: "MediaType",
            header: "MEDIA TYPE",
            get: |l| l.found.referrer.descriptor.media_type.as_str().into(),
        },
        Field {
            name: "Size",
            header: "SIZE",
            get: |l| size::decimal(l.found.referrer.descriptor.size).into(),
        },
        Field {
            name: "Subject",
            header: "SUBJECT",
            get: |l| l.shown(&l.found.subject).into(),
        },
        Field {
            name: "Tag",
            header: "TAG",
            get: |l| l.found.tag.clone().unwrap_or_default().into(),
        },
    ];
    const TYPE: &'static str = "*formatter.referrerContext";
}
