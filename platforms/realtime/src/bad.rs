//! What becomes of records that cannot be read.

use rufous_core::{BadRecord, Error, RecordBatch, Result};

use crate::log::Log;
use crate::options::OnBadRecord;

pub(crate) fn report_bad(
    source: &str,
    log: &dyn Log,
    records: &RecordBatch,
    bad: &BadRecord,
    count: usize,
    policy: OnBadRecord,
) -> Result<()> {
    let offset = records.entries.get(bad.entry).map_or(records.next, |e| e.offset);
    let place = format!(
        "source `{source}` ({}), partition {}, offset {offset}",
        log.location(),
        records.partition
    );
    match policy {
        OnBadRecord::Fail => Err(Error::invalid(format!(
            "{place}: {}; mend the record, or run with `--on-bad-record skip` to count it and go on",
            bad.reason
        ))),
        OnBadRecord::Skip => {
            tracing::warn!(
                "{place}: {} (skipped{})",
                bad.reason,
                if count > 1 {
                    format!(", and {} more of this chunk", count - 1)
                } else {
                    String::new()
                }
            );
            Ok(())
        }
    }
}
