//! `wherry images`.

use super::tree;
use crate::cli::{Front, Verb, listing};
use crate::container::disk::ImageUse;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::reference::Reference;
use crate::output::list::{Field, Format, Row};
use crate::store::{Filters, Image};
use crate::text::{size, time};
use jiff::Timestamp;
use std::rc::Rc;

#[derive(clap::Args)]
pub struct LsArgs {
    /// Show all images (default hides intermediate images)
    // There are no intermediate images, so all are shown either way.
    #[arg(short, long)]
    all: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "filter", value_parser = crate::cli::filter)]
    filter: Vec<(String, String)>,
    /// Format output using a custom template: 'table', 'table TEMPLATE',
    /// 'json', or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// List images as a tree of their platforms and layers
    #[arg(long)]
    tree: bool,
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pattern: Option<String>,
}

const TABLE: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
const WITH_DIGESTS: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
const RAW: &str = "repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\n\
created_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";
const RAW_WITH_DIGESTS: &str = "repository: {{.Repository}}\ntag: {{.Tag}}\ndigest: {{.Digest}}\n\
image_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";
const NONE: &str = "<none>";
/// What a user may have meant by `images WORD`.
const SUBCOMMANDS: [&str; 3] = ["inspect", "ls", "rm"];

impl Verb for LsArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let mut filters = self.filter.clone();
        filters.extend(self.pattern.clone().map(|p| ("reference".to_string(), p)));
        let filters = Filters::new(filters);
        if self.tree {
            self.check_tree()?;
            return tree::print(&Engine::open()?, filters);
        }
        let format = self.format(front)?;
        let images = Engine::open()?.store()?.list(&filters)?;
        if images.is_empty() {
            self.hint(front);
        }
        let look = Look {
            now: Timestamp::now(),
            whole: self.no_trunc,
            digests: self.digests || format.uses("Digest"),
        };
        let rows: Vec<Line> = images
            .into_iter()
            .flat_map(|image| lines(image, look))
            .collect();
        listing::print(&format, &rows)
    }
}

impl LsArgs {
    fn check_tree(&self) -> Result<()> {
        let others = [
            (self.quiet, "--quiet"),
            (self.no_trunc, "--no-trunc"),
            (self.digests, "--show-digest"),
            (self.format.is_some(), "--format"),
        ];
        match others.iter().find(|(given, _)| *given) {
            None => Ok(()),
            Some((_, name)) => Err(Error::invalid(format!(
                "{name} is not yet supported with --tree"
            ))),
        }
    }

    fn format(&self, front: &Front) -> Result<Format> {
        let forms = match self.digests {
            true => (WITH_DIGESTS, RAW_WITH_DIGESTS),
            false => (TABLE, RAW),
        };
        let quiet = self.quiet.then_some("{{.ID}}");
        listing::format(front, self.format.as_deref(), quiet, "imagesFormat", forms)
    }

    fn hint(&self, front: &Front) {
        let meant = self.pattern.as_deref().filter(|p| SUBCOMMANDS.contains(p));
        if let (Some(word), "images") = (meant, front.command.as_str()) {
            front.note(&format!(
                "No images found matching \"{word}\": did you mean \"{} image {word}\"?",
                front.program
            ));
        }
    }
}

#[derive(Clone, Copy)]
struct Look {
    now: Timestamp,
    /// `--no-trunc`.
    whole: bool,
    digests: bool,
}

/// A row: one name of an image.
pub struct Line {
    image: Rc<Image>,
    disk: Option<Disk>,
    look: Look,
    repository: String,
    tag: String,
    digest: String,
}

/// What `system df` tells more: bytes on disk, and how many containers use it.
struct Disk {
    shared: u64,
    unique: u64,
    containers: usize,
}

/// One row per name; what is known by a digest alone, or by nothing, has one too.
fn lines(image: Image, look: Look) -> Vec<Line> {
    let image = Rc::new(image);
    let line = |repository: &str, tag: &str, digest: Option<&Reference>| Line {
        image: Rc::clone(&image),
        disk: None,
        look,
        repository: repository.into(),
        tag: tag.into(),
        digest: digest
            .and_then(Reference::digest)
            .map_or_else(|| NONE.into(), ToString::to_string),
    };
    let mut out = Vec::new();
    let mut tagged = Vec::new();
    for name in &image.names {
        let repository = name.familiar_name();
        let tag = name.tag().unwrap_or(NONE);
        let digests = image.digests.iter().filter(|d| d.name() == name.name());
        let before = out.len();
        if look.digests {
            out.extend(digests.map(|digest| line(&repository, tag, Some(digest))));
        }
        if out.len() == before {
            out.push(line(&repository, tag, None));
        }
        tagged.push(repository);
    }
    for digest in &image.digests {
        let repository = digest.familiar_name();
        if !tagged.contains(&repository) {
            out.push(line(&repository, NONE, look.digests.then_some(digest)));
            if !look.digests {
                tagged.push(repository);
            }
        }
    }
    if out.is_empty() {
        out.push(line(NONE, NONE, None));
    }
    out
}

impl Row for Line {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "Containers",
            header: "CONTAINERS",
            get: |l| l.of_df(|d| d.containers.to_string()).into(),
        },
        Field {
            name: "CreatedAt",
            header: "CREATED AT",
            get: |l| {
                l.created()
                    .map(time::local)
                    .unwrap_or_else(|| "N/A".into())
                    .into()
            },
        },
        Field {
            name: "CreatedSince",
            header: "CREATED",
            get: |l| {
                l.created()
                    .map(|t| time::ago(t, l.look.now))
                    .unwrap_or_else(|| "N/A".into())
                    .into()
            },
        },
        Field {
            name: "Digest",
            header: "DIGEST",
            get: |l| l.digest.as_str().into(),
        },
        Field {
            name: "ID",
            header: "IMAGE ID",
            get: |l| l.id().into(),
        },
        Field {
            name: "Repository",
            header: "REPOSITORY",
            get: |l| l.repository.as_str().into(),
        },
        Field {
            name: "SharedSize",
            header: "SHARED SIZE",
            get: |l| l.of_df(|d| size::decimal4(d.shared)).into(),
        },
        Field {
            name: "Size",
            header: "SIZE",
            get: |l| size::decimal(l.size()).into(),
        },
        Field {
            name: "Tag",
            header: "TAG",
            get: |l| l.tag.as_str().into(),
        },
        Field {
            name: "UniqueSize",
            header: "UNIQUE SIZE",
            get: |l| l.of_df(|d| size::decimal4(d.unique)).into(),
        },
        Field {
            name: "VirtualSize",
            header: "SIZE",
            get: |l| size::decimal(l.size()).into(),
        },
    ];
    const TYPE: &'static str = "*formatter.imageContext";
}

impl Line {
    /// The one row that `system df` has for an image: of its first name.
    pub fn of_disk(used: ImageUse, now: Timestamp, whole: bool) -> Self {
        let look = Look {
            now,
            whole,
            digests: false,
        };
        let mut line = lines(used.image, look).swap_remove(0);
        line.disk = Some(Disk {
            shared: used.shared,
            unique: used.unique,
            containers: used.containers,
        });
        line
    }

    fn of_df(&self, show: fn(&Disk) -> String) -> String {
        self.disk.as_ref().map_or_else(|| "N/A".into(), show)
    }

    fn size(&self) -> u64 {
        self.disk
            .as_ref()
            .map_or(self.image.size, |d| d.shared + d.unique)
    }

    fn id(&self) -> &str {
        match self.look.whole {
            true => self.image.id.as_str(),
            false => self.image.id.short(),
        }
    }

    fn created(&self) -> Option<Timestamp> {
        time::parse(self.image.created.as_deref()?)
    }
}
