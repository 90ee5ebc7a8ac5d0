//! `wherry network rm`.

use crate::cli::{Front, Verb, show, stdout};
use crate::container::network::operate::remove;
use crate::container::sweep::sweep;
use crate::engine::Engine;
use crate::error::{Kind, Result};

#[derive(clap::Args)]
pub struct RmArgs {
    /// Do not error if the network does not exist
    #[arg(short, long)]
    force: bool,
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

impl Verb for RmArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        sweep(&engine);
        let mut worst = 0;
        for name in &self.networks {
            match remove(&engine, name) {
                Ok(()) => stdout::line(name)?,
                Err(e) if self.force && e.kind() == Kind::NotFound => {}
                Err(e) => {
                    show(&e, front);
                    worst = 1;
                }
            }
        }
        Ok(worst)
    }
}
