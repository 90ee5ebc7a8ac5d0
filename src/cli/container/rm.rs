//! `wherry rm`.

use crate::cli::{Front, Verb, show, stdout};
use crate::container::remove::remove;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};

#[derive(clap::Args)]
pub struct RmArgs {
    /// Force the removal of a running container (uses SIGKILL)
    #[arg(short, long)]
    force: bool,
    /// Remove the specified link
    #[arg(short, long)]
    link: bool,
    /// Remove anonymous volumes associated with the container
    #[arg(short, long)]
    volumes: bool,
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Verb for RmArgs {
    fn run(self, front: &Front) -> Result<u8> {
        if self.link {
            return Err(Error::unsupported(
                "rm --link is not supported: there are no legacy links",
            ));
        }
        let engine = Engine::open()?;
        let mut worst = 0;
        for name in &self.containers {
            match remove(&engine, name, self.force, self.volumes) {
                Ok(()) => stdout::line(name)?,
                // As Docker: `rm -f` of what is not there says so and succeeds.
                Err(e) if self.force && e.kind() == Kind::NotFound => {
                    show(&e, front);
                }
                Err(e) => {
                    show(&e, front);
                    worst = 1;
                }
            }
        }
        Ok(worst)
    }
}
