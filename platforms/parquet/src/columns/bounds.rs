//! What a file notes of its column of event times: first and last of a row group, and of pages. It is believed where it is
//! there, of a type whose order is known, and says that no value is null; what is missing leaves everything in.

use std::ops::Range;

use arrow_schema::{DataType, Schema, TimeUnit};
use parquet::arrow::arrow_reader::RowSelection;
use parquet::basic::{ColumnOrder, ConvertedType, LogicalType, TimeUnit as Unit, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::index_reader::{decode_column_index, decode_offset_index};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;
use rufous_core::{Result, Timestamp};
use rufous_store_api::Window;

use super::given::Given;
use super::thrift::walk;
use super::{FileReader, Place, guarded};
use crate::input::OpenFile;

/// No index of pages is longer; of one that says so nothing is believed.
const MOST_INDEX: u64 = 16 << 20;
const DAY_MS: i64 = 86_400_000;

/// How the numbers of a column become milliseconds: as `convert` makes them of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Milli,
    Micro,
    Nano,
    Day,
}

impl Measure {
    /// `None`: what is noted of such a column cannot be compared with times.
    fn of(column: &ColumnDescriptor, order: ColumnOrder, read: &DataType) -> Option<Self> {
        if !matches!(order, ColumnOrder::TYPE_DEFINED_ORDER(_) | ColumnOrder::UNDEFINED) || column.max_rep_level() > 0 {
            return None;
        }
        let (logical, converted) = (column.logical_type_ref(), column.converted_type());
        // What is read must be what is written: arrow may have been told of another unit.
        match (column.physical_type(), logical, converted, read) {
            (Type::INT64, Some(LogicalType::Timestamp(t)), _, DataType::Timestamp(read, _)) => match (&t.unit, read) {
                (Unit::MILLIS, TimeUnit::Millisecond) => Some(Self::Milli),
                (Unit::MICROS, TimeUnit::Microsecond) => Some(Self::Micro),
                (Unit::NANOS, TimeUnit::Nanosecond) => Some(Self::Nano),
                _ => None,
            },
            (Type::INT64, None, ConvertedType::TIMESTAMP_MILLIS, DataType::Timestamp(TimeUnit::Millisecond, _)) => {
                Some(Self::Milli)
            }
            (Type::INT64, None, ConvertedType::TIMESTAMP_MICROS, DataType::Timestamp(TimeUnit::Microsecond, _)) => {
                Some(Self::Micro)
            }
            (Type::INT32, Some(LogicalType::Date), _, DataType::Date32)
            | (Type::INT32, None, ConvertedType::DATE, DataType::Date32) => Some(Self::Day),
            // A plain number is one of milliseconds.
            (Type::INT64, None, ConvertedType::NONE, DataType::Int64)
            | (Type::INT32, None, ConvertedType::NONE, DataType::Int32) => Some(Self::Milli),
            (Type::INT64, Some(LogicalType::Integer(n)), _, DataType::Int64) if n.is_signed => Some(Self::Milli),
            (Type::INT32, Some(LogicalType::Integer(n)), _, DataType::Int32) if n.is_signed => Some(Self::Milli),
            _ => None,
        }
    }

    fn time(self, n: i64) -> Timestamp {
        Timestamp(match self {
            Self::Milli => n,
            Self::Micro => n.div_euclid(1_000),
            Self::Nano => n.div_euclid(1_000_000),
            Self::Day => n.saturating_mul(DAY_MS),
        })
    }
}

/// Where the event time of a file's rows is noted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Times {
    /// All rows have this one: the name of a directory says so.
    Same(Timestamp),
    /// In what is noted of this leaf.
    Leaf(Leaf),
    /// Nowhere that can be believed.
    Unknown,
}

/// A column of times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    number: usize,
    measure: Measure,
    nullable: bool,
}

/// What a window leaves of a file, as far as the file notes it.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// The row groups that may hold records of it.
    pub(crate) groups: Vec<usize>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// The type that the leaf of a path is read as.
fn read_as<'a>(schema: &'a Schema, path: &[String]) -> Option<&'a DataType> {
    let (first, inner) = path.split_first()?;
    let mut ty = schema.fields().find(first)?.1.data_type();
    for name in inner {
        let DataType::Struct(fields) = ty else { return None };
        ty = fields.find(name)?.1.data_type();
    }
    Some(ty)
}

impl FileReader {
    /// Where the times of field `name` are noted.
    pub(crate) fn times(&self, name: &str) -> Times {
        let Some((field, place)) = self.fields.iter().zip(&self.places).find(|(f, _)| f.name == name) else {
            return Times::Unknown;
        };
        match place {
            Place::Given(Given::Time(ms)) => Times::Same(Timestamp(*ms)),
            Place::Column { .. } => self.leaf(&field.path()).map_or(Times::Unknown, Times::Leaf),
            Place::Given(_) | Place::Missing => Times::Unknown,
        }
    }

    fn leaf(&self, path: &[String]) -> Option<Leaf> {
        let columns = self.metadata.parquet_schema().columns();
        let number = columns.iter().position(|leaf| leaf.path().parts() == path)?;
        let orders = self.metadata.metadata().file_metadata().column_orders();
        let order = match orders {
            None => ColumnOrder::UNDEFINED,
            Some(orders) => *orders.get(number)?,
        };
        let column = columns.get(number)?;
        Some(Leaf {
            number,
            measure: Measure::of(column, order, read_as(self.metadata.schema(), path)?)?,
            nullable: column.max_def_level() > 0,
        })
    }

    /// What is left by a window of the event time that field `name` holds; `None`: no field is said to hold it.
    pub(crate) fn left(&self, name: Option<&str>, window: &Window) -> Left {
        let times = name.map_or(Times::Unknown, |name| self.times(name));
        let mut left = Left::default();
        for group in (0..self.row_groups()).filter(|group| self.meets(*group, &times, window)) {
            let (rows, bytes) = self.size(group);
            left.groups.push(group);
            left.rows += rows;
            left.bytes += bytes;
        }
        left
    }

    /// Rows of row group `i`, and bytes of its columns that are read.
    fn size(&self, i: usize) -> (u64, u64) {
        let Some(group) = self.metadata.metadata().row_groups().get(i) else {
            return (0, 0);
        };
        let columns = group.columns().iter().enumerate();
        let read = columns.filter(|(leaf, _)| self.mask.leaf_included(*leaf));
        let bytes = read.map(|(_, column)| u64::try_from(column.compressed_size()).unwrap_or(0));
        (u64::try_from(group.num_rows()).unwrap_or(0), bytes.sum())
    }

    /// Whether row group `i` may hold a record of the window.
    fn meets(&self, i: usize, times: &Times, window: &Window) -> bool {
        match times {
            Times::Unknown => true,
            Times::Same(time) => window.contains(*time),
            Times::Leaf(leaf) => match bounds(self.metadata.metadata(), i, leaf) {
                Some((first, last)) => window.meets(first, last),
                None => true,
            },
        }
    }

    /// The rows of row group `i` whose pages may hold a record of the window; `None`: all of them, as far as is known.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn pages(
        &self,
        file: &OpenFile,
        i: usize,
        times: &Times,
        window: &Window,
    ) -> Result<Option<RowSelection>> {
        let (Times::Leaf(leaf), Some(group)) = (times, self.metadata.metadata().row_groups().get(i)) else {
            return Ok(None);
        };
        let (Some(chunk), Ok(rows)) = (group.columns().get(leaf.number), usize::try_from(group.num_rows())) else {
            return Ok(None);
        };
        let Some((index, places)) = indexes(file, chunk)? else {
            return Ok(None);
        };
        let ty = chunk.column_type();
        let decoded = guarded(file, || {
            let pages = decode_column_index(&index, ty)?;
            Ok::<_, parquet::errors::ParquetError>((pages, decode_offset_index(&places)?))
        });
        // What is malformed there is nothing to fail for: the pages themselves say what they hold.
        let Ok((pages, places)) = decoded else { return Ok(None) };
        let starts: Vec<i64> = places.page_locations().iter().map(|p| p.first_row_index).collect();
        Ok(ranges(&starts, rows)
            .filter(|ranges| ranges.len() as u64 == pages.num_pages())
            .map(|ranges| {
                let kept = ranges.into_iter().enumerate();
                let kept = kept.filter(|(n, _)| page(&pages, *n, leaf).is_none_or(|(a, b)| window.meets(a, b)));
                RowSelection::from_consecutive_ranges(kept.map(|(_, range)| range), rows)
            }))
    }
}

/// First and last time of a row group.
fn bounds(metadata: &ParquetMetaData, group: usize, leaf: &Leaf) -> Option<(Timestamp, Timestamp)> {
    let chunk = metadata.row_groups().get(group)?.columns().get(leaf.number)?;
    let noted = chunk.statistics()?;
    // The deprecated fields were filled in orders of all kinds.
    if noted.is_min_max_deprecated() || (leaf.nullable && noted.null_count_opt() != Some(0)) {
        return None;
    }
    let (first, last) = match noted {
        Statistics::Int64(n) => (*n.min_opt()?, *n.max_opt()?),
        Statistics::Int32(n) => (i64::from(*n.min_opt()?), i64::from(*n.max_opt()?)),
        _ => return None,
    };
    ordered(first, last, leaf)
}

fn ordered(first: i64, last: i64, leaf: &Leaf) -> Option<(Timestamp, Timestamp)> {
    (first <= last).then(|| (leaf.measure.time(first), leaf.measure.time(last)))
}

/// First and last time of a page.
fn page(pages: &ColumnIndexMetaData, n: usize, leaf: &Leaf) -> Option<(Timestamp, Timestamp)> {
    let nulls = || pages.null_counts()?.get(n).copied();
    // Of a page without a value none is noted.
    if pages.is_null_page(n) || (leaf.nullable && nulls() != Some(0)) {
        return None;
    }
    let (first, last) = match pages {
        ColumnIndexMetaData::INT64(p) => (*p.min_values().get(n)?, *p.max_values().get(n)?),
        ColumnIndexMetaData::INT32(p) => (i64::from(*p.min_values().get(n)?), i64::from(*p.max_values().get(n)?)),
        _ => return None,
    };
    ordered(first, last, leaf)
}

/// The bytes of both indexes of a column's pages, when they are where a file can have them and are no nonsense.
fn indexes(file: &OpenFile, chunk: &ColumnChunkMetaData) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let place = |offset: Option<i64>, length: Option<i32>| {
        let (start, length) = (u64::try_from(offset?).ok()?, u64::try_from(length?).ok()?);
        let end = start.checked_add(length).filter(|end| *end <= file.bytes())?;
        (length <= MOST_INDEX).then_some(start..end)
    };
    let places = (
        place(chunk.column_index_offset(), chunk.column_index_length()),
        place(chunk.offset_index_offset(), chunk.offset_index_length()),
    );
    let (Some(column), Some(offset)) = places else {
        return Ok(None);
    };
    let read = |place: Range<u64>| -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(place.end - place.start).unwrap_or_default()];
        file.read_range(place.start, &mut bytes)?;
        Ok(bytes)
    };
    let (column, offset) = (read(column)?, read(offset)?);
    let sound = |bytes: &[u8]| walk(bytes, &mut |_, _| {}).is_ok();
    Ok((sound(&column) && sound(&offset)).then_some((column, offset)))
}

/// The rows of pages that begin at `starts`, when these begin at the first row and go up.
fn ranges(starts: &[i64], rows: usize) -> Option<Vec<Range<usize>>> {
    let mut ranges: Vec<Range<usize>> = Vec::with_capacity(starts.len());
    for start in starts {
        let start = usize::try_from(*start).ok().filter(|start| *start < rows)?;
        match ranges.last_mut() {
            None if start == 0 => {}
            Some(before) if before.start < start => before.end = start,
            _ => return None,
        }
        ranges.push(start..rows);
    }
    (!ranges.is_empty()).then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pages tile their row group, or nothing of their index is believed.
    #[test]
    fn rows_of_pages() {
        assert_eq!(ranges(&[0, 3, 7], 9), Some(vec![0..3, 3..7, 7..9]));
        assert_eq!(ranges(&[0], 9), Some(std::iter::once(0..9).collect()));
        for wrong in [&[][..], &[1], &[0, 3, 3], &[0, 5, 3], &[0, 9], &[0, -1], &[-1, 3]] {
            assert_eq!(ranges(wrong, 9), None, "{wrong:?}");
        }
    }
}
