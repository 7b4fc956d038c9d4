//! Compressed files as streams of bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::ident::{Packing, read_at};

/// A file read from its start; the position is ours, other readers of the same file have theirs.
pub(crate) struct FromStart {
    file: Arc<File>,
    position: u64,
}

impl FromStart {
    pub(crate) fn new(file: Arc<File>) -> Self {
        Self { file, position: 0 }
    }
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = read_at(&self.file, buffer, self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

/// The bytes that were packed: all members of a gzip file, all frames of a zstd file.
pub(crate) fn unpack(file: Arc<File>, packing: Packing) -> Box<dyn Read + Send> {
    let packed = BufReader::with_capacity(64 << 10, FromStart::new(file));
    match packing {
        Packing::Gzip => Box::new(MultiGzDecoder::new(packed)),
        Packing::Zstd => Box::new(Frames {
            packed,
            decoder: FrameDecoder::new(),
            inside: false,
        }),
    }
}

/// The frames of a zstd file one after the other. ruzstd itself stops after the first.
struct Frames<R> {
    packed: R,
    decoder: FrameDecoder,
    inside: bool,
}

impl<R: BufRead> Frames<R> {
    /// Begins the next frame, if there is one.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.packed.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.packed) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut (&mut self.packed).take(u64::from(length)), &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(e) => return Err(io::Error::other(e)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.inside {
                if !self.next_frame()? {
                    return Ok(0);
                }
                self.inside = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let some = BlockDecodingStrategy::UptoBytes(buffer.len());
                self.decoder
                    .decode_blocks(&mut self.packed, some)
                    .map_err(io::Error::other)?;
            }
            let n = self.decoder.read(buffer)?;
            if n > 0 {
                return Ok(n);
            }
            if let Some(sum) = self.decoder.get_checksum_from_data()
                && self.decoder.get_calculated_checksum().is_some_and(|c| c != sum)
            {
                return Err(io::Error::other("the checksum of a zstd frame does not match"));
            }
            self.inside = false;
        }
    }
}
