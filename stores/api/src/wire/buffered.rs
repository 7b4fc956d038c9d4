//! Many small messages in few calls: what is written is sent before anything is waited for.

use std::io::{self, BufReader, Read, Write};

/// What is collected before it is sent, unless somebody is waited for.
const COLLECTED: usize = 128 << 10;

/// A stream whose writes are collected until it is read from and nothing is left of what has arrived. So several questions go out by one
/// call, and so do their answers.
pub(super) struct Buffered<S> {
    stream: BufReader<S>,
    out: Vec<u8>,
}

impl<S: Read + Write> Buffered<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
            out: Vec::new(),
        }
    }
    pub(super) fn get_mut(&mut self) -> &mut S {
        self.stream.get_mut()
    }
}

impl<S: Read + Write> Read for Buffered<S> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.stream.buffer().is_empty() {
            self.flush()?;
        }
        self.stream.read(bytes)
    }
}

impl<S: Read + Write> Write for Buffered<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.out.is_empty() && self.out.len() + bytes.len() > COLLECTED {
            self.flush()?;
        }
        if bytes.len() > COLLECTED {
            return self.stream.get_mut().write(bytes);
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            let sent = self.stream.get_mut().write_all(&self.out);
            // What was sent in part is not sent again: the connection is of no use any more.
            self.out.clear();
            sent?;
        }
        self.stream.get_mut().flush()
    }
}
