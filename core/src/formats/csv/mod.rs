//! Rows of delimited columns, as RFC 4180 quotes them, into the slots of a record.
//!
//! A row has exactly as many columns as are declared, or as the header line of its file has: with one more or less, a
//! delimiter that somebody forgot to quote would move all columns behind it. Nothing is trimmed. An empty column is a null;
//! for a text that must be there it is the empty text. Numbers, `true` and `false` are written as in JSON, and a time as text
//! or as milliseconds since 1970.

mod options;
mod places;
mod read;
#[cfg(test)]
mod tests;
mod unquote;

pub use options::Csv;
pub(crate) use read::CsvRows;

/// The name of the header (of a record) that holds the header line of the file that a row comes from. Logs of files set it
/// for [`Csv::header`], so that every row can be read alone: after a restart, and out of the archive.
pub const CSV_HEADER: &str = "rufous-csv-header";
