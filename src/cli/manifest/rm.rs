//! `wherry manifest rm`.

use crate::cli::{Front, Verb, show};
use crate::engine::Engine;
use crate::error::Result;
use crate::image::Reference;
use crate::transfer::manifests::Lists;

#[derive(clap::Args)]
pub struct RmArgs {
    #[arg(required = true, value_name = "MANIFEST_LIST")]
    lists: Vec<String>,
}

impl Verb for RmArgs {
    fn run(self, front: &Front) -> Result<u8> {
        let lists = Lists::new(&Engine::open()?.paths);
        let mut worst = 0;
        for name in &self.lists {
            let removed = Reference::parse(name).and_then(|name| lists.remove(&name));
            if let Err(e) = removed {
                worst = show(&e, front);
            }
        }
        Ok(worst)
    }
}
