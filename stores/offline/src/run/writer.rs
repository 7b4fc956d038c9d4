//! Writes a run; it gets its name when it is whole and durable.

use std::io::Write;
use std::sync::Arc;

use rufous_algebra::codec::put_varint;
use rufous_core::{Error, Result};
use rufous_place::{Pending, Place, Steps};
use rufous_store_api::exclusive::unique_name;
use rufous_store_api::{RunFile, RunWriter};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

use crate::hold::Hold;

use super::{BLOCK, FOOTER, MAGIC, PARTITION, SUM, filter, hex};

const STEPS: Steps = ["run.created", "run.written", "run.synced", "run.renamed", "run.durable"];
/// What is written to the file at a time.
const BUFFER: usize = 256 << 10;

/// A run that is being written. After a failed write it takes nothing more: the file may hold a part of an entry. It holds
/// one block, and of one partition the index and a hash a key; of those before, the first keys.
pub(crate) struct Writer {
    place: Arc<dyn Place>,
    hold: Arc<Hold>,
    dir: String,
    name: String,
    /// `None` after a failure.
    file: Option<Box<dyn Pending>>,
    buffer: Vec<u8>,
    hash: Xxh3,
    /// Bytes so far, those in the buffer as well.
    written: u64,
    block: Vec<u8>,
    /// Of the block that is being filled.
    first: Vec<u8>,
    /// Of the partition that is being filled.
    index: Vec<u8>,
    hashes: Vec<u128>,
    partition_first: Vec<u8>,
    partition_at: u64,
    filter: Vec<u8>,
    /// Without the last key.
    top: Vec<u8>,
    keys: u64,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
}

fn put_key(key: &[u8], out: &mut Vec<u8>) {
    put_varint(key.len() as u64, out);
    out.extend_from_slice(key);
}

impl Writer {
    /// Begins a run in this directory of a place.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub(crate) fn create(place: &Arc<dyn Place>, dir: &str, hold: Arc<Hold>) -> Result<Self> {
        let name = format!("run-{}.rrun", unique_name());
        let file = place.begin(&format!("{dir}/{name}"), &STEPS)?;
        let mut writer = Self {
            place: place.clone(),
            hold,
            dir: dir.into(),
            name,
            file: Some(file),
            buffer: Vec::with_capacity(BUFFER + 2 * BLOCK),
            hash: Xxh3::new(),
            written: 0,
            block: Vec::with_capacity(2 * BLOCK),
            first: Vec::new(),
            index: Vec::new(),
            hashes: Vec::new(),
            partition_first: Vec::new(),
            partition_at: MAGIC.len() as u64,
            filter: Vec::new(),
            top: Vec::new(),
            keys: 0,
            first_key: Vec::new(),
            last_key: Vec::new(),
        };
        writer.write(&MAGIC)?;
        Ok(writer)
    }

    fn path(&self) -> String {
        self.place.show(&format!("{}/{}", self.dir, self.name))
    }

    /// The file, for one operation that may fail.
    fn take_file(&mut self) -> Result<Box<dyn Pending>> {
        let file = self.file.take();
        file.ok_or_else(|| Error::closed(format!("run {} failed before: begin a new one", self.path())))
    }

    fn flush(&mut self) -> Result<()> {
        let mut file = self.take_file()?;
        file.write_all(&self.buffer)
            .map_err(|e| Error::io("cannot write run", self.path().as_ref(), e))?;
        self.file = Some(file);
        self.buffer.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.written += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn end_block(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        if self.index.is_empty() {
            self.partition_first.clone_from(&self.first);
        }
        put_key(&self.first, &mut self.index);
        put_varint(self.block.len() as u64, &mut self.index);
        let sum = xxh3_64(&self.block);
        let mut block = std::mem::take(&mut self.block);
        block.extend_from_slice(&sum.to_le_bytes());
        self.write(&block)?;
        block.clear();
        self.block = block;
        if self.written - self.partition_at >= PARTITION as u64 {
            self.end_partition()?;
        }
        Ok(())
    }

    fn end_partition(&mut self) -> Result<()> {
        if self.index.is_empty() {
            return Ok(());
        }
        let (mut index, mut filter) = (std::mem::take(&mut self.index), std::mem::take(&mut self.filter));
        filter::build(&self.hashes, &mut filter);
        put_key(&self.partition_first, &mut self.top);
        for n in [self.written, index.len() as u64, filter.len() as u64] {
            put_varint(n, &mut self.top);
        }
        let sum = xxh3_64(&index);
        index.extend_from_slice(&sum.to_le_bytes());
        let sum = xxh3_64_with_seed(&filter, sum);
        filter.extend_from_slice(&sum.to_le_bytes());
        self.write(&index)?;
        self.write(&filter)?;
        index.clear();
        self.hashes.clear();
        self.hold.renew()?;
        (self.index, self.filter, self.partition_at) = (index, filter, self.written);
        Ok(())
    }
}

impl RunWriter for Writer {
    fn push(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.file.is_none() {
            return self.take_file().map(drop);
        }
        if self.keys > 0 && key <= self.last_key.as_slice() {
            let (key, last) = (hex(key), hex(&self.last_key));
            return Err(Error::bug(format!(
                "keys of a run must ascend: {key} came after {last}"
            )));
        }
        if self.keys == 0 {
            self.first_key.extend_from_slice(key);
        }
        if self.block.is_empty() {
            self.first.clear();
            self.first.extend_from_slice(key);
        }
        put_key(key, &mut self.block);
        put_varint(value.len() as u64, &mut self.block);
        self.block.extend_from_slice(value);
        self.hashes.push(filter::hash(key));
        self.keys += 1;
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        if self.block.len() >= BLOCK {
            self.end_block()
        } else {
            Ok(())
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Option<RunFile>> {
        if self.keys == 0 {
            return Ok(None);
        }
        self.end_block()?;
        self.end_partition()?;
        let mut top = Vec::with_capacity(self.last_key.len() + SUM + self.top.len());
        put_key(&self.last_key, &mut top);
        top.append(&mut self.top);
        let at = self.written;
        self.write(&top)?;
        let mut footer = Vec::with_capacity(FOOTER);
        for n in [at, top.len() as u64, xxh3_64(&top), self.keys] {
            footer.extend_from_slice(&n.to_le_bytes());
        }
        footer.extend_from_slice(&xxh3_64(&footer).to_le_bytes());
        footer.extend_from_slice(&MAGIC);
        self.write(&footer)?;
        self.flush()?;
        self.take_file()?.finish()?;
        Ok(Some(RunFile {
            path: self.name,
            bytes: self.written,
            checksum: format!("{:016x}", self.hash.digest()),
            keys: self.keys,
            first_key: hex(&self.first_key),
            last_key: hex(&self.last_key),
        }))
    }
}
