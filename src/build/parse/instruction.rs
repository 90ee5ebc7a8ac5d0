//! What an instruction says, still with its variables.

use super::heredoc::Heredoc;
use super::place::Place;

/// One instruction of a stage (or an `ARG` before all stages).
#[derive(Debug, Clone)]
pub struct Instruction {
    pub place: Place,
    /// In capitals.
    pub name: &'static str,
    /// As it stands there, continuations joined.
    pub text: String,
    /// The comment above it.
    pub comment: Vec<String>,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    From(From),
    Run(Run),
    /// COPY and ADD.
    Copy(Copy),
    Env(Vec<Pair>),
    Label(Vec<Pair>),
    Arg(Vec<Argument>),
    Workdir(String),
    User(String),
    Expose(Vec<String>),
    Volume(Vec<String>),
    Entrypoint(Command),
    Cmd(Command),
    Shell(Vec<String>),
    StopSignal(String),
    Healthcheck(Healthcheck),
    OnBuild(String),
    Maintainer(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    pub image: String,
    pub platform: Option<String>,
    /// As it was typed.
    pub alias: Option<String>,
    /// The word between image and alias as it was typed.
    pub as_word: String,
}

/// In shell form a line for the stage's shell, in exec form words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Shell(String),
    Exec(Vec<String>),
}

impl Command {
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Shell(line) => line.is_empty(),
            Self::Exec(words) => words.is_empty(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub command: Command,
    pub heredocs: Vec<Heredoc>,
    /// `--mount` as given, still with variables.
    pub mounts: Vec<String>,
    pub network: Option<String>,
    pub security: Option<String>,
    pub devices: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copy {
    /// ADD.
    pub add: bool,
    pub sources: Vec<String>,
    /// Files whose content is in the Dockerfile; their names are `name`.
    pub contents: Vec<Heredoc>,
    pub target: String,
    pub from: Option<String>,
    pub chown: Option<String>,
    pub chmod: Option<String>,
    pub link: bool,
    pub parents: bool,
    pub excludes: Vec<String>,
    pub checksum: Option<String>,
    pub keep_git_dir: Option<bool>,
    pub unpack: Option<bool>,
}

/// `NAME=value` of ENV and LABEL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub name: String,
    pub value: String,
    /// Written `NAME value`.
    pub legacy: bool,
}

/// `NAME[=default]` of ARG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    pub name: String,
    pub default: Option<String>,
}

/// Times are nanoseconds, 0 where they are not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `NONE`, or `CMD` and words, or `CMD-SHELL` and a line.
    pub test: Vec<String>,
    pub interval: i64,
    pub timeout: i64,
    pub start_period: i64,
    pub start_interval: i64,
    pub retries: i64,
}
