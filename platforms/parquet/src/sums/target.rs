//! What lists become: runs of a store, or files of a sink.

use rufous_core::erased::in_two_domains;
use rufous_core::{Error, Result, StoreFace};
use rufous_store_api::WrittenId;
use rufous_store_api::records::{RecordFile, RecordWriter};
use rufous_store_api::{GenerationStore, RunFile};

use super::merge::Merge;

/// Where lists go.
pub(crate) trait Target: Sync {
    /// What a file is to a manifest.
    type File: Send;

    /// Adds up the values of a key that lists have in common.
    fn add(&self, key: &[u8], parts: &mut dyn Iterator<Item = &[u8]>, sum: &mut Vec<u8>) -> Result<()>;

    /// Two lists have a key that is kept in one partition (O2).
    fn in_two_domains(&self, key: &[u8], one: u32, other: u32) -> Error;

    /// Writes all of it to a file; `None`: there was nothing.
    fn write(&self, merge: Merge<'_>) -> Result<Option<Self::File>>;
}

/// The runs of a store.
pub(crate) struct ToStore<'a> {
    pub(crate) store: &'a StoreFace,
    pub(crate) generations: &'a dyn GenerationStore,
}

impl Target for ToStore<'_> {
    type File = RunFile;

    fn add(&self, _: &[u8], parts: &mut dyn Iterator<Item = &[u8]>, sum: &mut Vec<u8>) -> Result<()> {
        let added = self.store.value.sum(parts, sum);
        added.map(drop).map_err(|e| {
            Error::bug(format!(
                "store `{}`: a value that was just written: {e}",
                self.store.name
            ))
        })
    }

    fn in_two_domains(&self, key: &[u8], one: u32, other: u32) -> Error {
        in_two_domains(self.store, key, one, other)
    }

    fn write(&self, mut merge: Merge<'_>) -> Result<Option<RunFile>> {
        let mut writer = self.generations.begin_run(self.store)?;
        while let Some((key, value)) = merge.next(self)? {
            writer.push(key, value)?;
        }
        writer.finish()
    }
}

/// The files of a sink: records by their ids, each of which is there once.
pub(crate) struct ToSink<'a> {
    pub(crate) sink: &'a str,
    pub(crate) generations: &'a dyn GenerationStore,
}

impl ToSink<'_> {
    fn twice(&self, id: &[u8]) -> Error {
        let id = WrittenId::from_bytes(id).map_or_else(|| format!("{id:02x?}"), |id| id.to_string());
        Error::bug(format!("sink `{}`: two records have the id {id}", self.sink))
    }
}

impl Target for ToSink<'_> {
    type File = RecordFile;

    fn add(&self, id: &[u8], _: &mut dyn Iterator<Item = &[u8]>, _: &mut Vec<u8>) -> Result<()> {
        Err(self.twice(id))
    }

    fn in_two_domains(&self, id: &[u8], _: u32, _: u32) -> Error {
        self.twice(id)
    }

    fn write(&self, mut merge: Merge<'_>) -> Result<Option<RecordFile>> {
        let mut writer = RecordWriter::begin(self.generations, self.sink)?;
        while let Some((id, record)) = merge.next(self)? {
            writer.push(id, record)?;
        }
        writer.finish()
    }
}
