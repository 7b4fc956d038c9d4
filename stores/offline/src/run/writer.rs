//! Writes a run under a temporary name; it gets its final one when it is whole and synced.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rufous_algebra::codec::put_varint;
use rufous_core::{Error, Result};
use rufous_store_api::exclusive::{sync_dir, unique_name};
use rufous_store_api::points::reach;
use rufous_store_api::{RunFile, RunWriter};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{BLOCK, FOOTER, MAGIC, hex};
use crate::durable;

/// A run that is being written. After a failed write it takes nothing more: the file may hold a part of an entry.
pub struct Writer {
    dir: PathBuf,
    temporary: PathBuf,
    /// `None` after a failure and at the end.
    file: Option<BufWriter<File>>,
    hash: Xxh3,
    written: u64,
    block: Vec<u8>,
    /// Of the block that is being filled.
    first: Vec<u8>,
    index: Vec<u8>,
    keys: u64,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
}

impl Writer {
    /// Begins a run in this directory, which is created when it is missing.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(dir: &Path) -> Result<Self> {
        durable::create_dir(dir)?;
        let temporary = dir.join(format!(".tmp-{}", unique_name()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
            .map_err(|e| Error::io("cannot create", &temporary, e))?;
        let mut writer = Self {
            dir: dir.to_path_buf(),
            temporary,
            file: Some(BufWriter::with_capacity(1 << 18, file)),
            hash: Xxh3::new(),
            written: 0,
            block: Vec::with_capacity(2 * BLOCK),
            first: Vec::new(),
            index: Vec::new(),
            keys: 0,
            first_key: Vec::new(),
            last_key: Vec::new(),
        };
        writer.write(&MAGIC)?;
        reach("run.created");
        Ok(writer)
    }
    /// The file, for one operation that may fail.
    fn take_file(&mut self) -> Result<BufWriter<File>> {
        let failed = || {
            Error::closed(format!(
                "run {} failed before: begin a new one",
                self.temporary.display()
            ))
        };
        self.file.take().ok_or_else(failed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut file = self.take_file()?;
        file.write_all(bytes)
            .map_err(|e| Error::io("cannot write run", &self.temporary, e))?;
        self.file = Some(file);
        self.hash.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        put_varint(self.first.len() as u64, &mut self.index);
        self.index.extend_from_slice(&self.first);
        put_varint(self.written, &mut self.index);
        put_varint(self.block.len() as u64, &mut self.index);
        let sum = xxh3_64(&self.block);
        let mut block = std::mem::take(&mut self.block);
        block.extend_from_slice(&sum.to_le_bytes());
        self.write(&block)?;
        block.clear();
        self.block = block;
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
        put_varint(key.len() as u64, &mut self.block);
        self.block.extend_from_slice(key);
        put_varint(value.len() as u64, &mut self.block);
        self.block.extend_from_slice(value);
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
        let (at, index) = (self.written, std::mem::take(&mut self.index));
        self.write(&index)?;
        let mut footer = Vec::with_capacity(FOOTER);
        for n in [at, index.len() as u64, xxh3_64(&index), self.keys] {
            footer.extend_from_slice(&n.to_le_bytes());
        }
        footer.extend_from_slice(&xxh3_64(&footer).to_le_bytes());
        footer.extend_from_slice(&MAGIC);
        self.write(&footer)?;
        let file = self.take_file()?;
        let synced = file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .inspect(|_| reach("run.written"))
            .and_then(|f| f.sync_all());
        synced.map_err(|e| Error::io("cannot sync", &self.temporary, e))?;
        reach("run.synced");
        let name = format!("run-{}.rrun", unique_name());
        let path = self.dir.join(&name);
        fs::rename(&self.temporary, &path).map_err(|e| Error::io("cannot create", &path, e))?;
        reach("run.renamed");
        sync_dir(&self.dir)?;
        reach("run.durable");
        Ok(Some(RunFile {
            path: name,
            bytes: self.written,
            checksum: format!("{:016x}", self.hash.digest()),
            keys: self.keys,
            first_key: hex(&self.first_key),
            last_key: hex(&self.last_key),
        }))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After a finish the name is gone already; otherwise nobody needs the file.
        let _ = fs::remove_file(&self.temporary);
    }
}
