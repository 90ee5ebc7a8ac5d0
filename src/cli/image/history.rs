//! `wherry history`.

use crate::cli::{Front, Verb, listing};
use crate::container::images;
use crate::engine::Engine;
use crate::error::Result;
use crate::image::Platform;
use crate::output::list::{Field, Row};
use crate::store::Step;
use crate::text::{shorten, size, time};
use jiff::Timestamp;

#[derive(clap::Args)]
pub struct HistoryArgs {
    /// Format output using a custom template: 'table', 'table TEMPLATE',
    /// 'json', or a Go template
    #[arg(long)]
    format: Option<String>,
    /// Print sizes and dates in human readable format
    #[arg(short = 'H', long, default_value_t = true)]
    human: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Show history for the given platform (as "os[/arch[/variant]]")
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    #[arg(required = true, value_name = "IMAGE")]
    image: String,
}

const TABLE: &str = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
const EXACT: &str = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

impl Verb for HistoryArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let given = self.format.as_deref().unwrap_or_default();
        let text = match given {
            "" | "table" if self.quiet => "{{.ID}}",
            given => given,
        };
        let table = if self.human { TABLE } else { EXACT };
        let format = listing::parse(text, table, text)?;
        let platform = self.platform.as_deref().map(Platform::parse).transpose();
        let engine = Engine::open()?;
        let image = images::find(&engine, &self.image, platform?.as_slice())?;
        let now = Timestamp::now();
        let rows: Vec<Line> = engine
            .store()?
            .history(&image)?
            .into_iter()
            .map(|step| Line {
                step,
                now,
                whole: self.no_trunc,
                human: self.human,
            })
            .collect();
        listing::print(&format, &rows)
    }
}

/// A row.
struct Line {
    step: Step,
    now: Timestamp,
    /// `--no-trunc`.
    whole: bool,
    human: bool,
}

impl Row for Line {
    const FIELDS: &'static [Field<Self>] = &[
        Field {
            name: "Comment",
            header: "COMMENT",
            get: |l| l.step.comment.as_str().into(),
        },
        Field {
            name: "CreatedAt",
            header: "CREATED AT",
            get: |l| l.created_at().into(),
        },
        Field {
            name: "CreatedBy",
            header: "CREATED BY",
            get: |l| l.created_by().into(),
        },
        Field {
            name: "CreatedSince",
            header: "CREATED",
            get: |l| match l.step.created {
                Some(time) if l.human => time::ago(time, l.now).into(),
                _ => l.created_at().into(),
            },
        },
        Field {
            name: "ID",
            header: "IMAGE",
            get: |l| match &l.step.id {
                None => "<missing>".into(),
                Some(id) if l.whole => id.as_str().into(),
                Some(id) => id.short().into(),
            },
        },
        Field {
            name: "Size",
            header: "SIZE",
            get: |l| match l.human {
                true => size::decimal(l.step.size).into(),
                false => l.step.size.to_string().into(),
            },
        },
    ];
    const TYPE: &'static str = "*history.historyContext";
}

impl Line {
    fn created_at(&self) -> String {
        self.step
            .created
            .map_or_else(|| "N/A".into(), time::local_rfc3339)
    }

    fn created_by(&self) -> String {
        let line = self.step.created_by.replace('\t', " ");
        match self.whole {
            true => line,
            false => shorten(&line, 45),
        }
    }
}
