//! A row with quotes, taken apart by `csv-core`.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::formats::utf8;

/// Takes rows apart, in space that is used again.
pub(super) struct Unquote {
    reader: Box<Reader>,
    /// The columns of the last row end to end, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Unquote {
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            reader: Box::new(ReaderBuilder::new().delimiter(delimiter).build()),
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The columns of a payload that is one row, with or without a line end behind it.
    ///
    /// # Errors
    /// When it is no row, more than one, or one that a quote leaves open.
    pub(super) fn row(&mut self, row: &str) -> Result<Columns<'_>, String> {
        if row.is_empty() || row == "\n" || row == "\r\n" {
            return Err("an empty row".into());
        }
        self.reader.reset();
        self.bytes.resize(row.len() + 2, 0);
        self.ends.resize(row.len() + 2, 0);
        // The row, and if that does not end it, a line end: only an open quote swallows that.
        let (mut read, mut written, mut columns) = (0, 0, 0);
        let mut result = ReadRecordResult::InputEmpty;
        for input in [row, "\n"] {
            if result == ReadRecordResult::InputEmpty {
                let (bytes, ends) = (&mut self.bytes[written..], &mut self.ends[columns..]);
                let (r, n, more, ended) = self.reader.read_record(input.as_bytes(), bytes, ends);
                (result, read, written, columns) = (r, read + n, written + more, columns + ended);
            }
        }
        if result != ReadRecordResult::Record {
            return Err(format!(
                "a quote is not closed in column {}: in files a row ends at the line's end, also within quotes",
                columns + 1
            ));
        }
        let rest = row.get(read.min(row.len())..).unwrap_or_default();
        if !rest.trim_matches(['\r', '\n']).is_empty() {
            return Err(format!("a second row begins at byte {read}: a payload is one row"));
        }
        self.bytes.truncate(written);
        self.ends.truncate(columns);
        Ok(Columns {
            text: utf8(&self.bytes)?,
            ends: &self.ends,
        })
    }
}

/// The columns of a row.
pub(super) struct Columns<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> Columns<'a> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (text, mut start) = (self.text, 0);
        self.ends.iter().map(move |&end| {
            let column = text.get(start..end).unwrap_or_default();
            start = end;
            column
        })
    }
}
