//! One error type for the whole framework: a kind chosen by what the caller should do, a message that names the thing,
//! and the cause.

use std::fmt;

/// What the caller of a failed call should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing is wrong with the request or the data; the same call may succeed later.
    TryAgain,
    /// A part of the answer is known to be missing (a lost range); a partial read answers without it.
    Incomplete,
    /// The request, the settings or the input must be changed.
    InvalidRequest,
    /// Stored data contradicts itself or cannot be decoded.
    CorruptData,
    /// The component was closed, or another owner fenced it.
    Closed,
    /// An invariant of ours is broken.
    Bug,
}

impl ErrorKind {
    /// The exit code of a job binary: 1 invalid request, 3 try again, 4 corrupt data, 5 closed or fenced, 6 incomplete,
    /// 70 bug. (0 is success, 2 a usage error of the command line.)
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::InvalidRequest => 1,
            Self::TryAgain => 3,
            Self::CorruptData => 4,
            Self::Closed => 5,
            Self::Incomplete => 6,
            Self::Bug => 70,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TryAgain => "try again",
            Self::Incomplete => "incomplete",
            Self::InvalidRequest => "invalid request",
            Self::CorruptData => "corrupt data",
            Self::Closed => "closed",
            Self::Bug => "bug",
        })
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// An opaque error. The message starts in lower case, names the key, batch, offset, file or option, and says the repair.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    repair: Option<String>,
    source: Option<Cause>,
}

/// A result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            repair: None,
            source: None,
        }))
    }
    /// The request must be changed.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message)
    }
    /// Stored data is wrong.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::CorruptData, message)
    }
    /// May succeed later.
    pub fn try_again(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TryAgain, message)
    }
    /// Fenced or closed.
    pub fn closed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Closed, message)
    }
    /// A broken invariant of ours.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }
    /// An input or output error on a file: missing and forbidden files are the caller's to repair, the rest may pass.
    pub fn io(what: &str, path: &std::path::Path, e: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match e.kind() {
            Io::NotFound | Io::PermissionDenied | Io::NotADirectory | Io::IsADirectory | Io::InvalidInput => {
                ErrorKind::InvalidRequest
            }
            Io::InvalidData | Io::UnexpectedEof => ErrorKind::CorruptData,
            _ => ErrorKind::TryAgain,
        };
        Self::new(kind, format!("{what} {}: {e}", path.display())).caused_by(e)
    }
    /// Keeps the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Cause>) -> Self {
        self.0.source = Some(source.into());
        self
    }
    /// Puts the place in front of the message: "store `counts`: ...".
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }
    /// Says what repairs it: the text has it behind the message, and programs can show it by itself.
    #[must_use]
    pub fn repaired_by(mut self, repair: impl Into<String>) -> Self {
        self.0.repair = Some(repair.into());
        self
    }
    /// What repairs it, where that was said by itself.
    pub fn repair(&self) -> Option<&str> {
        self.0.repair.as_deref()
    }
    /// The message without the repair that was said by itself.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.repair {
            // A question is answered.
            Some(repair) if self.0.message.ends_with('?') => write!(f, " {repair}"),
            Some(repair) => write!(f, ": {repair}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({})", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as _)
    }
}
