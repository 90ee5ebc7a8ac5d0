//! `wherry builder prune`, `wherry buildx prune` and `wherry buildx du`.

use crate::build::keep::{self, Pruning, Record};
use crate::cli::{Asking, Front, Verb, stdout};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::text::{escape::visible, id, moment, size};
use std::fmt::Write;
use std::time::Duration;

#[derive(clap::Args)]
pub struct PruneArgs {
    /// Remove all unused build cache, not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Provide filter values (e.g. "until=24h")
    #[arg(long, value_name = "filter", value_parser = crate::cli::filter)]
    filter: Vec<(String, String)>,
    #[command(flatten)]
    asking: Asking,
    /// Amount of disk space to keep for cache
    #[arg(long, value_name = "bytes", value_parser = size::parse)]
    keep_storage: Option<i64>,
    /// Amount of disk space always allowed to keep for cache
    #[arg(long, value_name = "bytes", value_parser = size::parse)]
    reserved_space: Option<i64>,
    /// Maximum amount of disk space allowed to keep for cache
    #[arg(long, value_name = "bytes", value_parser = size::parse)]
    max_used_space: Option<i64>,
}

impl Verb for PruneArgs {
    fn run(self, _: &Front) -> Result<u8> {
        let which = match self.all {
            true => "all build cache",
            false => "all dangling build cache",
        };
        let keep = [self.keep_storage, self.reserved_space, self.max_used_space];
        let pruning = Pruning {
            all: self.all,
            until: until(&self.filter)?,
            keep: keep
                .into_iter()
                .flatten()
                .max()
                .map_or(0, |n| u64::try_from(n).unwrap_or(0)),
        };
        if !self
            .asking
            .may(&format!("WARNING! This will remove {which}."))?
        {
            return Ok(0);
        }
        let (gone, freed) = keep::prune(&Engine::open()?, &pruning)?;
        let mut out = String::new();
        if !gone.is_empty() {
            out += &table(&gone);
        }
        let _ = writeln!(out, "Total:\t{}", size::decimal4(freed));
        stdout::print(&out)?;
        Ok(0)
    }
}

fn until(filters: &[(String, String)]) -> Result<Option<Duration>> {
    let mut found = None;
    for (key, value) in filters {
        match key.as_str() {
            "until" | "unused-for" => {
                let bad = || Error::invalid(format!("invalid filter '{key}={value}'"));
                let duration = moment::duration(value).ok_or_else(bad)?;
                found = Some(Duration::try_from(duration).map_err(|_| bad())?);
            }
            _ => return Err(Error::invalid(format!("invalid filter '{key}'"))),
        }
    }
    Ok(found)
}

/// What the filters of `system prune` say about the age of what builds have
/// kept; `None`: they speak of what it does not have.
pub fn until_of(filters: &[(String, String)]) -> Option<Option<Duration>> {
    until(filters).ok()
}

#[derive(clap::Args)]
pub struct DuArgs {
    /// Provide a more verbose output
    #[arg(long)]
    verbose: bool,
}

impl Verb for DuArgs {
    fn run(self, _: &Front) -> Result<u8> {
        let records = keep::records(&Engine::open()?)?;
        let mut out = match self.verbose {
            true => records.iter().map(in_full).collect(),
            false => table(&records),
        };
        let sum = |shared: bool| {
            records
                .iter()
                .filter(|r| r.shared == shared)
                .map(|r| r.size)
                .sum::<u64>()
        };
        let (shared, own) = (sum(true), sum(false));
        if !records.is_empty() {
            out.push('\n');
        }
        let _ = write!(
            out,
            "Shared:\t\t{}\nPrivate:\t{}\nReclaimable:\t{}\nTotal:\t\t{}\n",
            size::decimal4(shared),
            size::decimal4(own),
            size::decimal4(own),
            size::decimal4(shared + own)
        );
        stdout::print(&out)?;
        Ok(0)
    }
}

fn table(records: &[Record]) -> String {
    let mut out = String::from("ID\t\tRECLAIMABLE\tSIZE\t\tLAST ACCESSED\tDESCRIPTION\n");
    for record in records {
        let shared = if record.shared { "*" } else { "" };
        let _ = writeln!(
            out,
            "{}{shared}\t{}\t\t{:<8}\t{}\t{}",
            id::short(&record.id),
            !record.shared,
            size::decimal4(record.size),
            ago(record),
            visible(&record.text)
        );
    }
    out
}

fn ago(record: &Record) -> String {
    let now = jiff::Timestamp::now();
    let then = jiff::Timestamp::try_from(record.used).unwrap_or(now);
    crate::text::time::ago(then, now)
}

fn in_full(record: &Record) -> String {
    format!(
        "ID:\t\t{}\nCreated at:\t{}\nReclaimable:\t{}\nShared:\t\t{}\nSize:\t\t{}\nDescription:\t{}\nType:\t\t{}\n\n",
        record.id,
        record.created,
        !record.shared,
        record.shared,
        size::decimal4(record.size),
        visible(&record.text),
        record.kind
    )
}
