//! What a Dockerfile comes to: with arguments, base images and a platform given,
//! the stages that the target needs, their steps, and the settings of the image
//! that each of them makes. Nothing is carried out, and nothing here depends on
//! what a step will do: so it is known before the first one begins.

mod arguments;
mod evaluate;
mod graph;
mod join;
pub mod mount;
mod path;
mod ports;
pub mod settings;

#[cfg(test)]
mod tests;

pub use join::plans;

use super::parse::heredoc::Heredoc;
use super::parse::place::Place;
use crate::error::Result;
use crate::image::{Digest, ImageConfig, Platform};
use mount::Mount;
use serde_json::Value;
use settings::Settings;
use std::collections::{BTreeMap, BTreeSet};

/// The search path of an image that has none of its own.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the command line says about the plan.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub target: String,
    /// `--build-arg`; without a value where the caller has none.
    pub arguments: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
    /// What TARGETPLATFORM is; one at least, each once.
    pub platforms: Vec<Platform>,
    /// `--build-context`.
    pub contexts: BTreeMap<String, Context>,
    /// `--allow network.host`, or the whole build has the host's network.
    pub allows_host_network: bool,
}

/// What a name of `--build-context` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    /// An image of this name.
    Image(String),
    /// A directory, an archive, a repository.
    Files,
}

/// An image that a stage begins with, or that files are taken from.
#[derive(Debug, Clone)]
pub struct Base {
    /// As it was named.
    pub name: String,
    pub manifest: Digest,
    pub config: ImageConfig,
    /// The whole configuration document.
    pub document: Value,
    /// The layers' blobs, lowest first.
    pub blobs: Vec<crate::image::Descriptor>,
}

/// The manifest says all; the rest is read from it.
impl PartialEq for Base {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.manifest) == (&other.name, &other.manifest)
    }
}

impl Base {
    /// As progress shows it: name and digest.
    pub fn shown(&self) -> String {
        match self.name.contains('@') {
            true => self.name.clone(),
            false => format!("{}@{}", self.name, self.manifest),
        }
    }
}

/// Where base images come from.
pub trait Images {
    /// The image for this platform, pulled when that is needed.
    fn image(&mut self, name: &str, platform: &Platform) -> Result<Base>;
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The build context.
    Context,
    /// `--build-context` of this name.
    Named(String),
    /// A place in [`Plan::stages`].
    Stage(usize),
    /// A place in [`Plan::images`].
    Image(usize),
    /// Nothing: `FROM scratch`, a new cache.
    Scratch,
}

#[derive(Debug, Default)]
pub struct Plan {
    /// Those that are needed; each only needs earlier ones.
    pub stages: Vec<Stage>,
    /// Images that files are taken from.
    pub images: Vec<Base>,
    /// The stages that are asked for, each with the platform it is built for.
    pub targets: Vec<Target>,
    /// Arguments that nothing has asked for.
    pub unused_arguments: Vec<String>,
    pub notes: Vec<Note>,
    /// What ADD wants of repositories; steps name them as [`Source::Named`].
    pub repositories: BTreeMap<String, Repository>,
}

/// What comes of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its place in [`Plan::stages`].
    pub place: usize,
    pub platform: Platform,
}

/// A repository that has to be fetched before the first step.
#[derive(Debug, Clone)]
pub struct Repository {
    /// `URL[#REF[:DIRECTORY]]`.
    pub url: String,
    /// With its history.
    pub keep_git_dir: bool,
    /// The commit that it must be, or how its name begins.
    pub checksum: Option<String>,
    pub place: Place,
}

/// What the build checks want to know of the evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A variable without a value, and what was perhaps meant.
    Unset {
        place: Place,
        name: String,
        near: Option<String>,
    },
    /// The same in `FROM`.
    UnsetInFrom {
        place: Place,
        name: String,
        near: Option<String>,
    },
    /// A relative `WORKDIR` and nothing to be relative to.
    RelativeWorkdir { place: Place, path: String },
}

#[derive(Debug, PartialEq)]
pub struct Stage {
    /// Its place in the Dockerfile.
    pub index: usize,
    /// Its name, or `stage-N`.
    pub title: String,
    /// There is no other in the file: titles are left out.
    pub is_alone: bool,
    pub begin: Begin,
    pub platform: Platform,
    pub steps: Vec<Step>,
    /// What the image of this stage says.
    pub settings: Settings,
    /// Steps of the Dockerfile that make layers, for `[2/5]`.
    pub count: usize,
    /// Always done again: `--no-cache-filter`.
    pub name: Option<String>,
    pub head: Place,
}

impl Plan {
    /// What stands in front of the numbers of a stage's steps: nothing, or words
    /// that end in a blank. Of several platforms a stage has its own.
    pub fn label(&self, place: usize) -> String {
        let stage = &self.stages[place];
        let platform = (self.targets.len() > 1).then(|| stage.platform.to_string());
        let title = (!stage.is_alone).then(|| stage.title.clone());
        let words = platform.into_iter().chain(title);
        words.map(|word| word + " ").collect()
    }
}

/// What a stage begins with.
#[derive(Debug, Clone, PartialEq)]
pub enum Begin {
    Scratch,
    /// An earlier stage in [`Plan::stages`].
    Stage(usize),
    Image(Box<Base>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub place: Place,
    /// What the user sees: `RUN make`.
    pub text: String,
    /// For the image's history.
    pub created_by: String,
    pub action: Action,
    /// Its number among those that make layers, from 1 (`FROM`).
    pub number: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Only the settings change.
    Settings,
    Run(Box<Run>),
    Copy(Box<Copy>),
    /// A directory that must be there; made as this user when it is not.
    Directory {
        path: String,
        user: String,
    },
}

/// A command in the stage's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// A file that is run instead, when a heredoc begins with `#!`.
    pub script: Option<Heredoc>,
    /// `NAME=value`, arguments included.
    pub env: Vec<String>,
    /// Names in `env` that neither keys nor the history may depend on.
    pub unkeyed: BTreeSet<String>,
    pub directory: String,
    pub user: String,
    pub mounts: Vec<Mount>,
    pub network: Option<String>,
}

/// Files put into the stage's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub add: bool,
    pub from: Source,
    pub sources: Vec<String>,
    pub contents: Vec<Heredoc>,
    /// Absolute; ends in a slash where a directory is meant.
    pub target: String,
    pub chown: Option<String>,
    pub chmod: Option<String>,
    pub link: bool,
    pub parents: bool,
    pub excludes: Vec<String>,
    pub checksum: Option<String>,
    pub keep_git_dir: bool,
    /// `None`: archives of the context are, remote ones are not.
    pub unpack: Option<bool>,
}
