//! `wherry system df`.

use crate::build::keep::{self, Record};
use crate::cli::container::ps;
use crate::cli::image::ls;
use crate::cli::volume::ls as volume_ls;
use crate::cli::{Front, Verb, listing, stdout};
use crate::container::disk::{self, DiskUse};
use crate::engine::Engine;
use crate::error::Result;
use crate::output::list::{Field, Row, document};
use crate::output::template::Template;
use crate::text::escape::visible;
use crate::text::{id, size, time};
use jiff::Timestamp;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct DfArgs {
    /// Format output using a custom template: 'table', 'table TEMPLATE',
    /// 'json', or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Show detailed information on space usage
    #[arg(short, long)]
    verbose: bool,
}

const TABLE: &str = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
const RAW: &str = "type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\n\
reclaimable: {{.Reclaimable}}\n";
const IMAGES: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t\
{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
const CONTAINERS: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t\
{{.RunningFor}}\t{{.Status}}\t{{.Names}}";
const VOLUMES: &str = "{{.Name}}\t{{.Links}}\t{{.Size}}";
const CACHE: &str = "{{.ID}}\t{{.CacheType}}\t{{.Size}}\t{{.CreatedSince}}\t{{.LastUsedSince}}\t\
{{.UsageCount}}\t{{.Shared}}";

impl Verb for DfArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let format = self.format.as_deref().unwrap_or_default();
        let text = match self.verbose {
            true => verbose(format)?,
            false => {
                let format = listing::parse(format, TABLE, RAW)?;
                let engine = Engine::open()?;
                let rows = summary(&disk::measure(&engine)?, &keep::records(&engine)?);
                listing::text(&format, &rows)?
            }
        };
        stdout::print(&text)?;
        Ok(0)
    }
}

fn verbose(format: &str) -> Result<String> {
    let template = match format {
        "" | "table" => None,
        "json" => Some("{{json .}}"),
        text => Some(text),
    };
    let template = template
        .map(Template::parse)
        .transpose()
        .map_err(|e| e.within("template parsing error"))?;
    let engine = Engine::open()?;
    let used = disk::measure(&engine)?;
    let cache: Vec<Kept> = keep::records(&engine)?.into_iter().map(Kept).collect();
    let now = Timestamp::now();
    let whole = template.is_some();
    let images: Vec<ls::Line> = used
        .images
        .into_iter()
        .map(|used| ls::Line::of_disk(used, now, whole))
        .collect();
    let containers: Vec<ps::Line> = used
        .containers
        .into_iter()
        .map(|used| ps::Line::of_disk(used, now, whole))
        .collect();
    let volumes: Vec<volume_ls::Line> = used
        .volumes
        .into_iter()
        .map(|used| volume_ls::Line {
            place: engine.paths.volume_data(&used.volume.name),
            volume: used.volume,
            disk: Some((used.users, used.bytes)),
        })
        .collect();
    let Some(template) = template else {
        return Ok(format!(
            "Images space usage:\n\n{}\nContainers space usage:\n\n{}\n\
             Local Volumes space usage:\n\n{}\nBuild cache usage: {}\n\n{}",
            table(IMAGES, &images)?,
            table(CONTAINERS, &containers)?,
            table(VOLUMES, &volumes)?,
            size::decimal4(cache.iter().map(|kept| kept.0.size).sum()),
            table(CACHE, &cache)?,
        ));
    };
    let all = json!({
        "Images": images.iter().map(document).collect::<Value>(),
        "Containers": containers.iter().map(document).collect::<Value>(),
        "Volumes": volumes.iter().map(document).collect::<Value>(),
        "BuildCache": cache.iter().map(document).collect::<Value>(),
    });
    let text = template
        .render(&all)
        .map_err(|e| e.within("template parsing error"))?;
    Ok(visible(&text).into_owned())
}

fn table<R: Row>(template: &str, rows: &[R]) -> Result<String> {
    listing::text(&listing::parse("", template, "")?, rows)
}

/// A row of the short form.
struct Sort {
    name: &'static str,
    count: usize,
    active: usize,
    bytes: u64,
    reclaimable: u64,
}

/// A row about what a build has kept.
struct Kept(Record);

impl Row for Kept {
    const TYPE: &'static str = "*formatter.buildCacheContext";
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "ID",
            header: "CACHE ID",
            get: |kept| id::short(&kept.0.id).into(),
        },
        Field {
            name: "CacheType",
            header: "CACHE TYPE",
            get: |kept| kept.0.kind.into(),
        },
        Field {
            name: "Size",
            header: "SIZE",
            get: |kept| size::decimal4(kept.0.size).into(),
        },
        Field {
            name: "CreatedSince",
            header: "CREATED",
            get: |kept| since(time::parse(&kept.0.created)).into(),
        },
        Field {
            name: "LastUsedSince",
            header: "LAST USED",
            get: |kept| since(Timestamp::try_from(kept.0.used).ok()).into(),
        },
        // How often is not counted.
        Field {
            name: "UsageCount",
            header: "USAGE",
            get: |_| "1".into(),
        },
        Field {
            name: "Shared",
            header: "SHARED",
            get: |kept| kept.0.shared.to_string().into(),
        },
        Field {
            name: "Description",
            header: "DESCRIPTION",
            get: |kept| kept.0.text.clone().into(),
        },
    ];
}

fn since(then: Option<Timestamp>) -> String {
    then.map_or_else(String::new, |then| time::ago(then, Timestamp::now()))
}

fn summary(used: &DiskUse, cache: &[Record]) -> [Sort; 4] {
    let own: u64 = cache.iter().filter(|r| !r.shared).map(|r| r.size).sum();
    let sort = |name, count, active, bytes, reclaimable| Sort {
        name,
        count,
        active,
        bytes,
        reclaimable,
    };
    let in_use = used.images.iter().filter(|i| i.containers > 0).count();
    let unused = used.volumes.iter().filter(|v| v.users == 0);
    let active = used.containers.iter().filter(|c| c.is_active()).count();
    [
        sort(
            "Images",
            used.images.len(),
            in_use,
            used.images_bytes,
            used.images_reclaimable,
        ),
        sort(
            "Containers",
            used.containers.len(),
            active,
            used.containers_bytes,
            used.containers_reclaimable,
        ),
        sort(
            "Local Volumes",
            used.volumes.len(),
            used.volumes.iter().filter(|v| v.users > 0).count(),
            used.volumes.iter().map(|v| v.bytes).sum(),
            unused.map(|v| v.bytes).sum(),
        ),
        // What images have, too, is counted there.
        sort("Build Cache", cache.len(), 0, own, own),
    ]
}

impl Row for Sort {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "Active",
            header: "ACTIVE",
            get: |s| s.active.to_string().into(),
        },
        Field {
            name: "Reclaimable",
            header: "RECLAIMABLE",
            get: |s| s.reclaimable().into(),
        },
        Field {
            name: "Size",
            header: "SIZE",
            get: |s| size::decimal4(s.bytes).into(),
        },
        Field {
            name: "TotalCount",
            header: "TOTAL",
            get: |s| s.count.to_string().into(),
        },
        Field {
            name: "Type",
            header: "TYPE",
            get: |s| s.name.into(),
        },
    ];
    const TYPE: &'static str = "*formatter.diskUsageImagesContext";
}

impl Sort {
    /// With the part of the whole, rounded down.
    fn reclaimable(&self) -> String {
        let amount = size::decimal4(self.reclaimable);
        match (self.reclaimable * 100).checked_div(self.bytes) {
            Some(percent) => format!("{amount} ({percent}%)"),
            None => amount,
        }
    }
}
