//! Files of lines: JSON, CSV or text, plain or packed. A line is a record; its offset is its place among the unpacked bytes, as
//! it is live. Plain files are read by several threads, packed ones by one each.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use memchr::{memchr, memchr_iter};
use rufous_core::{CSV_HEADER, Error, Format, RecordBatch, Result};

use super::file::{InputFile, OpenFile};
use super::split::{MAX_RECORD, Rules, Split, header_line};
use super::storage::Version;
use super::stream::{Packing, Stream};

/// What one thread takes of a plain file.
const PIECE: u64 = 8 << 20;
/// Bytes that are read at a time, if no line is longer.
const BLOCK: usize = 256 << 10;

/// One file of lines.
#[derive(Debug)]
pub(crate) struct LinesFile {
    file: InputFile,
    name: String,
    /// Its number among the files of its source.
    partition: u32,
    format: Format,
    packing: Packing,
    version: Version,
    /// The line that names the columns, if there is one.
    header: Option<Vec<u8>>,
    /// At starts of lines: how many lines lie before. Only for messages.
    counted: Mutex<BTreeMap<u64, u64>>,
}

/// Records of a file, and where they are in it.
pub(crate) struct Lines<'a> {
    file: &'a LinesFile,
    open: &'a Arc<OpenFile>,
    pub(crate) batch: &'a RecordBatch,
    /// Where the bytes of the batch begin, and how many they are: its headers follow them.
    base: u64,
    len: usize,
    /// How many lines lie before them, where that is known.
    before: Option<u64>,
}

impl LinesFile {
    /// Looks at the file; reads no more of it than a header line.
    pub(crate) fn open(file: &InputFile, partition: u32, format: Format) -> Result<Self> {
        let packing = Packing::of(file.path());
        let open = Arc::new(file.open()?);
        let header = match Rules::of(format).header {
            true => first_line(&open, packing)?,
            false => None,
        };
        // So that a torn file is found before hours are spent on others, if it is as torn as that.
        Stream::open(open.clone(), packing, 0)?;
        Ok(Self {
            file: file.clone(),
            name: open.name.clone(),
            partition,
            format,
            packing,
            version: open.version.clone(),
            header,
            counted: Mutex::new(BTreeMap::from([(0, 0)])),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
    pub(crate) fn format(&self) -> Format {
        self.format
    }
    /// What it was when it was looked at. It is read as no other content.
    pub(crate) fn version(&self) -> &Version {
        &self.version
    }

    /// Pieces that threads can read by themselves, in order: each has the lines that begin in it.
    pub(crate) fn pieces(&self) -> Vec<Range<u64>> {
        let bytes = self.version.bytes;
        match self.packing {
            // How long it is unpacked is not known.
            Packing::Gzip | Packing::Zstd => std::iter::once(0..u64::MAX).collect(),
            Packing::None => (0..bytes.div_ceil(PIECE))
                .map(|i| i * PIECE..(i * PIECE).saturating_add(PIECE).min(bytes))
                .collect(),
        }
    }

    /// Reads the lines that begin in a piece, in order.
    ///
    /// # Errors
    /// That name the file: `CorruptData` when its packed data is damaged or ends early, `TryAgain` when it was written to
    /// since it was looked at, `InvalidRequest` for a line that is too long; or the first error of `f`.
    pub(crate) fn read(&self, piece: &Range<u64>, f: &mut dyn FnMut(&Lines<'_>) -> Result<()>) -> Result<()> {
        let open = Arc::new(self.file.open_as(&self.version)?);
        // The byte before tells whether a line begins at the piece's start.
        let mut base = piece.start.saturating_sub(1);
        let mut stream = Stream::open(open.clone(), self.packing, base)?;
        let mut batch = RecordBatch {
            partition: self.partition,
            ..RecordBatch::default()
        };
        let (mut held, mut ended, mut inside) = (0, false, piece.start > 0);
        let mut before = (piece.start == 0).then_some(0);
        let (rules, mut want) = (Rules::of(self.format), BLOCK);
        while base < piece.end {
            batch.bytes.resize(held.max(want), 0);
            while !ended && held < want {
                let n = stream.read(batch.bytes.get_mut(held..).unwrap_or_default())?;
                (held, ended) = (held + n, n == 0);
            }
            batch.bytes.truncate(held);
            want = BLOCK;
            if inside {
                // The rest of a line that began in the piece before.
                let end = memchr(b'\n', &batch.bytes);
                let skipped = end.map_or(held, |i| i + 1);
                inside = end.is_none();
                batch.bytes.drain(..skipped);
                (base, held) = (base + skipped as u64, held - skipped);
                if ended && held == 0 {
                    break;
                }
                continue;
            }
            batch.entries.clear();
            let split = rules.split(&batch.bytes, base, piece.end, ended, &mut batch.entries);
            if split.too_long && split.done == 0 {
                return Err(self.too_long(base));
            }
            self.attach(&mut batch);
            batch.next = base + split.done as u64;
            if !batch.entries.is_empty() {
                f(&Lines {
                    file: self,
                    open: &open,
                    batch: &batch,
                    base,
                    len: held,
                    before,
                })?;
            }
            let done = batch.bytes.get(..split.done).unwrap_or_default();
            before = before.map(|n| n + memchr_iter(b'\n', done).count() as u64);
            batch.bytes.truncate(held);
            batch.bytes.drain(..split.done);
            (base, held) = (base + split.done as u64, held - split.done);
            if ended && (held == 0 || split.done == 0) {
                break;
            }
            want = match split {
                // What is there is the beginning of a long line.
                Split { done: 0, .. } => held.saturating_mul(2).max(BLOCK),
                // There may be more lines in what is there.
                Split { full: true, .. } => 0,
                _ => BLOCK,
            };
        }
        open.check()
    }

    /// Gives the header line to all records of a batch, so that each is read by the columns of its file.
    fn attach(&self, batch: &mut RecordBatch) {
        let Some(line) = self.header.as_deref().filter(|_| !batch.entries.is_empty()) else {
            return;
        };
        let (span, _) = batch.push_headers([(CSV_HEADER, Some(line))].into_iter());
        for e in &mut batch.entries {
            e.headers = span;
        }
    }

    fn too_long(&self, offset: u64) -> Error {
        Error::invalid(format!(
            "file {}: the line at byte {offset} is longer than {MAX_RECORD} bytes: end records with newlines",
            self.name
        ))
    }

    /// How many lines lie before a place where a line begins: from the next place where that is known.
    fn lines_before(&self, open: &Arc<OpenFile>, place: u64) -> Result<u64> {
        let known = |at: &BTreeMap<u64, u64>| at.range(..=place).next_back().map_or((0, 0), |(a, n)| (*a, *n));
        let (mut at, mut lines) = known(&self.counted.lock().unwrap_or_else(PoisonError::into_inner));
        let mut stream = Stream::open(open.clone(), Packing::None, at)?;
        let mut block = vec![0; BLOCK];
        while at < place {
            let most = usize::try_from(place - at).unwrap_or(usize::MAX).min(BLOCK);
            let n = stream.read(block.get_mut(..most).unwrap_or_default())?;
            if n == 0 {
                break;
            }
            lines += memchr_iter(b'\n', block.get(..n).unwrap_or_default()).count() as u64;
            at += n as u64;
        }
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.insert(place, lines);
        Ok(lines)
    }
}

impl Lines<'_> {
    /// File and line of an entry, for messages.
    pub(crate) fn place(&self, entry: usize) -> String {
        let offset = self.batch.entries.get(entry).map_or(self.base, |e| e.offset);
        let before = match self.before {
            Some(n) => Ok(n),
            None => self.file.lines_before(self.open, self.base),
        };
        let inside = usize::try_from(offset - self.base).unwrap_or(usize::MAX).min(self.len);
        let inside = memchr_iter(b'\n', self.batch.bytes.get(..inside).unwrap_or_default()).count() as u64;
        match before {
            Ok(n) => format!("file {}, line {}", self.file.name, n + inside + 1),
            // It cannot be read again: the record is bad all the same.
            Err(_) => format!("file {}, the line at byte {offset}", self.file.name),
        }
    }
}

/// The line that names the columns; `None`: the file is empty.
fn first_line(open: &Arc<OpenFile>, packing: Packing) -> Result<Option<Vec<u8>>> {
    if open.bytes() == 0 && packing == Packing::None {
        return Ok(None);
    }
    let mut stream = Stream::open(open.clone(), packing, 0)?;
    let (mut line, mut block) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut block)?;
        let some = block.get(..n).unwrap_or_default();
        let end = memchr(b'\n', some);
        line.extend_from_slice(some.get(..end.unwrap_or(n)).unwrap_or_default());
        if line.len() > MAX_RECORD {
            return Err(Error::invalid(format!(
                "file {}: its first line, which names the columns, is longer than {MAX_RECORD} bytes",
                open.name
            )));
        }
        if n == 0 || end.is_some() {
            return Ok(Some(header_line(&line).to_vec()));
        }
    }
}
