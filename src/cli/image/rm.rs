//! `wherry rmi`.

use crate::cli::{Front, Verb, show, stdout};
use crate::container::images;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::image::Platform;
use crate::store::Removal;

#[derive(clap::Args)]
pub struct RmArgs {
    /// Force removal of the image
    #[arg(short, long)]
    force: bool,
    /// Do not delete untagged parents
    // Images have no parents here, so there is none to delete either way.
    #[arg(long)]
    no_prune: bool,
    /// Remove only the given platform variant (as "os[/arch[/variant]]")
    #[arg(long, value_name = "strings", value_delimiter = ',')]
    platform: Vec<Platform>,
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl Verb for RmArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let engine = Engine::open()?;
        let mut worst = 0;
        for name in &self.images {
            match self.remove(&engine, name) {
                Ok(done) => {
                    let lines: String = done.iter().map(|step| format!("{step}\n")).collect();
                    stdout::print(&lines)?;
                }
                // As Docker: `rmi -f` of what is not there says so and succeeds.
                Err(e) if self.force && e.kind() == Kind::NotFound => {
                    show(&e, front);
                }
                Err(e) => {
                    show(&e, front);
                    worst = 1;
                }
            }
        }
        images::collect(&engine)?;
        Ok(worst)
    }
}

impl RmArgs {
    fn remove(&self, engine: &Engine, name: &str) -> Result<Vec<Removal>> {
        if !self.platform.is_empty() {
            let found = images::find(engine, name, &self.platform)?;
            if found.id != engine.store()?.resolve(name)?.id {
                return Err(Error::unsupported(format!(
                    "--platform is not supported for one of the other platforms that {name} is kept for"
                ))
                .hint("without --platform all of them are removed"));
            }
        }
        images::remove(engine, name, self.force)
    }
}
