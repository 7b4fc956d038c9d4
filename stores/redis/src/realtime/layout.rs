//! The keys and values of a namespace, behind its prefix `rufous:{JOB/INSTANCE/NAMESPACE}:` (all parts escaped, see `names`).
//!
//! ```text
//! meta                                   hash     format, namespace, data (an id, drawn when it was made), schema/STORE,
//!                                                 count/STORE (how many rows)
//! version                                string   counts writes
//! rows/STORE                             hash     SOURCE/PARTITION -> row (JSON)
//! cells/STORE/SOURCE/PARTITION/LANE/BATCH  hash   key bytes -> value bytes
//! keys/STORE/SOURCE/PARTITION/LANE/BATCH   zset   the keys of that hash, all of score 0: ascending by bytes
//! leases                                 zset     snapshots that are held: id, until when (ms of the server's clock)
//! leased                                 zset     the same: id, the version that it sees
//! layers                                 zset     versions that have an undo log
//! undo/VERSION                           hash     CELLS, a space, key -> `p` and the value before, or `a`: there was none
//! doomed                                 zset     cells that rows name no more: CELLS, the last version that sees them
//! staged/ID/N                            list     pieces of a large commit that is on its way; they expire
//! ```
//!
//! CELLS is what follows `cells/`. A row names the cells that there are (`lane`, `batches`), so cells that were evicted or deleted by
//! somebody are noticed. A lane is used once: what was replaced or dropped is never written again, and can be deleted when the last
//! snapshot of before is gone.

use rufous_core::{BatchId, Cut, Error, Result, SourcePartition};
use rufous_store_api::Progress;
use serde::{Deserialize, Serialize};

use crate::names;

/// The version of everything in a namespace.
pub(crate) const FORMAT: &str = "1";

/// A progress row, and which cells belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Names the acquisition since which it is written: a server that forgot one counts the same epoch again.
    pub(crate) owner: String,
    /// Counts the writes of this row: two writes never leave equal bytes.
    pub(crate) revision: u64,
    /// Under which number its cells lie.
    pub(crate) lane: u64,
    /// The batches that have cells, ascending.
    pub(crate) batches: Vec<BatchId>,
    /// How far the shard is.
    pub(crate) progress: Progress,
}

impl Row {
    /// Of a partition that has none.
    pub(crate) fn fresh() -> Self {
        Self {
            owner: String::new(),
            revision: 0,
            lane: 0,
            batches: Vec::new(),
            progress: Progress::standing_at(Cut::ORIGIN, String::new(), String::new(), String::new()),
        }
    }

    pub(crate) fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::bug("a progress row cannot be written as JSON").caused_by(e))
    }

    /// Reads a row. `place` names it in messages.
    pub(crate) fn parse(bytes: &[u8], place: impl std::fmt::Display) -> Result<Self> {
        let row: Self = serde_json::from_slice(bytes)
            .map_err(|e| Error::corrupt(format!("{place} is no progress row: {e}; {REPAIR}")).caused_by(e))?;
        if !row.batches.windows(2).all(|b| b[0] < b[1]) {
            return Err(Error::corrupt(format!(
                "{place} is no progress row: its batches do not ascend; {REPAIR}"
            )));
        }
        Ok(row)
    }

    /// Notes that a batch has cells; `false`: it had some.
    pub(crate) fn note(&mut self, batch: BatchId) -> bool {
        match self.batches.binary_search(&batch) {
            Ok(_) => false,
            Err(at) => {
                self.batches.insert(at, batch);
                true
            }
        }
    }
}

/// What to do about damage.
pub(crate) const REPAIR: &str = "somebody else wrote or deleted it; delete the namespace, and the job rebuilds it";

/// `rows/STORE`.
pub(crate) fn rows_key(store: &str) -> String {
    format!("rows/{}", names::escaped(store))
}

/// CELLS of a batch.
pub(crate) fn cells(store: &str, p: &SourcePartition, lane: u64, batch: BatchId) -> String {
    format!("{}/{}/{lane}/{}", names::escaped(store), names::partition(p), batch.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let mut progress = Progress::standing_at(Cut::ORIGIN, "t".into(), "c".into(), "f".into());
        progress.cuts.push((BatchId(5), 10));
        Row {
            owner: "o-1".into(),
            revision: 3,
            lane: 1,
            batches: vec![BatchId(-1), BatchId(5)],
            progress,
        }
    }

    #[test]
    fn golden() {
        let text = String::from_utf8(row().bytes().unwrap()).unwrap();
        assert_eq!(
            text,
            r#"{"owner":"o-1","revision":3,"lane":1,"batches":[-1,5],"progress":{"epoch":0,"next":0,"batch":-9223372036854775808,"retained_from":-9223372036854775808,"cuts":[[-9223372036854775808,0],[5,10]],"holes":[],"topic_id":"t","leader_epoch":-1,"last_time":null,"cut_spec":"c","fingerprint":"f"}}"#
        );
        assert_eq!(Row::parse(text.as_bytes(), "x").unwrap(), row());
        let p = SourcePartition::new("a/b c", 7);
        assert_eq!(cells("s/t", &p, 2, BatchId(-3)), "s%2Ft/a%2Fb%20c/7/2/-3");
    }

    /// Rows that somebody overwrote: an error that names them, never a panic.
    #[test]
    fn hostile_bytes_are_refused() {
        let good = row().bytes().unwrap();
        for end in 0..good.len() {
            let e = Row::parse(&good[..end], "rows/x, y").unwrap_err();
            assert_eq!(e.kind(), rufous_core::ErrorKind::CorruptData);
            assert!(e.to_string().starts_with("rows/x, y is no progress row"), "{e}");
        }
        for at in 0..good.len() {
            for byte in [0, b'9', b'"', 0xff] {
                let mut bad = good.clone();
                bad[at] = byte;
                // Either another row or an error.
                let _ = Row::parse(&bad, "x");
            }
        }
        let unsorted = String::from_utf8(good).unwrap().replace("[-1,5]", "[5,-1]");
        assert!(Row::parse(unsorted.as_bytes(), "x").is_err());
    }
}
