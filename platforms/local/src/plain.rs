//! Reading a file as it is: blocks straight into the batch.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use rufous_core::{Error, RecordBatch, Result};

use crate::header::HeaderLine;
use crate::ident::{HEAD, Head, after_last_newline, read_at};
use crate::split::Rules;
use crate::survey::REPAIR;
use crate::unpack::FromStart;

/// One plain file and the position in it.
pub(crate) struct Plain {
    pub(crate) file: Arc<File>,
    pub(crate) path: PathBuf,
    position: u64,
    /// The length of a file that is complete; `None` when it may grow.
    whole: Option<u64>,
    want: usize,
    /// There is no newline between the position and this length.
    tried: u64,
    /// As many of the first bytes as were read here: more than the registry knows of a file that began short.
    head: Option<Head>,
    header: HeaderLine,
}

impl Plain {
    pub(crate) fn new(file: Arc<File>, path: PathBuf, position: u64, whole: Option<u64>, rules: &Rules) -> Self {
        Self {
            file,
            path,
            position,
            whole,
            want: rules.block,
            tried: 0,
            head: None,
            header: HeaderLine::default(),
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next records; `false` when there are none now.
    pub(crate) fn fill(&mut self, rules: &Rules, into: &mut RecordBatch) -> Result<bool> {
        let length = self
            .file
            .metadata()
            .map_err(|e| Error::io("cannot look at", &self.path, e))?
            .len();
        let end = self.whole.unwrap_or(length);
        if length < self.position.max(self.whole.unwrap_or(0)) {
            return Err(truncated(
                &self.path,
                self.position.max(self.whole.unwrap_or(0)),
                length,
            ));
        }
        if end == self.position || end == self.tried {
            return Ok(false);
        }
        if self.tried > self.position && self.whole.is_none() {
            // A long line that grows slowly is not read from its start each time.
            let found = after_last_newline(&self.file, self.tried, end);
            if found.map_err(|e| Error::io("cannot read", &self.path, e))?.is_none() {
                self.tried = end;
                return rules.check_unfinished(end - self.position, &self.path.display(), self.position);
            }
        }
        loop {
            let left = end - self.position;
            let n = usize::try_from(left).map_or(self.want, |left| left.min(self.want));
            // What is longer already is not written with zeros first.
            into.bytes.resize(n, 0);
            into.entries.clear();
            let got = read_at(&self.file, &mut into.bytes, self.position)
                .map_err(|e| Error::io("cannot read", &self.path, e))?;
            if got < n {
                return Err(truncated(
                    &self.path,
                    self.position + n as u64,
                    self.position + got as u64,
                ));
            }
            let all = n as u64 == left;
            let last = all && self.whole.is_some();
            if last && length > end && into.bytes.last() != Some(&b'\n') {
                return Err(Error::invalid(format!(
                    "{}: the file grew from {end} to {length} bytes while it was read as a complete one: read it when it is \
                     written, or follow it with `stream`",
                    self.path.display()
                )));
            }
            let split = rules.split(&into.bytes, self.position, last, &mut into.entries);
            rules.check(&split, &self.path.display(), self.position)?;
            if split.consumed > 0 {
                into.bytes.truncate(split.consumed);
                self.header
                    .attach(rules, &self.path, into, || FromStart::new(self.file.clone()))?;
                self.position += split.consumed as u64;
                into.next = self.position;
                self.want = rules.next_want(n, split.consumed, into.entries.len());
                return Ok(true);
            }
            if all {
                self.tried = end;
                into.bytes.clear();
                return Ok(false);
            }
            self.want = rules.more(self.want);
        }
    }

    /// Whether the bytes at the front are still those that were read. Finds a file that was rewritten in place and is longer
    /// than the position again.
    pub(crate) fn check(&mut self) -> Result<()> {
        let read = |len| Head::read(&self.file, len).map_err(|e| Error::io("cannot read", &self.path, e));
        if let Some(before) = self.head
            && read(before.len)? != Some(before)
        {
            return Err(Error::invalid(format!(
                "{}: the file was replaced: its first {} bytes have changed since they were read: {REPAIR}",
                self.path.display(),
                before.len
            )));
        }
        let len = self.position.min(HEAD);
        if self.head.is_none_or(|h| h.len < len) {
            self.head = read(len)?;
        }
        Ok(())
    }
}

/// The error for a file that is shorter than what is known of it.
pub(crate) fn truncated(path: &std::path::Path, was: u64, is: u64) -> Error {
    Error::invalid(format!(
        "{}: the file was truncated: it was read or known up to offset {was} and now ends at {is}: {REPAIR}",
        path.display()
    ))
}
