//! A row group of which only some pages are read.

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rufous_core::{Column, ColumnBatch, ColumnData, Result};
use rufous_store_api::Window;

use super::bounds::Times;
use super::{FileReader, ROWS, damaged, guarded};

impl FileReader {
    /// Reads the rows of row group `i` whose pages may hold records of a window, in order, about 4096 at a time, with the number
    /// of each one's row in the group.
    ///
    /// # Errors
    /// As [`read_row_group`](Self::read_row_group).
    pub(crate) fn read_within(
        &self,
        i: usize,
        times: &Times,
        window: &Window,
        f: &mut dyn FnMut(&ColumnBatch, &[u64]) -> Result<()>,
    ) -> Result<()> {
        let (group, file, chunks) = self.group(i)?;
        let all = group.num_rows().max(0).unsigned_abs();
        let selection = self.pages(&file, i, times, window).map_err(|e| file.blame(e))?;
        let mut numbers: Box<dyn Iterator<Item = u64>> = Box::new(0..all);
        let mut wanted = all;
        let mut reader = guarded(&file, || {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks.clone(), self.metadata.clone())
                .with_projection(self.mask.clone())
                .with_row_groups(vec![i])
                .with_batch_size(ROWS);
            match selection {
                None => builder.build(),
                Some(selection) => {
                    wanted = selection.row_count() as u64;
                    let mut at = 0;
                    let mut ranges = Vec::new();
                    for part in selection.iter() {
                        let end = at + part.row_count as u64;
                        ranges.extend((!part.skip).then_some(at..end));
                        at = end;
                    }
                    numbers = Box::new(ranges.into_iter().flatten());
                    builder.with_row_selection(selection).build()
                }
            }
        })
        .map_err(|e| chunks.blame(e))?;
        let missing = || Column {
            data: ColumnData::Missing,
            valid: None,
        };
        let mut batch = ColumnBatch {
            columns: self.fields.iter().map(|_| missing()).collect(),
            rows: 0,
        };
        let (mut rows, mut now) = (0u64, Vec::new());
        loop {
            let next = guarded(&file, || reader.next().transpose()).map_err(|e| chunks.blame(e))?;
            let Some(arrays) = next else { break };
            guarded(&file, || self.convert(&arrays, &mut batch)).map_err(|e| chunks.blame(e))?;
            rows = rows.saturating_add(batch.rows as u64);
            now.clear();
            now.extend(numbers.by_ref().take(batch.rows));
            f(&batch, &now)?;
        }
        if rows != wanted {
            let why = format!("row group {i} has {rows} rows where its footer and indexes say {wanted}");
            return Err(chunks.blame(damaged(&self.name, why)));
        }
        file.check()
    }
}
