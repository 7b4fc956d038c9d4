//! A file's bytes in order, unpacked.

use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flate2::bufread::MultiGzDecoder;
use rufous_core::{Error, Result};

use super::file::OpenFile;

/// How a file is packed, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    pub(super) fn of(path: &Path) -> Self {
        match path.extension().and_then(|e| e.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// The bytes of a file, from a place on.
pub(super) struct Stream {
    file: Arc<OpenFile>,
    packing: Packing,
    bytes: Box<dyn Read + Send>,
    /// Why the file could not be read: decompressors keep no more than its words.
    failed: Arc<Mutex<Option<Error>>>,
}

impl Stream {
    /// The unpacked bytes from the file's start, or from `at` of a file that is not packed.
    ///
    /// # Errors
    /// `CorruptData` when it is packed and has no bytes at all.
    pub(super) fn open(file: Arc<OpenFile>, packing: Packing, at: u64) -> Result<Self> {
        let failed = Arc::new(Mutex::default());
        let range = RangeReader {
            file: file.clone(),
            at,
            failed: failed.clone(),
        };
        if packing != Packing::None && file.bytes() == 0 {
            return Err(file.blame(torn(&file.name, packing, "it is empty")));
        }
        let bytes: Box<dyn Read + Send> = match packing {
            Packing::None => Box::new(range),
            Packing::Gzip => Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 << 10, range))),
            Packing::Zstd => {
                let decoder = zstd::stream::read::Decoder::new(range);
                Box::new(decoder.map_err(|e| Error::try_again(format!("{}: cannot unpack: {e}", file.name)))?)
            }
        };
        Ok(Self {
            file,
            packing,
            bytes,
            failed,
        })
    }

    /// The next bytes; 0 at the end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        loop {
            match self.bytes.read(into) {
                Ok(n) => return Ok(n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
                    let why = || torn(&self.file.name, self.packing, &e.to_string());
                    return Err(self.file.blame(failed.unwrap_or_else(why)));
                }
            }
        }
    }
}

fn torn(name: &str, packing: Packing, why: &str) -> Error {
    let packing = match packing {
        Packing::Gzip => "gzip",
        Packing::Zstd => "zstd",
        Packing::None => "plain",
    };
    Error::corrupt(format!(
        "file {name}: its {packing} data is cut off or damaged ({why}): write it again, whole"
    ))
}

/// A file's bytes as they are.
struct RangeReader {
    file: Arc<OpenFile>,
    at: u64,
    failed: Arc<Mutex<Option<Error>>>,
}

impl Read for RangeReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.file.bytes().saturating_sub(self.at);
        let n = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(into) = into.get_mut(..n).filter(|into| !into.is_empty()) else {
            return Ok(0);
        };
        if let Err(e) = self.file.read_range(self.at, into) {
            let words = e.to_string();
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(e);
            return Err(io::Error::other(words));
        }
        self.at += n as u64;
        Ok(n)
    }
}
