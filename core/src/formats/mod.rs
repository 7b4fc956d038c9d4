//! How records are written: text, bytes, JSON and CSV.
//!
//! | format | suffix | a payload or line is |
//! |---|---|---|
//! | [`Format::Text`] | `+text` | UTF-8 text for `str`; any bytes for `[u8]` |
//! | [`Format::JsonLines`] | `+jsonl` | one JSON object for a type that derives `Record` |
//! | [`Format::Csv`] | `+csv` `+tsv` | one row of delimited columns for such a type |
//!
//! Whatever the bytes are, reading them ends in a record or in the reason why there is none: no panic, no recursion as deep
//! as the payload, and no memory beyond a small multiple of its size.
//!
//! Files: `lines` (text and bytes), `json`, `csv`, `rows` (structs from either).

mod csv;
mod json;
mod lines;
mod rows;

pub use csv::{CSV_HEADER, Csv};

pub(crate) use lines::{Line, LineDecoder, check_line};
pub(crate) use rows::Rows;

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How a record is written in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A line or payload of UTF-8 text; of any bytes where the record type is `[u8]`.
    Text,
    /// A JSON object a line or payload.
    JsonLines,
    /// A row of delimited columns a line or payload.
    Csv(Csv),
}

/// As it is written behind a location: [`str::parse`] reads it.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::JsonLines => f.write_str("jsonl"),
            Self::Csv(csv) => csv.fmt(f),
        }
    }
}

impl FromStr for Format {
    type Err = Error;
    /// `text`, `jsonl`, or what [`Csv`] says of itself: `csv`, `tsv`, `csv-header`, `csv(user,,page)`,
    /// `csv(delimiter=;)`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "text" => Ok(Self::Text),
            "jsonl" => Ok(Self::JsonLines),
            _ => Csv::parse(text).map(Self::Csv),
        }
    }
}

/// The payload as text.
#[inline]
fn utf8(payload: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(payload).map_err(not_utf8)
}

#[cold]
fn not_utf8(e: std::str::Utf8Error) -> String {
    format!("not UTF-8 at byte {}", e.valid_up_to())
}
