//! One row.

use memchr::{memchr_iter, memchr3};

use super::CSV_HEADER;
use super::Csv;
use super::places::Places;
use super::unquote::Unquote;
use crate::decode::tombstone;
use crate::error::{Error, Result};
use crate::formats::json::{MOST, too_many};
use crate::formats::utf8;
use crate::log::{Entry, RecordBatch};
use crate::record::{Field, FieldType, Row, Value, Values};

/// Reads rows of one record type.
pub(crate) struct CsvRows {
    csv: Csv,
    fields: &'static [Field],
    places: Places,
    /// The header line that `places` are of, or why it cannot be used.
    header: Option<Vec<u8>>,
    no_header: Option<String>,
    unquote: Unquote,
}

impl CsvRows {
    /// # Errors
    /// When a field that must be there is no column.
    pub(crate) fn new(csv: Csv, fields: &'static [Field]) -> Result<Self> {
        if fields.len() > MOST {
            return Err(Error::invalid(too_many(fields.len())));
        }
        let places = match csv.declared() {
            Some(names) => Places::named(fields, names.iter().copied()).map_err(|why| {
                Error::invalid(format!("format `{csv}`: {why}: name it, or make the field an Option"))
            })?,
            None => Places::of_fields(fields),
        };
        Ok(Self {
            csv,
            fields,
            places,
            header: None,
            no_header: None,
            unquote: Unquote::new(csv.separator()),
        })
    }

    /// Calls `f` with the values of a record's fields.
    pub(crate) fn read<T>(
        &mut self,
        records: &RecordBatch,
        e: &Entry,
        f: impl FnOnce(&Row<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let payload = records.value(e).ok_or_else(tombstone)?;
        if self.csv.has_header() {
            self.see_header(records.header(e, CSV_HEADER).flatten())?;
        }
        let row = utf8(payload)?;
        if row.starts_with('\u{feff}') {
            return Err("the row begins with a byte order mark, at byte 0: write it without one".into());
        }
        match self.fields.len() {
            0..=16 => self.row::<16, T>(row, f),
            _ => self.row::<MOST, T>(row, f),
        }
    }

    /// Rows of one file repeat their header: it is taken apart when it changes.
    fn see_header(&mut self, header: Option<&[u8]>) -> Result<(), String> {
        let Some(header) = header else {
            return Err(
                "no header line is known for this row: only files have one; name the columns, as in `+csv(a,b)`".into(),
            );
        };
        if self.header.as_deref() != Some(header) {
            self.header = Some(header.to_vec());
            self.no_header = self.new_header(header).err();
        }
        self.no_header.clone().map_or(Ok(()), Err)
    }

    #[cold]
    fn new_header(&mut self, header: &[u8]) -> Result<(), String> {
        let line = utf8(header).map_err(|why| format!("the header line is {why}"))?;
        let names = self
            .unquote
            .row(line)
            .map_err(|why| format!("the header line: {why}"))?;
        self.places = Places::named(self.fields, names.iter()).map_err(|why| {
            format!("by the header line {why}: rename the field with #[record(name = ...)], make it an Option, or say `+csv` if \
                 the first line is no header")
        })?;
        Ok(())
    }

    fn row<const N: usize, T>(
        &mut self,
        row: &str,
        f: impl FnOnce(&Row<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let (fields, places) = (self.fields, &self.places);
        let mut slots = [Value::Null; N];
        // Quotes, and line ends, which only quotes may hold: without them the columns are pieces of the row.
        let end = row
            .strip_suffix('\n')
            .map_or(row, |r| r.strip_suffix('\r').unwrap_or(r));
        let mut seen = 0;
        if memchr3(b'"', b'\n', b'\r', end.as_bytes()).is_none() && !end.is_empty() {
            pieces(end, self.csv.separator(), |column| {
                if let Some(Some(i)) = places.fields.get(seen) {
                    slots[*i] = value(fields[*i].ty, fields[*i].optional, column);
                }
                seen += 1;
            });
        } else {
            let columns = self.unquote.row(row)?;
            for (place, column) in places.fields.iter().zip(columns.iter()) {
                if let Some(i) = place {
                    slots[*i] = value(fields[*i].ty, fields[*i].optional, column);
                }
            }
            seen = columns.len();
        }
        if seen != places.fields.len() {
            return Err(count(seen, places));
        }
        f(&Row {
            fields,
            values: Values::Slots(&slots[..fields.len()]),
        })
        .map_err(|why| in_column(why, fields, places))
    }
}

/// The pieces between delimiters.
#[inline]
fn pieces<'r>(row: &'r str, delimiter: u8, mut f: impl FnMut(&'r str)) {
    let mut start = 0;
    if row.len() <= 1024 {
        // Columns are short: a plain loop beats the set-up of a search.
        for (i, b) in row.bytes().enumerate() {
            if b == delimiter {
                f(row.get(start..i).unwrap_or_default());
                start = i + 1;
            }
        }
    } else {
        for i in memchr_iter(delimiter, row.as_bytes()) {
            f(row.get(start..i).unwrap_or_default());
            start = i + 1;
        }
    }
    f(row.get(start..).unwrap_or_default());
}

/// A column as what its field holds; text that is no such thing stays text, and the field says so.
#[inline]
fn value(ty: FieldType, optional: bool, column: &str) -> Value<'_> {
    if column.is_empty() && (optional || ty != FieldType::Text) {
        return Value::Null;
    }
    match ty {
        FieldType::Text => Value::Text(column),
        FieldType::Integer => integer(column).unwrap_or(Value::Text(column)),
        FieldType::Float => match column.parse::<f64>() {
            // The words `inf` and `nan` are no numbers here, as in JSON.
            Ok(x) if x.is_finite() => Value::Float(x),
            _ => Value::Text(column),
        },
        FieldType::Bool => match column {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Text(column),
        },
        FieldType::Timestamp => integer(column).unwrap_or(Value::Text(column)),
    }
}

#[inline]
fn integer(column: &str) -> Option<Value<'_>> {
    if !matches!(column.as_bytes(), [b'-', b'0'..=b'9', ..] | [b'0'..=b'9', ..]) {
        return None;
    }
    match column.parse::<i64>() {
        Ok(n) => Some(Value::Integer(n)),
        Err(_) => column.parse::<u64>().ok().map(Value::Unsigned),
    }
}

#[cold]
fn count(seen: usize, places: &Places) -> String {
    format!(
        "the row has {seen} column{}, and {} are expected: {}",
        if seen == 1 { "" } else { "s" },
        places.fields.len(),
        places.names
    )
}

/// Says in which column the field is that the reason names.
#[cold]
fn in_column(why: String, fields: &[Field], places: &Places) -> String {
    let named = |i: &usize| {
        why.strip_prefix("field `")
            .is_some_and(|w| w.starts_with(&format!("{}` ", fields[*i].name)))
    };
    match places.fields.iter().position(|p| p.as_ref().is_some_and(named)) {
        Some(column) => format!("{why}, in column {}", column + 1),
        None => why,
    }
}
