//! Frames, and the fields inside them.

use std::io::{self, ErrorKind as Io, Read, Write};

use rufous_core::{Error, ErrorKind, Result};

/// What every connection begins with.
pub(super) const MAGIC: [u8; 4] = *b"RfRd";
/// The version of the protocol. Since 2 a connection outlives its snapshot; since 3 both ends remember what was said on it last, and ranges
/// are one question.
pub(super) const VERSION: u8 = 3;
/// The first version whose connections may be kept.
pub(super) const KEPT: u8 = 2;
/// The first version whose ends remember.
pub(super) const REMEMBERS: u8 = 3;
/// The oldest that is spoken still, by either side.
pub(super) const OLDEST: u8 = 1;
/// The longest frame that an owner takes from a client. Longer lists of keys are sent in pieces.
pub(super) const MAX_REQUEST: usize = 16 << 20;
/// The longest frame that a client takes from an owner: one value may be this long.
pub(super) const MAX_ANSWER: usize = 256 << 20;
/// A `V` frame is sent when it has grown to this.
pub(super) const PART: usize = 64 << 10;

pub(super) const HELLO: u8 = b'H';
pub(super) const NEXT: u8 = b'N';
pub(super) const END: u8 = b'F';
pub(super) const PARTITIONS: u8 = b'P';
pub(super) const CELLS: u8 = b'C';
pub(super) const SCAN: u8 = b'S';
pub(super) const RANGES: u8 = b'G';
pub(super) const DONE: u8 = b'O';
pub(super) const ROWS: u8 = b'R';
pub(super) const SAME: u8 = b'K';
pub(super) const VALUES: u8 = b'V';
pub(super) const ERROR: u8 = b'E';

/// A frame that is being written.
pub(super) struct Out(Vec<u8>);

impl Out {
    pub(super) fn new(kind: u8) -> Self {
        Self(vec![0, 0, 0, 0, kind])
    }
    pub(super) fn len(&self) -> usize {
        self.0.len() - 4
    }
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 1
    }
    pub(super) fn clear(&mut self) {
        self.0.truncate(5);
    }
    pub(super) fn u8(&mut self, n: u8) {
        self.0.push(n);
    }
    pub(super) fn u32(&mut self, n: u32) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }
    pub(super) fn i64(&mut self, n: i64) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let n = u32::try_from(bytes.len()).ok().filter(|n| *n as usize <= MAX_ANSWER);
        self.u32(n.ok_or_else(|| {
            Error::invalid(format!(
                "{} bytes do not fit into one message: read with the owner stopped",
                bytes.len()
            ))
        })?);
        self.0.extend_from_slice(bytes);
        Ok(())
    }
    pub(super) fn json(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<()> {
        let text =
            serde_json::to_vec(value).map_err(|e| Error::bug("a message cannot be written as JSON").caused_by(e))?;
        self.bytes(&text)
    }
    pub(super) fn send(&mut self, stream: &mut impl Write, limit: usize) -> Result<()> {
        let n = self.len();
        if n > limit {
            return Err(Error::invalid(format!(
                "a message of {n} bytes is longer than the limit of {limit} bytes"
            )));
        }
        self.0[..4].copy_from_slice(&(n as u32).to_le_bytes());
        stream.write_all(&self.0).map_err(|e| broken("sending", e))
    }
}

/// A frame that has arrived.
pub(super) struct In {
    pub(super) kind: u8,
    body: Vec<u8>,
    at: usize,
}

impl In {
    /// The next frame; `None` at a clean end.
    pub(super) fn receive(stream: &mut impl Read, limit: usize) -> Result<Option<Self>> {
        let mut head = [0; 4];
        let mut have = 0;
        while have < head.len() {
            match stream.read(&mut head[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(broken("receiving", Io::UnexpectedEof.into())),
                Ok(n) => have += n,
                Err(e) if e.kind() == Io::Interrupted => {}
                Err(e) => return Err(broken("receiving", e)),
            }
        }
        let n = u32::from_le_bytes(head) as usize;
        if n == 0 || n > limit {
            return Err(Error::corrupt(format!(
                "a message claims {n} bytes; 1 to {limit} are allowed"
            )));
        }
        // `take` and `read_to_end` grow with what arrives, not with what is claimed.
        let mut body = Vec::new();
        stream
            .by_ref()
            .take(n as u64)
            .read_to_end(&mut body)
            .map_err(|e| broken("receiving", e))?;
        if body.len() != n {
            return Err(broken("receiving", Io::UnexpectedEof.into()));
        }
        Ok(Some(Self {
            kind: body[0],
            body,
            at: 1,
        }))
    }

    fn take(&mut self, n: usize) -> Result<&[u8]> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.body.len());
        let end = end.ok_or_else(|| {
            Error::corrupt(format!(
                "a message of type {} ends inside a field",
                self.kind.escape_ascii()
            ))
        })?;
        let field = &self.body[self.at..end];
        self.at = end;
        Ok(field)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }
    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }
    pub(super) fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }
    pub(super) fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }
    pub(super) fn magic(&mut self) -> Result<[u8; 4]> {
        self.array()
    }
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>> {
        let n = self.u32()? as usize;
        Ok(self.take(n)?.to_vec())
    }
    /// Passes a byte string that is empty; else nothing.
    pub(super) fn skips_empty(&mut self) -> Result<bool> {
        let before = self.at;
        let empty = self.u32()? == 0;
        if !empty {
            self.at = before;
        }
        Ok(empty)
    }
    pub(super) fn text(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?)
            .map_err(|e| Error::corrupt("a message holds text that is not UTF-8").caused_by(e))
    }
    pub(super) fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let bytes = self.bytes()?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Error::corrupt(format!("a message holds no such value: {e}")).caused_by(e))
    }
    pub(super) fn at_end(&self) -> bool {
        self.at == self.body.len()
    }
    pub(super) fn end(&self) -> Result<()> {
        if self.at_end() {
            Ok(())
        } else {
            Err(Error::corrupt(format!(
                "a message of type {} is too long",
                self.kind.escape_ascii()
            )))
        }
    }
}

/// Sends what was collected.
pub(super) fn flush(stream: &mut impl Write) -> Result<()> {
    stream.flush().map_err(|e| broken("sending", e))
}

fn broken(what: &str, e: io::Error) -> Error {
    let text = match e.kind() {
        Io::WouldBlock | Io::TimedOut => format!("{what} took too long"),
        _ => format!("{what}: {e}"),
    };
    Error::try_again(text).caused_by(e)
}

/// Whether the other side took too long.
pub(super) fn is_late(e: &Error) -> bool {
    let cause = std::error::Error::source(e).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| matches!(cause.kind(), Io::WouldBlock | Io::TimedOut))
}

const KINDS: [ErrorKind; 6] = [
    ErrorKind::TryAgain,
    ErrorKind::Incomplete,
    ErrorKind::InvalidRequest,
    ErrorKind::CorruptData,
    ErrorKind::Closed,
    ErrorKind::Bug,
];

/// The longest message of an error that is sent.
const MAX_MESSAGE: usize = 64 << 10;

pub(super) fn error_out(e: &Error) -> Out {
    let kind = KINDS.iter().position(|k| *k == e.kind()).unwrap_or(KINDS.len() - 1);
    let mut message = e.to_string();
    while message.len() > MAX_MESSAGE {
        message.truncate(MAX_MESSAGE / 2);
        message = String::from_utf8_lossy(message.as_bytes()).into_owned();
    }
    let mut out = Out::new(ERROR);
    out.u8(kind as u8);
    // A message of this length always fits.
    let _ = out.bytes(message.as_bytes());
    out
}

pub(super) fn error_in(frame: &mut In) -> Result<Error> {
    let kind = frame.u8()?;
    let message = frame.text()?;
    frame.end()?;
    Ok(Error::new(
        KINDS.get(usize::from(kind)).copied().unwrap_or(ErrorKind::Bug),
        message,
    ))
}
