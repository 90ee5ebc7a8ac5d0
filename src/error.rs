//! The one error type of the crate.
//!
//! A [`Kind`] says what sort of failure it is and alone decides the exit
//! status (and, for an API server, the HTTP status); words never do. The
//! message is one sentence without a full stop that names the object and ends
//! in the cause; the hint says what the user can do about it.

use crate::host::Need;
use std::fmt;

/// What sort of failure happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line cannot be understood (a flag): status 125.
    Usage,
    /// An argument, file or document has a value that makes no sense.
    Invalid,
    /// A named object does not exist.
    NotFound,
    /// The object is in a state, or in use, such that this cannot be done now.
    Conflict,
    /// Permission or credentials are missing.
    Denied,
    /// This host, kernel or wherry itself cannot do it.
    Unsupported,
    /// A registry, helper or device did not answer; trying again may help.
    Unavailable,
    /// The container's command exists but cannot be executed: status 126.
    NotExecutable,
    /// The container's command does not exist: status 127.
    NoSuchCommand,
    /// The caller's own streams are not fit for it: status 1, also of `run`.
    Streams,
    /// A `--format` template cannot be parsed: status 64 where Docker gives it.
    Template,
    /// Ends with this status and prints nothing (a container's own status).
    Exit(u8),
    /// The reader of our output went away.
    BrokenPipe,
    /// A system call failed where it should not, or a defect of ours.
    Internal,
}

/// The kinds that can cross from one process to another, by number.
const NUMBERED: [Kind; 12] = [
    Kind::Internal,
    Kind::Usage,
    Kind::Invalid,
    Kind::NotFound,
    Kind::Conflict,
    Kind::Denied,
    Kind::Unsupported,
    Kind::Unavailable,
    Kind::NotExecutable,
    Kind::NoSuchCommand,
    Kind::Template,
    Kind::BrokenPipe,
];

impl Kind {
    /// For messages between our own processes.
    pub fn number(self) -> u8 {
        NUMBERED.iter().position(|&k| k == self).unwrap_or(0) as u8
    }
    pub fn from_number(number: u8) -> Self {
        NUMBERED
            .get(usize::from(number))
            .copied()
            .unwrap_or(Self::Internal)
    }
}

/// The status that Docker records for a container whose program could not be
/// started, and that `run` and `exec` end with.
pub fn container_status(kind: Kind) -> i32 {
    match kind {
        Kind::NotExecutable => 126,
        Kind::NoSuchCommand => 127,
        Kind::Exit(status) => i32::from(status),
        _ => 125,
    }
}

/// An error: kind, sentence, optional cause and hint.
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            source: None,
        }
    }
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(Kind::Denied, message)
    }
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }
    /// A status to end with; nothing is printed.
    pub fn exit(status: u8) -> Self {
        Self::new(Kind::Exit(status), String::new())
    }

    /// What can be done about it: printed on a `hint:` line of its own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// The error underneath, shown with `--debug`.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
    /// The same failure, told from further out: `outer: inner`.
    #[must_use]
    pub fn within(mut self, outer: impl fmt::Display) -> Self {
        self.message = format!("{outer}: {}", self.message);
        self
    }
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }
    pub fn message(&self) -> &str {
        &self.message
    }
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " (hint: {hint})")?;
        }
        if let Some(source) = &self.source {
            write!(f, " (cause: {source:?})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}

/// Puts a sentence in front of a system error: `cannot open "x": Permission denied`.
pub trait Context<T> {
    /// `message` is only made when there is an error.
    fn context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|e| from_io(&e, message().into()))
    }
}

impl<T> Context<T> for nix::Result<T> {
    fn context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|e| from_io(&std::io::Error::from(e), message().into()))
    }
}

impl<T> Context<T> for serde_json::Result<T> {
    fn context<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|e| Error::invalid(format!("{}: {e}", message().into())))
    }
}

fn from_io(e: &std::io::Error, message: String) -> Error {
    use std::io::ErrorKind as K;
    let kind = match e.kind() {
        K::NotFound => Kind::NotFound,
        K::PermissionDenied => Kind::Denied,
        _ => Kind::Internal,
    };
    let error = Error::new(kind, format!("{message}: {}", reason(e)));
    match e.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => error.hint(Need::DiskSpace.hint()),
        Some(libc::EMFILE) => error.hint(Need::OpenFiles.hint()),
        _ => error,
    }
}

/// The text of a system error as strerror(3) has it, without Rust's
/// `(os error N)`, in lower case as Docker prints it.
pub fn reason(e: &std::io::Error) -> String {
    let text = match e.raw_os_error() {
        Some(errno) => nix::errno::Errno::from_raw(errno).desc().to_string(),
        None => e.to_string(),
    };
    let mut chars = text.chars();
    match chars.next() {
        // "No such file" becomes "no such file"; "I/O error" stays.
        Some(first) if chars.as_str().starts_with(char::is_lowercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text,
    }
}
