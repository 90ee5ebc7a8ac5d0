//! `wherry buildx ls`, `inspect` and `version`: there is one builder, this
//! program.

use crate::cli::{Front, Verb, stdout};
use crate::error::{Error, Result};
use crate::image::Platform;

const NAME: &str = "default";

#[derive(clap::Args)]
pub struct LsArgs {}

impl Verb for LsArgs {
    fn run(self, _: &Front) -> Result<u8> {
        stdout::print(&format!(
            "{:<16}{:<18}{:<10}{:<11}PLATFORMS\n{:<16}{:<18}\n{:<16}{:<18}{:<10}{:<11}{}\n",
            "NAME/NODE",
            "DRIVER/ENDPOINT",
            "STATUS",
            "BUILDKIT",
            format!("{NAME}*"),
            "wherry",
            format!(" \\_ {NAME}"),
            format!(" \\_ {NAME}"),
            "running",
            "none",
            platforms()
        ))?;
        Ok(0)
    }
}

#[derive(clap::Args)]
pub struct InspectArgs {
    /// Ensure builder has booted before inspecting
    #[arg(long)]
    bootstrap: bool,
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

impl Verb for InspectArgs {
    fn run(self, _: &Front) -> Result<u8> {
        if let Some(name) = self.name.filter(|name| name != NAME) {
            return Err(Error::not_found(format!("no builder {name:?} found")));
        }
        // It is always there: `--bootstrap` has nothing to wait for.
        let _ = self.bootstrap;
        stdout::print(&format!(
            "Name:   {NAME}\nDriver: wherry\n\nNodes:\nName:      {NAME}\nEndpoint:  {NAME}\nStatus:    running\nPlatforms: {}\n",
            platforms()
        ))?;
        Ok(0)
    }
}

#[derive(clap::Args)]
pub struct VersionArgs {}

impl Verb for VersionArgs {
    fn run(self, front: &Front) -> Result<u8> {
        stdout::line(&crate::cli::version_line(&front.program))?;
        Ok(0)
    }
}

fn platforms() -> String {
    let all = Platform::host().candidates();
    all.iter()
        .map(Platform::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
