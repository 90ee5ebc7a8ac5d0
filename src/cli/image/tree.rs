//! `wherry images --tree`: images with their platforms and layers.

use crate::cli::listing;
use crate::container::list::{self, Which};
use crate::engine::Engine;
use crate::error::Result;
use crate::image::Digest;
use crate::image::reference::Reference;
use crate::output::list::{Field, Row};
use crate::store::{Filters, Image, LayerUse, Part, Store};
use crate::text::{shorten, size};
use std::collections::{HashMap, HashSet};

const TABLE: &str = "table {{.Image}}\t{{.ID}}\t{{.DiskUsage}}\t{{.ContentSize}}\t{{.Extra}}";
/// Columns of what made a layer, as in `history`.
const MOST_COLUMNS: usize = 45;
const NONE: &str = "<none>";

/// Prints the images that pass `filters`.
pub fn print(engine: &Engine, filters: Filters) -> Result<u8> {
    let store = engine.store()?;
    let all = Which {
        all: true,
        ..Which::default()
    };
    let containers = list::list(engine, &all)?;
    let known = Known {
        used: containers.into_iter().map(|c| c.asked.image).collect(),
        sharing: sharing(store)?,
        store,
    };
    let mut rows = Vec::new();
    for image in known.store.list(&filters)? {
        known.add_image(&image, &mut rows)?;
    }
    listing::print(&listing::parse(TABLE, TABLE, TABLE)?, &rows)
}

/// How many images have each layer.
fn sharing(store: &Store) -> Result<HashMap<Digest, usize>> {
    let mut users = HashMap::new();
    for image in store.images()? {
        let layers: HashSet<Digest> = store.config(&image)?.diff_ids.into_iter().collect();
        for layer in layers {
            *users.entry(layer).or_default() += 1;
        }
    }
    Ok(users)
}

struct Known<'a> {
    store: &'a Store,
    /// IDs of images that containers were made from.
    used: HashSet<String>,
    sharing: HashMap<Digest, usize>,
}

/// A row.
#[derive(Default)]
struct Line {
    image: String,
    id: String,
    /// Bytes: on disk and of the blobs. A further name has none.
    sizes: Option<(u64, u64)>,
    extra: String,
}

impl Known<'_> {
    fn add_image(&self, image: &Image, rows: &mut Vec<Line>) -> Result<()> {
        let layers = self.store.layers(image)?;
        let variants = self.store.variants(image)?;
        let content = match variants.is_empty() {
            true => layers.iter().map(|layer| layer.packed).sum(),
            false => variants.iter().map(|(_, part)| packed(part)).sum(),
        };
        let used = self.used.contains(image.id.as_str());
        let mut names = names(image).into_iter();
        rows.push(Line {
            image: names.next().unwrap_or_else(|| format!("{NONE}:{NONE}")),
            id: image.id.short().to_owned(),
            sizes: Some((content + image.size, content)),
            extra: if used { "in use" } else { "" }.to_owned(),
        });
        rows.extend(names.map(|image| Line {
            image,
            ..Line::default()
        }));
        for (place, (platform, part)) in variants.iter().enumerate() {
            let is_it = part.descriptor.digest == image.manifest.digest;
            let content = packed(part);
            let unpacked = if is_it { image.size } else { 0 };
            let last = place + 1 == variants.len();
            let platform = platform.as_ref().map(ToString::to_string);
            rows.push(Line {
                image: format!("{}{}", branch(last), platform.as_deref().unwrap_or(NONE)),
                id: part.descriptor.digest.short().to_owned(),
                sizes: Some((content + unpacked, content)),
                extra: if part.here { "" } else { "not here" }.to_owned(),
            });
            if is_it {
                self.add_layers(&layers, if last { "   " } else { "│  " }, rows);
            }
        }
        if variants.is_empty() {
            self.add_layers(&layers, "", rows);
        }
        Ok(())
    }

    fn add_layers(&self, layers: &[LayerUse], indent: &str, rows: &mut Vec<Line>) {
        for (place, layer) in layers.iter().enumerate() {
            let made_by = layer
                .created_by
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ");
            let made_by = if made_by.is_empty() { NONE } else { &made_by };
            let branch = branch(place + 1 == layers.len());
            let users = self
                .sharing
                .get(&layer.diff_id)
                .copied()
                .unwrap_or_default();
            rows.push(Line {
                image: format!("{indent}{branch}{}", shorten(made_by, MOST_COLUMNS)),
                id: layer.diff_id.short().to_owned(),
                sizes: Some((layer.size + layer.packed, layer.packed)),
                extra: match users {
                    0 | 1 => String::new(),
                    users => format!("in {users} images"),
                },
            });
        }
    }
}

fn branch(last: bool) -> &'static str {
    if last { "└─ " } else { "├─ " }
}

/// Bytes of what is here.
fn packed(part: &Part) -> u64 {
    let blobs = part.blobs.iter().filter(|_| part.here);
    blobs.map(|blob| blob.size).sum()
}

/// Those with a tag, else those with a digest.
fn names(image: &Image) -> Vec<String> {
    let names = match image.names.is_empty() {
        true => &image.digests,
        false => &image.names,
    };
    names.iter().map(Reference::familiar).collect()
}

impl Row for Line {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "ContentSize",
            header: "CONTENT SIZE",
            get: |l| l.bytes(|(_, packed)| packed).into(),
        },
        Field {
            name: "DiskUsage",
            header: "DISK USAGE",
            get: |l| l.bytes(|(all, _)| all).into(),
        },
        Field {
            name: "Extra",
            header: "EXTRA",
            get: |l| l.extra.as_str().into(),
        },
        Field {
            name: "ID",
            header: "ID",
            get: |l| l.id.as_str().into(),
        },
        Field {
            name: "Image",
            header: "IMAGE",
            get: |l| l.image.as_str().into(),
        },
    ];
    const TYPE: &'static str = "*formatter.treeContext";
}

impl Line {
    fn bytes(&self, which: fn((u64, u64)) -> u64) -> String {
        self.sizes
            .map_or_else(String::new, |sizes| size::decimal(which(sizes)))
    }
}
