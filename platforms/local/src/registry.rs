//! Which file is which partition, for ever: `<registry>/<partition>.json`, created once by whoever sees the file first.
//! The stream and the archive of one instance share it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rufous_core::{Error, Result};
use rufous_store_api::exclusive;
use serde::{Deserialize, Serialize};

use crate::ident::{Found, Head, Id};

/// The newest version of [`Entry`] that is understood.
const FORMAT: u32 = 1;

/// One file that has a number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    format: u32,
    pub(crate) partition: u32,
    /// Its name when it was first seen. Files may be renamed.
    pub(crate) path: String,
    dev: u64,
    inode: u64,
    /// How many first bytes were hashed: those that were there.
    pub(crate) head_len: u64,
    /// Their XXH3-64 in hexadecimal digits.
    head_hash: String,
    /// When the file was created, where the file system says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) born_ns: Option<u64>,
}

impl Entry {
    fn new(partition: u32, found: &Found, head: Head) -> Self {
        let (dev, inode) = found.stat.id;
        let head_hash = format!("{:016x}", head.hash);
        let (path, born_ns) = (found.name.clone(), found.stat.born);
        Self {
            format: FORMAT,
            partition,
            path,
            dev,
            inode,
            head_len: head.len,
            head_hash,
            born_ns,
        }
    }
    pub(crate) fn id(&self) -> Id {
        (self.dev, self.inode)
    }
    pub(crate) fn has_head(&self, head: Head) -> bool {
        self.head_len == head.len && self.head_hash == format!("{:016x}", head.hash)
    }
    /// The same for as long as the file lives.
    pub(crate) fn topic_id(&self) -> String {
        format!("file:{}:{}:{}:{}", self.dev, self.inode, self.head_len, self.head_hash)
    }
}

/// The entries, numbered from 0 without gaps.
pub(crate) struct Registry {
    dir: PathBuf,
    /// Without it new files have the numbers that they would get, and nothing is written.
    writes: bool,
    pub(crate) entries: Vec<Entry>,
}

impl Registry {
    pub(crate) fn open(dir: &Path, writes: bool) -> Result<Self> {
        let mut registry = Self {
            dir: dir.to_path_buf(),
            writes,
            entries: Vec::new(),
        };
        registry.reload()?;
        // Looked for first, so that an entry made meanwhile is no gap.
        let last = match fs::read_dir(dir) {
            Ok(names) => names
                .flatten()
                .filter_map(|n| n.file_name().to_str()?.strip_suffix(".json")?.parse::<u32>().ok())
                .max(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io("cannot read the directory", dir, e)),
        };
        registry.reload()?;
        match last {
            Some(last) if last >= registry.entries.len() as u32 => Err(Error::corrupt(format!(
                "{} is missing although {last}.json exists: restore it, or use a new instance",
                registry.path(registry.entries.len() as u32).display()
            ))),
            _ => Ok(registry),
        }
    }

    fn path(&self, partition: u32) -> PathBuf {
        self.dir.join(format!("{partition}.json"))
    }

    /// Takes over what others have added.
    pub(crate) fn reload(&mut self) -> Result<()> {
        loop {
            let partition = self.entries.len() as u32;
            let path = self.path(partition);
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(e) => return Err(Error::io("cannot read", &path, e)),
            };
            let entry: Entry = serde_json::from_slice(&bytes).map_err(|e| {
                Error::corrupt(format!(
                    "{}: {e}: restore the file, or use a new instance",
                    path.display()
                ))
                .caused_by(e)
            })?;
            if entry.format != FORMAT || entry.partition != partition {
                return Err(Error::corrupt(format!(
                    "{}: format {} of partition {}, expected format {FORMAT} of partition {partition}: restore the file, or \
                     use the version of the program that wrote it",
                    path.display(),
                    entry.format,
                    entry.partition
                )));
            }
            self.entries.push(entry);
        }
    }

    /// Gives the next number to a file. `false` when somebody else took the number: the entries are read again then.
    pub(crate) fn add(&mut self, found: &Found, head: Head) -> Result<bool> {
        let partition = self.entries.len() as u32;
        let entry = Entry::new(partition, found, head);
        if !self.writes {
            self.entries.push(entry);
            return Ok(true);
        }
        let bytes = serde_json::to_vec(&entry).map_err(|e| Error::bug(format!("a registry entry: {e}")))?;
        let created = exclusive::create(&self.path(partition), &bytes)?;
        if created {
            self.entries.push(entry);
        } else {
            self.reload()?;
        }
        Ok(created)
    }
}
