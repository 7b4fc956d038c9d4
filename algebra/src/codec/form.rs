//! The first byte of a sketch.

use super::{Codec, DecodeError};

/// How items became hashes. Sketches of different hashes cannot be merged, so the bytes say which it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HashId {
    /// XXH3-64, seed 0, of [`HashBytes`](crate::HashBytes).
    Xxh3 = 0,
    /// XXH3-128, seed 0, of [`HashBytes`](crate::HashBytes).
    Xxh3Wide = 1,
    /// Murmur3-x64-128, seed 9001, by the input rules of Apache DataSketches.
    Murmur3 = 2,
    /// The sketch hashes nothing.
    None = 7,
}

/// One byte `version:3 | mode:2 | hash:3`: the version of the layout, which of up to four layouts follows, and the hash.
/// It costs a nested sketch nothing to say its version, since the mode needs the byte anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    version: u8,
    hash: HashId,
    name: &'static str,
}

impl Form {
    /// `name` is what errors call the sketch; versions are from 1 to 7.
    pub const fn new(name: &'static str, version: u8, hash: HashId) -> Self {
        assert!(version >= 1 && version <= 7);
        Self { version, hash, name }
    }

    /// The byte of a mode from 0 to 3.
    pub const fn byte(self, mode: u8) -> u8 {
        assert!(mode <= 3);
        self.version << 5 | mode << 3 | self.hash as u8
    }

    /// Splits the bytes of a sketch into its mode and the rest.
    ///
    /// # Errors
    /// When there are none, or version or hash are others.
    pub fn split(self, bytes: &[u8]) -> Result<(u8, &[u8]), DecodeError> {
        let Some((&byte, rest)) = bytes.split_first() else {
            return Err(DecodeError::new(format!("{} of no bytes", self.name)));
        };
        let (version, mode, hash) = (byte >> 5, byte >> 3 & 3, byte & 7);
        if version != self.version {
            return Err(DecodeError::new(format!(
                "{} of version {version}, not {}",
                self.name, self.version
            )));
        }
        if hash != self.hash as u8 {
            return Err(DecodeError::new(format!(
                "{} of hash {hash}, not {}",
                self.name, self.hash as u8
            )));
        }
        Ok((mode, rest))
    }

    /// The error for a mode that the sketch does not have.
    pub fn unknown_mode(self, mode: u8) -> DecodeError {
        DecodeError::new(format!("{} of the unknown mode {mode}", self.name))
    }

    /// Decodes fixed-width values up to the end.
    ///
    /// # Errors
    /// When the bytes do not divide into such values.
    pub fn list<T: Codec>(
        self,
        bytes: &[u8],
    ) -> Result<impl ExactSizeIterator<Item = Result<T, DecodeError>>, DecodeError> {
        let width = const {
            match T::WIDTH {
                Some(width) => width,
                None => panic!("values of one width"),
            }
        };
        if !bytes.len().is_multiple_of(width) {
            return Err(DecodeError::new(format!(
                "{} of {} bytes, which are not whole values of {width} bytes",
                self.name,
                bytes.len()
            )));
        }
        Ok(bytes.chunks_exact(width).map(T::decode))
    }
}
