//! `wherry system df`.

use crate::cli::container::ps;
use crate::cli::image::ls;
use crate::cli::volume::ls as volume_ls;
use crate::cli::{Front, Verb, stdout};
use crate::container::disk::{self, DiskUse};
use crate::engine::Engine;
use crate::error::Result;
use crate::output::list::{Field, Format, Row, document};
use crate::output::template::Template;
use crate::text::escape::visible;
use crate::text::size;
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
/// There is no build cache.
const REST: &str = "\nBuild cache usage: 0B\n\n\
CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n";

impl Verb for DfArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let format = self.format.as_deref().unwrap_or_default();
        let text = match self.verbose {
            true => verbose(format)?,
            false => {
                let format = Format::parse(format, TABLE, RAW)
                    .map_err(|e| e.within("template parsing error"))?;
                let rows = summary(&disk::measure(&Engine::open()?)?);
                format
                    .render(&rows, stdout::is_terminal())
                    .map_err(|e| e.within("template parsing error"))?
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
        let escape = stdout::is_terminal();
        return Ok(format!(
            "Images space usage:\n\n{}\nContainers space usage:\n\n{}\n\
             Local Volumes space usage:\n\n{}{REST}",
            Format::parse("", IMAGES, "")?.render(&images, escape)?,
            Format::parse("", CONTAINERS, "")?.render(&containers, escape)?,
            Format::parse("", VOLUMES, "")?.render(&volumes, escape)?,
        ));
    };
    let all = json!({
        "Images": images.iter().map(document).collect::<Value>(),
        "Containers": containers.iter().map(document).collect::<Value>(),
        "Volumes": volumes.iter().map(document).collect::<Value>(),
        "BuildCache": [],
    });
    let text = template
        .render(&all)
        .map_err(|e| e.within("template parsing error"))?;
    Ok(visible(&text).into_owned())
}

/// A row of the short form.
struct Sort {
    name: &'static str,
    count: usize,
    active: usize,
    bytes: u64,
    reclaimable: u64,
}

fn summary(used: &DiskUse) -> [Sort; 4] {
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
        sort("Build Cache", 0, 0, 0, 0),
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
