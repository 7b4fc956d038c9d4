//! Checks as values: each is told as it is made, and whoever asked says what becomes of it.

use serde_json::{Value, json};

use crate::app::out;
use crate::core::{Error, ErrorKind, Result};

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::app) enum Verdict {
    Ok,
    /// What works now, and may not later.
    Warn,
    Fail,
    /// It was not made: what it looks at, or looks by, cannot be had. Why is said by another one.
    Skip,
}

impl Verdict {
    /// For programs.
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// One check that was made, or could not be.
#[derive(Clone, Debug)]
pub(in crate::app) struct Found {
    pub(in crate::app) verdict: Verdict,
    /// What was looked at; empty: the text says it.
    pub(in crate::app) check: String,
    pub(in crate::app) said: String,
    /// Of a failure.
    pub(in crate::app) kind: Option<ErrorKind>,
    /// What repairs it, where that is known by itself.
    pub(in crate::app) repair: Option<String>,
}

impl Found {
    /// For people.
    fn text(&self) -> String {
        let mark = match self.verdict {
            Verdict::Ok => "ok  ",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
            Verdict::Skip => "skip",
        };
        match self.check.as_str() {
            "" => format!("{mark}  {}", self.said),
            what => format!("{mark}  {what}: {}", self.said),
        }
    }
    /// For programs.
    pub(in crate::app) fn json(&self) -> Value {
        let mut line =
            json!({ "event": "check", "status": self.verdict.word(), "check": self.check, "says": self.said });
        if let Some(kind) = self.kind {
            line["kind"] = json!(out::kind(kind));
            line["repair"] = json!(self.repair);
        }
        line
    }
    /// On standard output.
    pub(super) fn print(&self) {
        out::say(|| self.text(), || self.json());
    }
}

/// Tells each check as it is made, and keeps the worst.
pub(in crate::app) struct Checks<'t> {
    tell: &'t mut dyn FnMut(Found),
    worst: Option<Error>,
    /// Whether nobody wants to know any more.
    over: &'t dyn Fn() -> bool,
}

/// The worse comes later.
fn rank(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::TryAgain => 0,
        ErrorKind::InvalidRequest => 1,
        ErrorKind::Closed => 2,
        ErrorKind::Incomplete => 3,
        ErrorKind::CorruptData => 4,
        _ => 5,
    }
}

impl<'t> Checks<'t> {
    pub(in crate::app) fn new(tell: &'t mut dyn FnMut(Found)) -> Self {
        Self {
            tell,
            worst: None,
            over: &|| false,
        }
    }
    /// The same for who may have to end before all of them are made: what is under way is ended.
    #[cfg(feature = "server")]
    pub(in crate::app) fn until(self, over: &'t dyn Fn() -> bool) -> Self {
        Self { over, ..self }
    }
    /// Looked at before each one that may take long.
    pub(super) fn are_over(&self) -> bool {
        (self.over)()
    }
    fn say(&mut self, verdict: Verdict, what: &str, said: &str) {
        (self.tell)(Found {
            verdict,
            check: what.into(),
            said: said.into(),
            kind: None,
            repair: None,
        });
    }
    pub(super) fn ok(&mut self, what: &str, found: &str) {
        self.say(Verdict::Ok, what, found);
    }
    pub(super) fn warn(&mut self, what: &str, found: &str) {
        self.say(Verdict::Warn, what, found);
    }
    /// `for_want_of`: what is not there to look at it.
    pub(super) fn skip(&mut self, what: &str, for_want_of: &str) {
        self.say(Verdict::Skip, what, &format!("not looked at: {for_want_of}"));
    }
    pub(in crate::app) fn fail(&mut self, what: &str, e: Error) {
        (self.tell)(Found {
            verdict: Verdict::Fail,
            check: what.into(),
            said: e.to_string(),
            kind: Some(e.kind()),
            repair: e.repair().map(str::to_string),
        });
        if self
            .worst
            .as_ref()
            .is_none_or(|worst| rank(worst.kind()) < rank(e.kind()))
        {
            self.worst = Some(e);
        }
    }
    pub(super) fn check(&mut self, what: &str, result: Result<String>) {
        match result {
            Ok(found) => self.ok(what, &found),
            Err(e) => self.fail(what, e),
        }
    }
    /// # Errors
    /// The worst, of its kind.
    pub(super) fn done(self) -> Result<()> {
        match self.worst {
            None => Ok(()),
            Some(worst) => Err(Error::new(worst.kind(), format!("not all is well: {worst}"))),
        }
    }
}
