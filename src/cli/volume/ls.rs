//! `wherry volume ls`.

use crate::cli::{Front, Verb, listing};
use crate::container::volumes::{self, Filters};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::output::list::{Field, Row, label_header};
use crate::text::size;
use crate::volume::Volume;
use serde_json::Value;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct LsArgs {
    /// Provide filter values (e.g. "dangling=true")
    #[arg(short, long, value_name = "filter", value_parser = crate::cli::filter)]
    filter: Vec<(String, String)>,
    /// Format output using a custom template: 'table', 'table TEMPLATE',
    /// 'json', or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Only display volume names
    #[arg(short, long)]
    quiet: bool,
    /// Refused: there are no cluster volumes
    #[arg(long, hide = true)]
    cluster: bool,
}

const TABLE: &str = "{{.Driver}}\t{{.Name}}";
const RAW: &str = "name: {{.Name}}\ndriver: {{.Driver}}\n";
const NONE: &str = "N/A";

impl Verb for LsArgs {
    fn run(self, front: &Front) -> Result<u8> {
        if self.cluster {
            return Err(Error::unsupported(
                "--cluster is not supported: there are no swarms, and so no cluster volumes",
            ));
        }
        let given = self.format.as_deref();
        let quiet = self.quiet.then_some("{{.Name}}");
        let format = listing::format(front, given, quiet, "volumesFormat", (TABLE, RAW))?;
        listing::check::<Line>(&format)?;
        let filters = Filters::parse(&self.filter)?;
        let engine = Engine::open()?;
        let rows: Vec<Line> = volumes::list(&engine, &filters)?
            .into_iter()
            .map(|volume| Line {
                place: engine.paths.volume_data(&volume.name),
                volume,
                disk: None,
            })
            .collect();
        listing::print(&format, &rows)
    }
}

/// A row: one volume.
pub struct Line {
    pub volume: Volume,
    pub place: PathBuf,
    /// What `system df` tells more: its users and bytes.
    pub disk: Option<(usize, u64)>,
}

impl Row for Line {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "Availability",
            header: "AVAILABILITY",
            get: |_| NONE.into(),
        },
        Field {
            name: "Driver",
            header: "DRIVER",
            get: |l| l.volume.driver.as_str().into(),
        },
        Field {
            name: "Group",
            header: "GROUP",
            get: |_| NONE.into(),
        },
        Field {
            name: "Labels",
            header: "LABELS",
            get: |l| listing::labels(l.volume.labels.iter().flatten()).into(),
        },
        Field {
            name: "Links",
            header: "LINKS",
            get: |l| {
                l.disk
                    .map_or(NONE.into(), |(users, _)| users.to_string())
                    .into()
            },
        },
        Field {
            name: "Mountpoint",
            header: "MOUNTPOINT",
            get: |l| l.place.display().to_string().into(),
        },
        Field {
            name: "Name",
            header: "VOLUME NAME",
            get: |l| l.volume.name.as_str().into(),
        },
        Field {
            name: "Scope",
            header: "SCOPE",
            get: |_| "local".into(),
        },
        Field {
            name: "Size",
            header: "SIZE",
            get: |l| {
                l.disk
                    .map_or(NONE.into(), |(_, bytes)| size::decimal(bytes))
                    .into()
            },
        },
        Field {
            name: "Status",
            header: "STATUS",
            get: |_| NONE.into(),
        },
    ];
    const TYPE: &'static str = "*formatter.volumeContext";

    fn method(&self, name: &str, args: &[Value]) -> Option<std::result::Result<Value, String>> {
        (name == "Label").then(|| {
            let key = args.first().and_then(Value::as_str).unwrap_or_default();
            let value = self.volume.label(key).map_or("", String::as_str);
            Ok(value.into())
        })
    }

    fn method_header(name: &str, args: &[Value]) -> Option<String> {
        (name == "Label").then(|| label_header(args)).flatten()
    }
}
