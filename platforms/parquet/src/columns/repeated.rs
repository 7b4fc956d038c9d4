//! A record that is one dictionary-coded column: each different value once, with the number of rows that hold it.

use std::num::NonZeroU64;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, StringArray};
use arrow_schema::{DataType, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Encoding, EncodingMask};
use rufous_core::{Column, ColumnBatch, ColumnData, Error, Result};

use super::{FileReader, Place, ROWS, damaged, guarded};

/// Rows are counted in larger pieces than they are decoded in: what a piece costs is its dictionary.
const COUNTED: usize = 1 << 16;

impl FileReader {
    /// Whether the record is a single column of texts that row group `i` codes by a dictionary, in all of its pages: those
    /// that a writer put in plain, after its dictionary had become too large, would have to be coded here first.
    pub(crate) fn repeats(&self, i: usize) -> bool {
        let [Place::Column { .. }] = self.places.as_slice() else {
            return false;
        };
        let coded = |group: &parquet::file::metadata::RowGroupMetaData| {
            let leaf = (0..group.num_columns()).find(|leaf| self.mask.leaf_included(*leaf));
            leaf.is_some_and(|leaf| {
                let column = group.column(leaf);
                let coded = |pages: &EncodingMask| {
                    pages.is_only(Encoding::RLE_DICTIONARY) || pages.is_only(Encoding::PLAIN_DICTIONARY)
                };
                // Old writers did not count their pages.
                column.dictionary_page_offset().is_some() && column.page_encoding_stats_mask().is_none_or(coded)
            })
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
        let (mut counts, mut counted) = (Counts::default(), 0_u64);
        loop {
            let next = guarded(&file, || reader.next().transpose()).map_err(|e| chunks.blame(e))?;
            let Some(arrays) = next else { break };
            counted += arrays.num_rows() as u64;
            let array = arrays.column(0);
            if !guarded(&file, || counts.is_of(array)).map_err(|e| chunks.blame(e))? {
                counts.hand_on(f)?;
            }
            guarded(&file, || counts.add(array)).map_err(|e| chunks.blame(e))?;
        }
        counts.hand_on(f)?;
        if i64::try_from(counted) != Ok(group.num_rows()) {
            let why = format!("row group {i} has {counted} rows, its footer says {}", group.num_rows());
            return Err(chunks.blame(damaged(&self.name, why)));
        }
        file.check()
    }
}

/// How many rows hold each entry of one dictionary. A row group has one, and more where its writer gave it up.
#[derive(Default)]
struct Counts {
    values: Option<StringArray>,
    rows: Vec<u64>,
    nulls: u64,
}

fn dictionary(array: &ArrayRef) -> Result<(&DictionaryArray<Int32Type>, &StringArray), String> {
    let array = array
        .as_dictionary_opt::<Int32Type>()
        .ok_or("a column was not read as a dictionary")?;
    let values = array
        .values()
        .as_string_opt::<i32>()
        .ok_or("a dictionary holds other things than texts")?;
    Ok((array, values))
}

impl Counts {
    /// Whether an array has the dictionary that is being counted: the same bytes, not equal ones.
    fn is_of(&self, array: &ArrayRef) -> Result<bool, String> {
        let (_, values) = dictionary(array)?;
        Ok(self.values.as_ref().is_none_or(|known| {
            let same = |a: &StringArray, b: &StringArray| a.value_data().as_ptr() == b.value_data().as_ptr();
            known.len() == values.len()
                && same(known, values)
                && known.offsets().inner().ptr_eq(values.offsets().inner())
        }))
    }

    fn add(&mut self, array: &ArrayRef) -> Result<(), String> {
        let (array, values) = dictionary(array)?;
        if self.values.is_none() {
            self.rows.clear();
            self.rows.resize(values.len(), 0);
            self.values = Some(values.clone());
        }
        let keys = array.keys();
        let mut add = |key: i32| match self.rows.get_mut(key as usize) {
            Some(n) => {
                *n += 1;
                Ok(())
            }
            None => Err("a dictionary lacks an entry"),
        };
        if keys.null_count() == 0 {
            keys.values().iter().try_for_each(|key| add(*key))?;
        } else {
            keys.iter().flatten().try_for_each(&mut add)?;
            self.nulls += keys.null_count() as u64;
        }
        Ok(())
    }

    /// Each different value once for every power of two in the number of its rows, and then none is left.
    fn hand_on(&mut self, f: &mut dyn FnMut(&ColumnBatch, NonZeroU64) -> Result<()>) -> Result<()> {
        let Some(values) = self.values.take() else {
            return Ok(());
        };
        // Entries of a dictionary may be null, too.
        let mut nulls = std::mem::take(&mut self.nulls);
        let mut by_power: Vec<Vec<Option<usize>>> = vec![Vec::new(); u64::BITS as usize];
        let mut place = |entry: Option<usize>, mut n: u64| {
            while n > 0 {
                by_power[n.trailing_zeros() as usize].push(entry);
                n &= n - 1;
            }
        };
        for (entry, n) in self.rows.iter().enumerate() {
            if values.is_valid(entry) {
                place(Some(entry), *n);
            } else {
                nulls += n;
            }
        }
        place(None, nulls);
        for (power, entries) in by_power.iter().enumerate() {
            let Some(times) = NonZeroU64::new(1 << power) else {
                continue;
            };
            for some in entries.chunks(ROWS) {
                f(&texts(&values, some), times)?;
            }
        }
        Ok(())
    }
}

fn texts(values: &StringArray, some: &[Option<usize>]) -> ColumnBatch {
    let (mut text, mut ends) = (String::new(), Vec::with_capacity(some.len()));
    for entry in some {
        text.push_str(entry.map_or("", |entry| values.value(entry)));
        ends.push(text.len());
    }
    let all = some.iter().all(Option::is_some);
    ColumnBatch {
        columns: vec![Column {
            data: ColumnData::Text { text, ends },
            valid: (!all).then(|| some.iter().map(Option::is_some).collect()),
        }],
        rows: some.len(),
    }
}
