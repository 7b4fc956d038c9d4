//! A file of an input whose footer is in memory only while somebody reads it: an input may have more files than fit.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use rufous_core::{Field, Result};

use super::FileReader;
use crate::input::InputFile;
use crate::input::storage::Version;

/// One Parquet file, as it was when it was looked at. It is read as no other content.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    file: InputFile,
    fields: &'static [Field],
    pub(crate) name: String,
    pub(crate) version: Version,
    pub(crate) rows: u64,
    /// Of the columns that are read.
    pub(crate) bytes: u64,
    pub(crate) row_groups: usize,
    reader: Mutex<Weak<FileReader>>,
}

impl ParquetFile {
    /// Looks at a file. Its footer is there as long as somebody holds it.
    ///
    /// # Errors
    /// As [`FileReader::open`].
    pub(crate) fn open(file: &InputFile, fields: &'static [Field]) -> Result<(Self, Arc<FileReader>)> {
        let reader = Arc::new(FileReader::open(file, fields)?);
        let file = Self {
            file: file.clone(),
            fields,
            name: reader.name.clone(),
            version: reader.version.clone(),
            rows: reader.rows(),
            bytes: reader.bytes(),
            row_groups: reader.row_groups(),
            reader: Mutex::new(Arc::downgrade(&reader)),
        };
        Ok((file, reader))
    }

    /// Reads its footer again, unless somebody holds it.
    ///
    /// # Errors
    /// As [`FileReader::open`]; `TryAgain` when it is another file now.
    pub(crate) fn reader(&self) -> Result<Arc<FileReader>> {
        let mut held = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = held.upgrade() {
            return Ok(reader);
        }
        let file = self.file.open_as(&self.version)?;
        let reader = Arc::new(FileReader::new(&self.file, file, self.fields)?);
        *held = Arc::downgrade(&reader);
        Ok(reader)
    }
}
