//! `wherry system prune`.

use crate::build::keep::{self, Pruning};
use crate::cli::build::prune as build_prune;
use crate::cli::image::prune as image_prune;
use crate::cli::network::prune as network_prune;
use crate::cli::volume::prune as volume_prune;
use crate::cli::{Asking, Front, Verb, show, stdout};
use crate::container::network::operate;
use crate::container::volumes::{self, PruneFilters, Pruned};
use crate::container::{images, prune};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::text::size;
use jiff::tz::TimeZone;

#[derive(clap::Args)]
pub struct PruneArgs {
    /// Remove all unused images not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Provide filter values (e.g. "label=<key>=<value>")
    #[arg(long, value_name = "filter", value_parser = crate::cli::filter)]
    filter: Vec<(String, String)>,
    #[command(flatten)]
    asking: Asking,
    /// Prune anonymous volumes
    #[arg(long)]
    volumes: bool,
}

impl Verb for PruneArgs {
    fn run(self, front: &Front) -> Result<u8> {
        if self.volumes && self.filter.iter().any(|(key, _)| key == "until") {
            return Err(Error::invalid(
                "The \"until\" filter is not supported with \"--volumes\"",
            ));
        }
        let filters = prune::Filters::parse(&self.filter, &TimeZone::system())?;
        let of_volumes = match self.volumes {
            true => Some(PruneFilters::parse(false, &self.filter)?),
            false => None,
        };
        if !self.asking.may(&self.warning())? {
            return Ok(0);
        }
        let engine = Engine::open()?;
        let containers = prune::prune(&engine, &filters)?;
        let networks = operate::prune(&engine, &filters)?;
        let volumes = match of_volumes {
            Some(filters) => volumes::prune(&engine, &filters)?,
            None => Pruned::default(),
        };
        let until = build_prune::until_of(&self.filter);
        let images = images::prune(&engine, self.all, self.filter)?;
        let (cache, freed) = match until {
            Some(until) => keep::prune(
                &engine,
                &Pruning {
                    all: self.all,
                    until,
                    keep: 0,
                },
            )?,
            None => (Vec::new(), 0),
        };
        let mut out = String::new();
        if !containers.ids.is_empty() {
            out.push_str(&format!(
                "Deleted Containers:\n{}\n\n",
                containers.ids.join("\n")
            ));
        }
        out.push_str(&network_prune::deleted(&networks));
        out.push_str(&volume_prune::deleted(&volumes));
        out.push_str(&image_prune::deleted(&images));
        if !cache.is_empty() {
            let ids: Vec<&str> = cache.iter().map(|record| record.id.as_str()).collect();
            out.push_str(&format!(
                "Deleted build cache objects:\n{}\n\n",
                ids.join("\n")
            ));
        }
        let reclaimed = containers.reclaimed + volumes.reclaimed + images.freed + freed;
        let total = size::decimal4(reclaimed);
        out.push_str(&format!("Total reclaimed space: {total}\n"));
        stdout::print(&out)?;
        let failures = containers.failures.iter().chain(&volumes.failures);
        let failed = failures.map(|e| show(e, front)).max();
        Ok(failed.unwrap_or(0))
    }
}

impl PruneArgs {
    fn warning(&self) -> String {
        let mut text = String::from("WARNING! This will remove:\n  - all stopped containers\n");
        text.push_str("  - all networks not used by at least one container\n");
        if self.volumes {
            text.push_str("  - all anonymous volumes not used by at least one container\n");
        }
        text.push_str(match self.all {
            true => "  - all images without at least one container associated to them\n",
            false => "  - all dangling images\n",
        });
        text.push_str(match self.all {
            true => "  - all build cache\n",
            false => "  - unused build cache\n",
        });
        if !self.filter.is_empty() {
            text.push_str("\n  Items to be pruned will be filtered with:\n");
            for (key, value) in &self.filter {
                text.push_str(&format!("  - {key}={value}\n"));
            }
        }
        text
    }
}
