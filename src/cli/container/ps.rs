//! `wherry ps`.

use crate::cli::{Front, Verb, listing, settings, stdout};
use crate::container::disk::ContainerUse;
use crate::container::filter::Filters;
use crate::container::list::{Summary, Which, list};
use crate::container::ports;
use crate::engine::Engine;
use crate::error::Result;
use crate::output::list::{Field, Format, Row, label_header};
use crate::output::template::quote;
use crate::text::{id, shorten, size, time};
use jiff::Timestamp;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct PsArgs {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "filter", value_parser = crate::cli::filter)]
    filter: Vec<(String, String)>,
    /// Format output using a custom template: 'table', 'table TEMPLATE',
    /// 'json', or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, default_value_t = -1)]
    last: i64,
    /// Show the latest created container (includes all states)
    #[arg(short, long)]
    latest: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    quiet: bool,
    /// Display total file sizes
    // Not given, a template that shows sizes asks for them.
    #[arg(short, long)]
    size: Option<bool>,
}

const TABLE: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
const TABLE_WITH_SIZE: &str = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t\
{{.Ports}}\t{{.Names}}\t{{.Size}}";
const RAW: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\n\
state: {{.State}}\nstatus: {{.Status}}\nnames: {{.Names}}\nlabels: {{.Labels}}\nports: {{.Ports}}\n";
const RAW_WITH_SIZE: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\n\
created_at: {{.CreatedAt}}\nstate: {{.State}}\nstatus: {{.Status}}\nnames: {{.Names}}\n\
labels: {{.Labels}}\nports: {{.Ports}}\nsize: {{.Size}}\n";
const QUIET: &str = "{{.ID}}";

impl Verb for PsArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let format = self.format(front)?;
        format
            .check::<Line>()
            .map_err(|e| e.within("failed to execute template"))?;
        let last = if self.latest {
            Some(1)
        } else {
            usize::try_from(self.last).ok().filter(|n| *n > 0)
        };
        let which = Which {
            all: self.all,
            last,
            sizes: self.size.unwrap_or_else(|| format.uses("Size")),
            filters: Filters::new(self.filter),
        };
        let now = Timestamp::now();
        let rows: Vec<Line> = list(&Engine::open()?, &which)?
            .into_iter()
            .map(|summary| Line {
                summary,
                now,
                whole: self.no_trunc,
                disk: None,
            })
            .collect();
        let text = format
            .render(&rows, stdout::is_terminal())
            .map_err(|e| e.within("failed to execute template"))?;
        stdout::print(&text)?;
        Ok(0)
    }
}

impl PsArgs {
    fn format(&self, front: &Front) -> Result<Format> {
        let given = self.format.clone().filter(|f| !f.is_empty());
        let text = match (&given, self.quiet) {
            (Some(format), true) => {
                if format != "table" && format != "raw" {
                    front
                        .warn("Ignoring custom format, because both --format and --quiet are set.");
                }
                QUIET.to_string()
            }
            (None, true) => QUIET.to_string(),
            (Some(format), false) => format.clone(),
            (None, false) => settings::text(front, "psFormat").unwrap_or_default(),
        };
        let (table, raw) = match self.size {
            Some(true) => (TABLE_WITH_SIZE, RAW_WITH_SIZE),
            _ => (TABLE, RAW),
        };
        Format::parse(&text, table, raw).map_err(|e| e.within("failed to parse template"))
    }
}

/// A row.
pub struct Line {
    summary: Summary,
    now: Timestamp,
    /// `--no-trunc`.
    whole: bool,
    /// For `system df`: bytes on disk of everything that is the container's.
    disk: Option<u64>,
}

impl Row for Line {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "Command",
            header: "COMMAND",
            get: |l| l.command().into(),
        },
        Field {
            name: "CreatedAt",
            header: "CREATED AT",
            get: |l| {
                l.summary
                    .created()
                    .map(time::local)
                    .unwrap_or_default()
                    .into()
            },
        },
        Field {
            name: "HealthStatus",
            header: "HEALTH STATUS",
            get: |l| {
                l.summary
                    .health
                    .map_or("none", |health| health.word())
                    .into()
            },
        },
        Field {
            name: "ID",
            header: "CONTAINER ID",
            get: |l| {
                if l.whole {
                    l.summary.id.as_str()
                } else {
                    id::short(&l.summary.id)
                }
                .into()
            },
        },
        Field {
            name: "Image",
            header: "IMAGE",
            get: |l| l.image().into(),
        },
        Field {
            name: "Labels",
            header: "LABELS",
            get: |l| l.labels().into(),
        },
        Field {
            name: "LocalVolumes",
            header: "LOCAL VOLUMES",
            get: |l| l.summary.volumes().to_string().into(),
        },
        Field {
            name: "Mounts",
            header: "MOUNTS",
            get: |l| l.mounts().into(),
        },
        Field {
            name: "Names",
            header: "NAMES",
            get: |l| l.summary.state.name.as_str().into(),
        },
        Field {
            name: "Networks",
            header: "NETWORKS",
            get: |l| l.summary.networks().join(",").into(),
        },
        Field {
            name: "Platform",
            header: "PLATFORM",
            get: Line::platform,
        },
        Field {
            name: "Ports",
            header: "PORTS",
            get: |l| ports::shown(&l.summary.ports()).into(),
        },
        Field {
            name: "RunningFor",
            header: "CREATED",
            get: |l| {
                l.summary
                    .created()
                    .map(|t| time::ago(t, l.now))
                    .unwrap_or_default()
                    .into()
            },
        },
        Field {
            name: "Size",
            header: "SIZE",
            get: |l| l.size().into(),
        },
        Field {
            name: "State",
            header: "STATE",
            get: |l| l.summary.state.status.word().into(),
        },
        Field {
            name: "Status",
            header: "STATUS",
            get: |l| l.summary.status(l.now).into(),
        },
    ];
    const TYPE: &'static str = "*formatter.ContainerContext";

    fn method(&self, name: &str, args: &[Value]) -> Option<std::result::Result<Value, String>> {
        if name != "Label" {
            return None;
        }
        let [Value::String(key)] = args else {
            return Some(Err(format!(
                "wrong number of args for Label: want 1 got {}",
                args.len()
            )));
        };
        let value = self.summary.asked.config.labels.get(key);
        Some(Ok(value.cloned().unwrap_or_default().into()))
    }

    fn method_header(name: &str, args: &[Value]) -> Option<String> {
        (name == "Label").then(|| label_header(args)).flatten()
    }
}

impl Line {
    /// The row of `system df`.
    pub fn of_disk(used: ContainerUse, now: Timestamp, whole: bool) -> Self {
        Self {
            summary: used.summary,
            now,
            whole,
            disk: Some(used.bytes),
        }
    }

    fn command(&self) -> String {
        let command = self.summary.command();
        quote(&if self.whole {
            command
        } else {
            shorten(&command, 20)
        })
    }

    /// A bare ID is cut to 12 digits, a digest left out.
    fn image(&self) -> String {
        let image = &self.summary.image;
        if image.is_empty() {
            return "<no image>".into();
        }
        if self.whole {
            return image.clone();
        }
        let bare = image.strip_prefix("sha256:").unwrap_or(image);
        if id::is_full(bare) {
            return id::short(bare).to_string();
        }
        image
            .split_once('@')
            .map_or(image.as_str(), |(name, _)| name)
            .to_string()
    }

    /// `12B (virtual 4.2MB)`.
    fn size(&self) -> String {
        if let Some(bytes) = self.disk {
            return size::decimal(bytes);
        }
        let sizes = self.summary.sizes;
        let mut text = size::decimal(sizes.writable);
        if sizes.total > 0 {
            text.push_str(&format!(" (virtual {})", size::decimal(sizes.total)));
        }
        text
    }

    fn labels(&self) -> String {
        listing::labels(&self.summary.asked.config.labels)
    }

    fn mounts(&self) -> String {
        let mounts = self.summary.mounts();
        let cut = |(what, place): (&str, &str)| {
            // A tmpfs has no name but its place.
            let what = if what.is_empty() { place } else { what };
            if self.whole {
                what.to_string()
            } else {
                shorten(what, 15)
            }
        };
        mounts.map(cut).collect::<Vec<_>>().join(",")
    }

    fn platform(&self) -> Value {
        let mut parts = self.summary.asked.platform.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(os), Some(architecture), None) => json!({"architecture": architecture, "os": os}),
            (Some(os), Some(architecture), Some(variant)) => {
                json!({"architecture": architecture, "os": os, "variant": variant})
            }
            _ => Value::Null,
        }
    }
}
