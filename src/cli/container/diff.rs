//! `wherry diff`.

use crate::cli::{Front, Verb, stdout};
use crate::container::changes::changes;
use crate::engine::Engine;
use crate::error::Result;

#[derive(clap::Args)]
pub struct DiffArgs {
    #[arg(required = true, value_name = "CONTAINER")]
    container: String,
}

impl Verb for DiffArgs {
    fn run(self, _front: &Front) -> Result<u8> {
        let mut out = Vec::new();
        for (kind, path) in changes(&Engine::open()?, &self.container)? {
            out.extend_from_slice(format!("{} ", kind.letter()).as_bytes());
            out.extend_from_slice(&path);
            out.push(b'\n');
        }
        match stdout::is_terminal() {
            true => stdout::print(&String::from_utf8_lossy(&out))?,
            false => stdout::bytes(&out)?,
        }
        Ok(0)
    }
}
