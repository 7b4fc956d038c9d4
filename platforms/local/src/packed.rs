//! Reading a compressed file: offsets are positions in the stream of unpacked bytes, and reading begins at its start again.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rufous_core::{Error, RecordBatch, Result};

use crate::header::HeaderLine;
use crate::ident::{Packing, Stat};
use crate::plain::truncated;
use crate::split::Rules;
use crate::unpack::unpack;

/// One compressed file and the position in its bytes.
pub(crate) struct Packed {
    pub(crate) file: Arc<File>,
    pub(crate) path: PathBuf,
    packing: Packing,
    position: u64,
    end: u64,
    /// As it was when its bytes were counted.
    stat: Stat,
    stream: Option<Box<dyn Read + Send>>,
    /// Unpacked bytes from the position on.
    rest: Vec<u8>,
    /// Whether `rest` is all that is left.
    ended: bool,
    want: usize,
    header: HeaderLine,
}

impl Packed {
    /// To be read from `position` up to `end`, its unpacked length.
    pub(crate) fn new(
        file: Arc<File>,
        path: PathBuf,
        packing: Packing,
        position: u64,
        end: u64,
        stat: Stat,
        rules: &Rules,
    ) -> Self {
        let want = rules.block;
        Self {
            file,
            path,
            packing,
            position,
            end,
            stat,
            stream: None,
            rest: Vec::new(),
            ended: false,
            want,
            header: HeaderLine::default(),
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next records; `false` when there are none left.
    pub(crate) fn fill(&mut self, rules: &Rules, into: &mut RecordBatch) -> Result<bool> {
        let now = Stat::of(&self.file, &self.path)?;
        if self.stat.len == 0 && now.len > 0 {
            (self.end, self.stat) = (count(&self.file, &self.path, self.packing)?, now);
        }
        if (now.len, now.changed) != (self.stat.len, self.stat.changed) {
            return Err(Error::invalid(format!(
                "{}: the file was written to after it was read first ({} bytes, now {}): compressed files are given once and \
                 whole; write them under a name that ends in .tmp, then rename them",
                self.path.display(),
                self.stat.len,
                now.len
            )));
        }
        if self.position == self.end {
            return Ok(false);
        }
        let filled = self.read(rules, into);
        if filled.is_err() {
            // Begins at the start again if it is asked again.
            self.stream = None;
            self.rest.clear();
            self.ended = false;
        }
        filled
    }

    fn read(&mut self, rules: &Rules, into: &mut RecordBatch) -> Result<bool> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.skip()?,
        };
        into.bytes.clear();
        into.bytes.append(&mut self.rest);
        loop {
            let mut filled = into.bytes.len();
            into.bytes.resize(self.want.max(filled), 0);
            while filled < into.bytes.len() && !self.ended {
                let n = read_some(&mut *stream, &mut into.bytes[filled..])
                    .map_err(|e| broken(&self.path, self.position + filled as u64, e))?;
                self.ended = n == 0;
                filled += n;
            }
            into.bytes.truncate(filled);
            into.entries.clear();
            let split = rules.split(&into.bytes, self.position, self.ended, &mut into.entries);
            rules.check(&split, &self.path.display(), self.position)?;
            if split.consumed > 0 {
                self.rest.extend_from_slice(&into.bytes[split.consumed..]);
                into.bytes.truncate(split.consumed);
                let start = || unpack(self.file.clone(), self.packing);
                self.header.attach(rules, &self.path, into, start)?;
                self.position += split.consumed as u64;
                into.next = self.position;
                self.want = rules.next_want(self.want, split.consumed, into.entries.len());
                self.stream = Some(stream);
                return Ok(true);
            }
            if self.ended {
                return Err(truncated(&self.path, self.end, self.position));
            }
            self.want = rules.more(self.want.max(filled));
        }
    }

    /// A stream that stands at the position, which must be the start of a line.
    fn skip(&self) -> Result<Box<dyn Read + Send>> {
        let mut stream = unpack(self.file.clone(), self.packing);
        let mut block = vec![0; 64 << 10];
        let (mut done, mut last) = (0, b'\n');
        while done < self.position {
            let most = (self.position - done).min(block.len() as u64) as usize;
            match read_some(&mut *stream, &mut block[..most]).map_err(|e| broken(&self.path, done, e))? {
                0 => return Err(truncated(&self.path, self.position, done)),
                n => {
                    done += n as u64;
                    last = block[n - 1];
                }
            }
        }
        if last == b'\n' {
            Ok(stream)
        } else {
            Err(inside_a_line(&self.path, self.position))
        }
    }
}

/// The error for a position that no reader of this file can have reached.
pub(crate) fn inside_a_line(path: &Path, offset: u64) -> Error {
    Error::invalid(format!(
        "{}: offset {offset} is inside a line: the file is not the one that was read up to there, or its last line had no \
         newline and went on later: {}",
        path.display(),
        crate::survey::REPAIR
    ))
}

/// How many bytes a compressed file holds.
pub(crate) fn count(file: &Arc<File>, path: &Path, packing: Packing) -> Result<u64> {
    let mut stream = unpack(file.clone(), packing);
    let mut block = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        match read_some(&mut *stream, &mut block).map_err(|e| broken(path, total, e))? {
            0 => return Ok(total),
            n => total += n as u64,
        }
    }
}

pub(crate) fn read_some(stream: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn broken(path: &Path, offset: u64, e: io::Error) -> Error {
    Error::corrupt(format!(
        "{}: cannot be unpacked after offset {offset} of its contents: {e}: restore the file; one that is still being written \
         belongs under a name that ends in .tmp",
        path.display()
    ))
    .caused_by(e)
}
