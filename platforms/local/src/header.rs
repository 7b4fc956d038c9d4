//! The first line of a file, where it names the columns of the others. Every record carries it as a header of its own
//! ([`CSV_HEADER`]), so that one that is read after a restart, or out of the archive, is read by the columns of its file.

use std::io::{self, Read};
use std::path::Path;

use rufous_core::{CSV_HEADER, Error, RecordBatch, Result};

use crate::packed::read_some;
use crate::split::{MARK, Rules};

/// The header line of one file, once it is known.
#[derive(Default)]
pub(crate) struct HeaderLine(Option<Vec<u8>>);

impl HeaderLine {
    /// Gives the line to all records of a batch. `open` reads the file from its start.
    ///
    /// # Errors
    /// When the file cannot be read, or its first line is longer than a record may be.
    pub(crate) fn attach<R: Read>(
        &mut self,
        rules: &Rules,
        path: &Path,
        into: &mut RecordBatch,
        open: impl FnOnce() -> R,
    ) -> Result<()> {
        if !rules.header || into.entries.is_empty() {
            return Ok(());
        }
        let line = match self.0.take() {
            Some(line) => line,
            None => match first_line(open(), rules.max_record) {
                Ok(Some(line)) => line,
                Ok(None) => return Err(rules.too_long(&path.display(), 0)),
                Err(e) => return Err(Error::io("cannot read the header line", path, e)),
            },
        };
        let (span, _) = into.push_headers([(CSV_HEADER, Some(&line[..]))].into_iter());
        self.0 = Some(line);
        for e in &mut into.entries {
            e.headers = span;
        }
        Ok(())
    }
}

/// The first line without its end and without a mark of UTF-8; `None` when it is longer than `most`.
fn first_line(mut file: impl Read, most: usize) -> io::Result<Option<Vec<u8>>> {
    let (mut line, mut block) = (Vec::new(), [0; 4096]);
    loop {
        let n = read_some(&mut file, &mut block)?;
        let some = block.get(..n).unwrap_or_default();
        let end = memchr::memchr(b'\n', some);
        line.extend_from_slice(some.get(..end.unwrap_or(n)).unwrap_or_default());
        if line.len() > most {
            return Ok(None);
        }
        if n == 0 || end.is_some() {
            break;
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    if line.starts_with(MARK) {
        line.drain(..MARK.len());
    }
    Ok(Some(line))
}
