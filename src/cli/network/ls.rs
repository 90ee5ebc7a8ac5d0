//! `wherry network ls`.

use crate::cli::{Front, Verb, listing};
use crate::container::network::operate::{Wanted, list};
use crate::engine::Engine;
use crate::error::Result;
use crate::network::record::Network;
use crate::output::list::{Field, Row, label_header};
use crate::text::{id, time};
use serde_json::Value;

#[derive(clap::Args)]
pub struct LsArgs {
    /// Provide filter values (e.g. "driver=bridge")
    #[arg(short, long, value_name = "filter", value_parser = crate::cli::filter)]
    filter: Vec<(String, String)>,
    /// Format output using a custom template: 'table', 'table TEMPLATE',
    /// 'json', or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Do not truncate the output
    #[arg(long)]
    no_trunc: bool,
    /// Only display network IDs
    #[arg(short, long)]
    quiet: bool,
}

const TABLE: &str = "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";
const RAW: &str = "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n";

impl Verb for LsArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let given = self.format.as_deref();
        let quiet = self.quiet.then_some("{{.ID}}");
        let format = listing::format(front, given, quiet, "networksFormat", (TABLE, RAW))?;
        let networks = list(&Engine::open()?, &Wanted::parse(self.filter)?)?;
        let rows: Vec<Line> = networks
            .into_iter()
            .map(|network| Line {
                network,
                whole: self.no_trunc,
            })
            .collect();
        listing::print(&format, &rows)
    }
}

/// A row.
struct Line {
    network: Network,
    /// `--no-trunc`.
    whole: bool,
}

impl Row for Line {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "CreatedAt",
            header: "CREATED AT",
            get: |l| {
                time::parse(&l.network.created)
                    .map(time::local_nanos)
                    .unwrap_or_default()
                    .into()
            },
        },
        Field {
            name: "Driver",
            header: "DRIVER",
            get: |l| l.network.driver.as_str().into(),
        },
        Field {
            name: "ID",
            header: "NETWORK ID",
            get: |l| {
                match l.whole {
                    true => l.network.id.as_str(),
                    false => id::short(&l.network.id),
                }
                .into()
            },
        },
        Field {
            name: "IPv4",
            header: "IPV4",
            get: |l| l.network.enable_ipv4.to_string().into(),
        },
        Field {
            name: "IPv6",
            header: "IPV6",
            get: |l| l.network.enable_ipv6.to_string().into(),
        },
        Field {
            name: "Internal",
            header: "INTERNAL",
            get: |l| l.network.internal.to_string().into(),
        },
        Field {
            name: "Labels",
            header: "LABELS",
            get: |l| listing::labels(&l.network.labels).into(),
        },
        Field {
            name: "Name",
            header: "NAME",
            get: |l| l.network.name.as_str().into(),
        },
        Field {
            name: "Scope",
            header: "SCOPE",
            get: |l| l.network.scope.as_str().into(),
        },
    ];
    const TYPE: &'static str = "*formatter.networkContext";

    fn method(&self, name: &str, args: &[Value]) -> Option<std::result::Result<Value, String>> {
        if name != "Label" {
            return None;
        }
        let key = args.first().and_then(Value::as_str).unwrap_or_default();
        let value = self.network.labels.get(key).cloned().unwrap_or_default();
        Some(Ok(value.into()))
    }

    fn method_header(name: &str, args: &[Value]) -> Option<String> {
        (name == "Label").then(|| label_header(args)).flatten()
    }
}
