//! `wherry port`.

use crate::cli::{Front, Verb, stdout};
use crate::container::ports;
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct PortArgs {
    #[arg(value_name = "CONTAINER")]
    container: String,
    #[arg(value_name = "PRIVATE_PORT[/PROTO]")]
    port: Option<String>,
}

impl Verb for PortArgs {
    fn run(self, _: &Front) -> Result<u8> {
        let lines = ports::published(&Engine::open()?, &self.container, self.port.as_deref())?;
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        stdout::print(&text)?;
        Ok(0)
    }
}
