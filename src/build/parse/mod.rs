//! The Dockerfile language in passes: text to logical lines (`lines`), lines to
//! instructions (`read`), instructions to stages (here), variables (`expand`).
//! Nothing here touches a disk.

pub mod heredoc;
pub mod instruction;
pub mod lines;
mod options;
pub mod place;
pub mod read;

#[cfg(test)]
mod tests;

pub use crate::text::dockerfile::{expand, words};
use instruction::{From, Instruction, Kind};
use lines::{Directives, Line};
use place::{Fault, Parsed};

/// A Dockerfile, read.
#[derive(Debug)]
pub struct Dockerfile {
    pub directives: Directives,
    /// `ARG` before the first `FROM`.
    pub global: Vec<Instruction>,
    pub stages: Vec<Stage>,
    /// The lines that it was read from, for the checks.
    pub lines: Vec<Line>,
}

/// `FROM` and what follows it.
#[derive(Debug, Clone)]
pub struct Stage {
    pub from: From,
    /// The `FROM` itself.
    pub head: Instruction,
    /// In lower case, as it is looked up.
    pub name: Option<String>,
    pub body: Vec<Instruction>,
}

impl Dockerfile {
    pub fn parse(text: &[u8]) -> Parsed<Self> {
        let lines::Lines { directives, lines } = lines::read(text)?;
        let mut global = Vec::new();
        let mut stages: Vec<Stage> = Vec::new();
        for line in &lines {
            let one = read::instruction(line, directives.escape)?;
            match (&one.kind, stages.last_mut()) {
                (Kind::From(from), _) => {
                    let name = from.alias.as_ref().map(|alias| alias.to_ascii_lowercase());
                    stages.push(Stage {
                        from: from.clone(),
                        head: one,
                        name,
                        body: Vec::new(),
                    });
                }
                (_, Some(stage)) => stage.body.push(one),
                (Kind::Arg(_), None) => global.push(one),
                (_, None) => {
                    return Err(line
                        .fault("no build stage in current context")
                        .hint("FROM comes first; only ARG may stand before it"));
                }
            }
        }
        if stages.is_empty() {
            return Err(Fault::from(crate::error::Error::invalid(
                "no build stage in current context",
            )));
        }
        Ok(Self {
            directives,
            global,
            stages,
            lines,
        })
    }

    /// The last stage of this name, if any; as the target one by its number too.
    pub fn stage(&self, name: &str) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        self.stages
            .iter()
            .rposition(|stage| stage.name.as_ref() == Some(&name))
    }

    /// `--target`: a name or a number; nothing is the last stage.
    pub fn target(&self, wanted: &str) -> Option<usize> {
        if wanted.is_empty() {
            return Some(self.stages.len() - 1);
        }
        self.stage(wanted)
            .or_else(|| wanted.parse().ok().filter(|n| *n < self.stages.len()))
    }
}
