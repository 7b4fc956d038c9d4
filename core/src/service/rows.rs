//! The rows of a table from the bytes of a file, read as a source's records are.

use crate::decode::SourceRecord;
use crate::error::{Error, Result};
use crate::formats::{CSV_HEADER, Format};
use crate::log::{Entry, RecordBatch, Span};
use crate::record::Record;

/// Records that are decoded at once.
const CHUNK: usize = 4_096;

/// The rows of a table, from the text of a file of JSON or CSV lines. Empty lines are passed over.
///
/// ```
/// use rufous_core::service::{Version, read_rows, versions};
/// use rufous_core::{Field, Format, Record, Row, Timestamp};
/// # use rufous_core::record::{FieldType, RecordError};
/// # #[derive(Clone)]
/// # struct Rate { currency: String, from: i64, rate: i64 }
/// # impl Record for Rate {                                   // or `#[derive(Record)]`
/// #     const FIELDS: &'static [Field] = &[
/// #         Field { name: "currency", ty: FieldType::Text, optional: false },
/// #         Field { name: "from", ty: FieldType::Integer, optional: false },
/// #         Field { name: "rate", ty: FieldType::Integer, optional: false },
/// #     ];
/// #     fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
/// #         Ok(Self { currency: row.get(0)?, from: row.get(1)?, rate: row.get(2)? })
/// #     }
/// # }
/// let text = b"{\"currency\":\"eur\",\"from\":0,\"rate\":2}\n";
/// let rows: Vec<Rate> = read_rows(Format::JsonLines, text)?;
/// let version = |r: Rate| Version::new(r.currency, Timestamp(r.from), r.rate);
/// let table = versions(rows.into_iter().map(version), Timestamp(1_000));
/// assert_eq!(table.len(), 1);
/// # Ok::<(), rufous_core::Error>(())
/// ```
///
/// # Errors
/// `InvalidRequest` with the number of the first line that cannot be read, and why.
pub fn read_rows<T: Record>(format: Format, text: &[u8]) -> Result<Vec<T>> {
    let mut decoder = T::decoder(format, None)?;
    let mut lines = (1_u64..).zip(text.split(|b| *b == b'\n'));
    let header = match format {
        Format::Csv(csv) if csv.has_header() => lines.next().map(|(_, line)| trimmed(line)),
        _ => None,
    };
    let mut lines = lines
        .map(|(n, line)| (n, trimmed(line)))
        .filter(|(_, line)| !line.is_empty());
    let (mut rows, mut times, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let mut records = RecordBatch::default();
        let headers = match header {
            Some(line) => records.push_headers([(CSV_HEADER, Some(line))].into_iter()).0,
            None => Span::NONE,
        };
        for (n, line) in lines.by_ref().take(CHUNK) {
            let value = records.push_bytes(line);
            records.entries.push(Entry {
                headers,
                ..Entry::plain(n, value)
            });
        }
        if records.entries.is_empty() {
            return Ok(rows);
        }
        decoder.decode(&records, &mut times, &mut bad);
        if let Some(bad) = bad.first() {
            let line = records.entries.get(bad.entry).map_or(0, |e| e.offset);
            return Err(Error::invalid(format!("line {line}: {}", bad.reason)));
        }
        let chunk = decoder.chunk(0..records.entries.len()).downcast_mut::<Vec<T>>();
        let chunk = chunk.ok_or_else(|| Error::bug("a decoder of rows gave something else"))?;
        rows.append(chunk);
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
