//! The records of a generation in the order of their ids.

use std::ops::Range;

use rufous_core::{Error, Result};

use super::block::{record, unpack};
use super::write::shown;
use super::{RecordFile, SinkGeneration, WrittenId};
use crate::offline::{Entries, GenerationStore};

/// Records in the order of their ids. A file is opened when its first id comes, and holds one block in memory.
pub struct Records<'a> {
    generations: &'a dyn GenerationStore,
    sink: String,
    /// Not opened yet, the one with the least first id last.
    waiting: Vec<(Vec<u8>, RecordFile)>,
    from: Vec<u8>,
    open: Vec<Cursor<'a>>,
    /// The place in `open` of the file whose record was passed on.
    at: Option<usize>,
    /// Its records stand before all others as long as they are below this; `None`: to its end.
    until: Option<Vec<u8>>,
    last: Vec<u8>,
}

/// A file, at one of its records.
struct Cursor<'a> {
    path: String,
    entries: Box<dyn Entries + 'a>,
    records: Vec<u8>,
    id: Range<usize>,
    bytes: Range<usize>,
}

impl Cursor<'_> {
    fn id(&self) -> &[u8] {
        self.records.get(self.id.clone()).unwrap_or_default()
    }

    fn corrupt(&self, sink: &str, why: &str) -> Error {
        corrupt(sink, &self.path, why)
    }

    /// To the next record; `false`: there is none.
    fn advance(&mut self, sink: &str) -> Result<bool> {
        if self.bytes.end >= self.records.len() {
            let Some((key, block)) = self.entries.next_entry()? else {
                return Ok(false);
            };
            unpack(block, &mut self.records)
                .map_err(|why| corrupt(sink, &self.path, &format!("has a block of records that {why}")))?;
            // A block stands under the id of its last record.
            let (mut at, mut last) = (0, 0..0);
            while at < self.records.len()
                && let Some((id, bytes)) = record(&self.records, at)
            {
                (at, last) = (bytes.end, id);
            }
            if at == 0 || at != self.records.len() || self.records.get(last) != Some(key) {
                let why = format!("has a block of records that is not the one up to {}", shown(key));
                return Err(corrupt(sink, &self.path, &why));
            }
            self.bytes = 0..0;
        }
        match record(&self.records, self.bytes.end) {
            Some((id, bytes)) => {
                (self.id, self.bytes) = (id, bytes);
                Ok(true)
            }
            None => Err(self.corrupt(sink, "has a malformed block of records")),
        }
    }
}

fn corrupt(sink: &str, path: &str, why: &str) -> Error {
    Error::corrupt(format!(
        "sink `{sink}`: run {path} {why}: restore it from a copy, or run `batch` again into a new instance"
    ))
}

impl<'a> Records<'a> {
    /// From the first id on that is not below `from`.
    ///
    /// # Errors
    /// `CorruptData` when the manifest names a first id that is none.
    pub fn open(
        generations: &'a dyn GenerationStore,
        sink: &str,
        generation: &SinkGeneration,
        from: Option<&WrittenId>,
    ) -> Result<Self> {
        let mut waiting = Vec::new();
        for file in &generation.files {
            let first = WrittenId::parse("", &file.first_id)
                .ok()
                .filter(|id| id.to_string() == file.first_id);
            let first = first.ok_or_else(|| {
                Error::corrupt(format!(
                    "sink `{sink}`: the manifest says that run {} begins with `{}`, which is no id: restore it from a copy",
                    file.file.path, file.first_id
                ))
            })?;
            waiting.push((first.to_bytes(), file.clone()));
        }
        waiting.sort_by(|(a, _), (b, _)| b.cmp(a));
        Ok(Self {
            generations,
            sink: sink.into(),
            waiting,
            from: from.map(WrittenId::to_bytes).unwrap_or_default(),
            open: Vec::new(),
            at: None,
            until: None,
            last: Vec::new(),
        })
    }

    /// Opens a file; it stands at its first record, and is let go of when it has none from `from` on.
    fn open_file(&mut self, first: &[u8], file: &RecordFile) -> Result<()> {
        let mut cursor = Cursor {
            path: file.file.path.clone(),
            entries: self.generations.entries(&self.sink, &file.file, &self.from)?,
            records: Vec::new(),
            id: 0..0,
            bytes: 0..0,
        };
        let mut found = cursor.advance(&self.sink)?;
        if found && first >= self.from.as_slice() && cursor.id() != first {
            let why = format!("begins with record {}, not with {}", shown(cursor.id()), shown(first));
            return Err(cursor.corrupt(&self.sink, &why));
        }
        while found && cursor.id() < self.from.as_slice() {
            found = cursor.advance(&self.sink)?;
        }
        if found {
            self.open.push(cursor);
        }
        Ok(())
    }

    /// Finds the file with the least id, and how far it goes alone.
    fn choose(&mut self) -> Result<Option<usize>> {
        loop {
            let least = self.open.iter().map(Cursor::id).min();
            let next = self.waiting.last().map(|(first, _)| first.as_slice());
            // Of a file that begins before `from` it is not known yet what it has from there on.
            match (least, next) {
                (_, None) => break,
                (Some(least), Some(next)) if least < next => break,
                _ => {}
            }
            if let Some((first, file)) = self.waiting.pop() {
                self.open_file(&first, &file)?;
            }
        }
        let mut order: Vec<_> = self.open.iter().map(Cursor::id).zip(0..).collect();
        order.sort_unstable();
        let second = order.get(1).map(|(id, _)| *id);
        let next = self.waiting.last().map(|(first, _)| first.as_slice());
        let until = second.into_iter().chain(next).min().map(<[u8]>::to_vec);
        let at = order.first().map(|(_, at)| *at);
        self.until = until;
        Ok(at)
    }

    /// The next record: the bytes of its id, and its own.
    ///
    /// # Errors
    /// `CorruptData` that names the file when one is not what was written, or when an id is in two of them; `TryAgain` when one is
    /// gone, for a newer manifest may have replaced it (P25).
    pub fn next_record(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        if let Some(at) = self.at.take()
            && let Some(cursor) = self.open.get_mut(at)
        {
            if !cursor.advance(&self.sink)? {
                self.open.swap_remove(at);
            } else if self.until.as_ref().is_none_or(|until| cursor.id() < until.as_slice()) {
                self.at = Some(at);
            }
        }
        if self.at.is_none() {
            self.at = self.choose()?;
        }
        let Some(cursor) = self.at.and_then(|at| self.open.get(at)) else {
            return Ok(None);
        };
        if !self.last.is_empty() && cursor.id() <= self.last.as_slice() {
            let why = format!(
                "has record {} where those above {} were expected",
                shown(cursor.id()),
                shown(&self.last)
            );
            return Err(cursor.corrupt(&self.sink, &why));
        }
        self.last.clear();
        self.last.extend_from_slice(cursor.id());
        Ok(Some((
            cursor.id(),
            cursor.records.get(cursor.bytes.clone()).unwrap_or_default(),
        )))
    }
}

/// Reads every byte of the files of a sink, and compares checksums, ids and counts with what the manifest says.
///
/// # Errors
/// `CorruptData` that names the first file that is not what the manifest says.
pub fn verify(generations: &dyn GenerationStore, sink: &str, generation: &SinkGeneration) -> Result<()> {
    for file in &generation.files {
        generations.verify_records(sink, &file.file)?;
        let alone = SinkGeneration {
            schema: generation.schema.clone(),
            files: vec![file.clone()],
        };
        let mut records = Records::open(generations, sink, &alone, None)?;
        let mut n = 0_u64;
        while let Some((id, _)) = records.next_record()? {
            if WrittenId::from_bytes(id).is_none() {
                return Err(corrupt(
                    sink,
                    &file.file.path,
                    &format!("has a record whose id is none: {id:02x?}"),
                ));
            }
            n += 1;
        }
        if n != file.records {
            let why = format!("holds {n} records in place of {}", file.records);
            return Err(corrupt(sink, &file.file.path, &why));
        }
    }
    // Across files an id stands once.
    let mut all = Records::open(generations, sink, generation, None)?;
    while all.next_record()?.is_some() {}
    Ok(())
}
