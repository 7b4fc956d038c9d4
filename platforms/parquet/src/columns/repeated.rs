//! A record that is one dictionary-coded column: each different value once, with the number of rows that hold it.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use rufous_core::{Column, ColumnBatch, ColumnData, Error, Result};

use super::{FileReader, Place, ROWS, damaged, guarded};

/// Rows are counted in larger pieces than they are decoded in: what a piece costs is its dictionary.
const COUNTED: usize = 1 << 16;

impl FileReader {
    /// Whether the record is a single column of texts that row group `i` codes by a dictionary.
    pub(crate) fn repeats(&self, i: usize) -> bool {
        let [Place::Column { .. }] = self.places.as_slice() else {
            return false;
        };
        let coded = |group: &parquet::file::metadata::RowGroupMetaData| {
            let leaf = (0..group.num_columns()).find(|leaf| self.mask.leaf_included(*leaf));
            leaf.is_some_and(|leaf| group.column(leaf).dictionary_page_offset().is_some())
        };
        self.text_root().is_some() && self.metadata.metadata().row_groups().get(i).is_some_and(coded)
    }

    /// The place of the only column among the file's, if it holds texts and lies in no struct.
    fn text_root(&self) -> Option<usize> {
        let path = self.fields.first()?.path();
        let [name] = path.as_slice() else { return None };
        let fields = self.metadata.schema().fields();
        let root = fields.iter().position(|f| f.name() == name)?;
        matches!(fields[root].data_type(), DataType::Utf8 | DataType::LargeUtf8).then_some(root)
    }

    /// Reads row group `i`, which [`repeats`](Self::repeats): each different record once for every power of two in the number
    /// of its rows, with that power.
    ///
    /// # Errors
    /// As [`read_row_group`](Self::read_row_group).
    pub(crate) fn read_repeated(
        &self,
        i: usize,
        f: &mut dyn FnMut(&ColumnBatch, NonZeroU64) -> Result<()>,
    ) -> Result<()> {
        let Some(root) = self.text_root() else {
            return Err(Error::bug(format!("{} has no row group {i} of one column", self.name)));
        };
        let (group, file, chunks) = self.group(i)?;
        let schema = self.metadata.schema();
        let fields = schema.fields().iter().enumerate().map(|(n, field)| {
            if n == root {
                let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                Arc::new(field.as_ref().clone().with_data_type(coded))
            } else {
                field.clone()
            }
        });
        let coded = Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone());
        let metadata = guarded(&file, || {
            let options = ArrowReaderOptions::new().with_schema(Arc::new(coded));
            ArrowReaderMetadata::try_new(self.metadata.metadata().clone(), options)
        })?;
        let mut reader = guarded(&file, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks.clone(), metadata)
                .with_projection(self.mask.clone())
                .with_row_groups(vec![i])
                .with_batch_size(COUNTED)
                .build()
        })
        .map_err(|e| chunks.blame(e))?;
        let mut rows: BTreeMap<Option<String>, u64> = BTreeMap::new();
        loop {
            let next = guarded(&file, || reader.next().transpose()).map_err(|e| chunks.blame(e))?;
            let Some(arrays) = next else { break };
            guarded(&file, || count(arrays.column(0), &mut rows)).map_err(|e| chunks.blame(e))?;
        }
        let counted: u64 = rows.values().sum();
        if i64::try_from(counted) != Ok(group.num_rows()) {
            let why = format!("row group {i} has {counted} rows, its footer says {}", group.num_rows());
            return Err(chunks.blame(damaged(&self.name, why)));
        }
        file.check()?;
        for power in 0..u64::BITS {
            let Some(times) = NonZeroU64::new(1 << power) else {
                continue;
            };
            let some: Vec<_> = rows
                .iter()
                .filter(|(_, n)| *n & times.get() != 0)
                .map(|(text, _)| text)
                .collect();
            for some in some.chunks(ROWS) {
                f(&texts(some), times)?;
            }
        }
        Ok(())
    }
}

fn count(array: &ArrayRef, rows: &mut BTreeMap<Option<String>, u64>) -> Result<(), String> {
    let array = array
        .as_dictionary_opt::<Int32Type>()
        .ok_or("a column was not read as a dictionary")?;
    let values = array
        .values()
        .as_string_opt::<i32>()
        .ok_or("a dictionary holds other things than texts")?;
    let mut entries = vec![0_u64; values.len()];
    let mut nulls = 0;
    for key in array.keys() {
        match key.map(|k| entries.get_mut(usize::try_from(k).unwrap_or(usize::MAX))) {
            Some(Some(n)) => *n += 1,
            Some(None) => return Err("a dictionary lacks an entry".into()),
            None => nulls += 1,
        }
    }
    let mut add = |text: Option<&str>, n: u64| {
        if n > 0 {
            *rows.entry(text.map(str::to_string)).or_default() += n;
        }
    };
    for (i, n) in entries.into_iter().enumerate() {
        add(values.is_valid(i).then(|| values.value(i)), n);
    }
    add(None, nulls);
    Ok(())
}

fn texts(some: &[&Option<String>]) -> ColumnBatch {
    let (mut text, mut ends) = (String::new(), Vec::with_capacity(some.len()));
    for value in some {
        text.push_str(value.as_deref().unwrap_or_default());
        ends.push(text.len());
    }
    ColumnBatch {
        columns: vec![Column {
            data: ColumnData::Text { text, ends },
            valid: Some(some.iter().map(|v| v.is_some()).collect()),
        }],
        rows: some.len(),
    }
}
