//! Where partitions end, remembered: a file that did not change is not searched or unpacked again.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rufous_core::{Error, Result};

use crate::ident::{Packing, Stat, after_last_newline, read_at};
use crate::packed::{count, inside_a_line};
use crate::plain::truncated;

/// The ends as they were seen last.
#[derive(Default)]
pub(crate) struct Ends {
    seen: HashMap<u32, Seen>,
}

struct Seen {
    stat: Stat,
    end: u64,
    /// The end at which a line without a newline was warned of.
    warned: Option<u64>,
}

impl Ends {
    /// The position after the last record of a partition. A complete file ends where it ended when it was first asked.
    pub(crate) fn end(
        &mut self,
        partition: u32,
        file: &Arc<File>,
        path: &Path,
        packing: Option<Packing>,
        complete: bool,
    ) -> Result<u64> {
        let stat = Stat::of(file, path)?;
        let before = self.seen.get(&partition);
        let known = before.map_or(0, |s| s.end);
        let mut warned = before.and_then(|s| s.warned);
        let end = match (packing, before) {
            (Some(_), Some(s)) if (s.stat.len, s.stat.changed) == (stat.len, stat.changed) => known,
            (Some(_), _) if stat.len == 0 => 0,
            (Some(packing), _) => count(file, path, packing)?,
            (None, _) if stat.len < known => return Err(truncated(path, known, stat.len)),
            (None, Some(_)) if complete => known,
            (None, None) if complete => stat.len,
            (None, _) => {
                let found = after_last_newline(file, known, stat.len).map_err(|e| Error::io("cannot read", path, e))?;
                let end = found.unwrap_or(known);
                if end < stat.len && warned != Some(end) {
                    warned = Some(end);
                    tracing::warn!(
                        file = %path.display(), offset = end, bytes = stat.len - end,
                        "the last line has no newline: it is no record until it has one"
                    );
                }
                end
            }
        };
        if end < known {
            return Err(truncated(path, known, end));
        }
        self.seen.insert(partition, Seen { stat, end, warned });
        Ok(end)
    }

    /// The file as it was when its end was asked for.
    pub(crate) fn stat(&self, partition: u32) -> Option<Stat> {
        self.seen.get(&partition).map(|s| s.stat)
    }
}

/// Refuses an offset inside a line: a record would be read that nobody wrote.
pub(crate) fn at_line_start(file: &File, path: &Path, offset: u64, end: u64) -> Result<()> {
    if offset == 0 || offset == end {
        return Ok(());
    }
    let mut byte = [0];
    let got = read_at(file, &mut byte, offset - 1).map_err(|e| Error::io("cannot read", path, e))?;
    if got == 1 && byte == *b"\n" {
        Ok(())
    } else {
        Err(inside_a_line(path, offset))
    }
}
