//! What batch runs wrote to a sink (O22): the records of one generation, in the order of their ids.

use std::marker::PhantomData;
use std::sync::Arc;

use rufous_algebra::Codec;
use rufous_algebra::codec::schema_reads;
use rufous_core::{Error, Result, Sink};
use rufous_store_api::records::Records;
use rufous_store_api::{GenerationStore, Manifest, SinkGeneration, WrittenId};

use crate::client::Client;

/// Reads a sink that is a part of each generation.
#[derive(Clone, Debug)]
pub struct SinkClient<T> {
    raw: RawSinkClient,
    _of: PhantomData<fn() -> T>,
}

/// The same without the type of its records.
#[derive(Clone, Debug)]
pub struct RawSinkClient {
    client: Client,
    sink: String,
}

/// The records of one generation: exactly those below its frontier, each once.
pub struct WrittenRecords<T> {
    raw: RawWritten,
    _of: PhantomData<fn() -> T>,
}

/// The same as bytes.
pub struct RawWritten {
    sink: String,
    manifest: Arc<Manifest>,
    generation: SinkGeneration,
    generations: Arc<dyn GenerationStore>,
}

/// A record of a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenRecord<T> {
    /// Which it is: read again, and in every generation, it has the same id.
    pub id: WrittenId,
    /// What was written.
    pub record: T,
}

impl Client {
    /// The sink behind a port, if batch runs write it.
    pub fn sink<T: Codec>(&self, port: Sink<T>) -> SinkClient<T> {
        SinkClient {
            raw: self.raw_sink(port.name()),
            _of: PhantomData,
        }
    }

    /// A sink as bytes.
    pub fn raw_sink(&self, name: &str) -> RawSinkClient {
        RawSinkClient {
            client: self.clone(),
            sink: name.into(),
        }
    }
}

impl RawSinkClient {
    /// The newest generation.
    ///
    /// # Errors
    /// `InvalidRequest` when the job has never run here, or its generation has nothing of this sink.
    pub fn newest(&self) -> Result<RawWritten> {
        self.of(self.client.newest(0)?)
    }

    /// The generation of this number.
    ///
    /// # Errors
    /// As [`newest`](Self::newest); `InvalidRequest` when there is none, or it was deleted.
    pub fn generation(&self, number: u64) -> Result<RawWritten> {
        let manifest = self.client.parts().manifests.get(number)?.ok_or_else(|| {
            Error::invalid(format!(
                "sink `{}`: there is no generation {number}, or it was deleted: `generations` lists those that are there",
                self.sink
            ))
        })?;
        self.of(Arc::new(manifest))
    }

    fn of(&self, manifest: Arc<Manifest>) -> Result<RawWritten> {
        let generation = manifest.sinks.get(&self.sink).cloned().ok_or_else(|| {
            let known: Vec<_> = manifest.sinks.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "none".into()
            } else {
                known.join(", ")
            };
            Error::invalid(format!(
                "generation {} has nothing of sink `{}` (it has: {known}): batch runs write the sinks that are bound to \
                 `each_generation()`, from their first run on",
                manifest.number, self.sink
            ))
        })?;
        Ok(RawWritten {
            sink: self.sink.clone(),
            manifest,
            generation,
            generations: self.client.parts().generations.clone(),
        })
    }
}

impl RawWritten {
    /// The number of the generation.
    pub fn number(&self) -> u64 {
        self.manifest.number
    }

    /// The manifest of the generation: how far it reaches, among others.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the bytes of a record mean.
    pub fn schema(&self) -> &str {
        &self.generation.schema
    }

    /// How many records there are.
    pub fn len(&self) -> u64 {
        self.generation.records()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records from the first on whose id is not below `from`.
    ///
    /// # Errors
    /// `CorruptData` that names the file that is not what was written.
    pub fn records(&self, from: Option<&WrittenId>) -> Result<Records<'_>> {
        Records::open(&*self.generations, &self.sink, &self.generation, from)
    }

    /// An id out of a file.
    ///
    /// # Errors
    /// `CorruptData` when the bytes are none.
    pub fn id(&self, bytes: &[u8]) -> Result<WrittenId> {
        WrittenId::from_bytes(bytes).ok_or_else(|| {
            Error::corrupt(format!(
                "sink `{}`: generation {} has a record whose id is none ({bytes:02x?}): restore its files from a copy",
                self.sink,
                self.number()
            ))
        })
    }

    /// The error for a record whose bytes are not of its type.
    pub fn undecodable(&self, id: &WrittenId, why: impl std::fmt::Display) -> Error {
        Error::corrupt(format!(
            "record {}: it is not of its type: {why}: restore the files of generation {} from a copy",
            id.of_sink(&self.sink),
            self.number()
        ))
    }
}

impl<T: Codec> SinkClient<T> {
    /// The newest generation.
    ///
    /// # Errors
    /// As [`RawSinkClient::newest`]; `InvalidRequest` when it has records of another type.
    pub fn newest(&self) -> Result<WrittenRecords<T>> {
        Self::typed(self.raw.newest()?)
    }

    /// The generation of this number.
    ///
    /// # Errors
    /// As [`newest`](Self::newest); `InvalidRequest` when there is none, or it was deleted.
    pub fn generation(&self, number: u64) -> Result<WrittenRecords<T>> {
        Self::typed(self.raw.generation(number)?)
    }

    fn typed(raw: RawWritten) -> Result<WrittenRecords<T>> {
        if !schema_reads(&T::schema(), raw.schema()) {
            return Err(Error::invalid(format!(
                "sink `{}` holds `{}` in generation {}, the port has `{}`: read it with the code that wrote it",
                raw.sink,
                raw.schema(),
                raw.number(),
                T::schema()
            )));
        }
        Ok(WrittenRecords { raw, _of: PhantomData })
    }
}

impl<T: Codec> WrittenRecords<T> {
    /// What there is without the type.
    pub fn raw(&self) -> &RawWritten {
        &self.raw
    }

    /// How many records there are.
    pub fn len(&self) -> u64 {
        self.raw.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The records in the order of their ids, from the first on that is not below `from`. Each has its own result; behind an error
    /// there is nothing.
    ///
    /// # Errors
    /// `CorruptData` when the manifest names a file in words that nobody wrote.
    pub fn iter(&self, from: Option<&WrittenId>) -> Result<impl Iterator<Item = Result<WrittenRecord<T>>>> {
        let mut records = Some(self.raw.records(from)?);
        Ok(std::iter::from_fn(move || {
            let next = records.as_mut()?.next_record();
            let written = match next {
                Ok(None) => None,
                Ok(Some((id, record))) => Some(self.raw.id(id).and_then(|id| {
                    let record = T::decode(record).map_err(|why| self.raw.undecodable(&id, why))?;
                    Ok(WrittenRecord { id, record })
                })),
                Err(e) => Some(Err(e)),
            };
            if !matches!(written, Some(Ok(_))) {
                records = None;
            }
            written
        }))
    }
}
