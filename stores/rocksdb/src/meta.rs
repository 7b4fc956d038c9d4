//! What a namespace says of itself, and the check against the job that opens it.
//!
//! The description lies twice: in `<dir>/meta.json`, which is read before the database is opened, and in the database, which
//! goes wherever its files are moved to. Directories of the first builds have it in the database only.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use rocksdb::DB;
use rufous_core::{Error, Result, StoreFace};
use serde::{Deserialize, Serialize};

use crate::damage::failed;

/// The version of everything in the directory. 1: without the count of writes, and without `meta.json`; it is read, and
/// written on as 2.
const FORMAT: u32 = 2;
const OLDEST: u32 = 1;
/// Where the description lies in the default column family.
const ROW: &[u8] = b"meta";
const FILE: &str = "meta.json";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    format: u32,
    namespace: String,
    stores: BTreeMap<String, String>,
}

impl Meta {
    pub(crate) fn new(namespace: &str, stores: &[StoreFace]) -> Self {
        Self {
            format: FORMAT,
            namespace: namespace.into(),
            stores: stores.iter().map(|s| (s.name.to_string(), s.schema())).collect(),
        }
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::bug("a description cannot be written as JSON").caused_by(e))
    }

    fn parse(bytes: &[u8], place: &Path) -> Result<Self> {
        /// Read first: what another format says besides is not known.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let unreadable = |e: serde_json::Error| {
            Error::corrupt(format!(
                "the description of {} cannot be read: {e}; run `rebuild`",
                place.display()
            ))
            .caused_by(e)
        };
        let version: Version = serde_json::from_slice(bytes).map_err(unreadable)?;
        if !(OLDEST..=FORMAT).contains(&version.format) {
            return Err(Error::invalid(format!(
                "{} has format {}, this build reads {OLDEST} to {FORMAT}: use the build that wrote it",
                place.display(),
                version.format
            )));
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// From the database; `None`: a crash between creation and the first write left one that holds nothing at all.
    pub(crate) fn of_database(db: &DB, path: &Path) -> Result<Option<Self>> {
        let bytes = db
            .get(ROW)
            .map_err(|e| failed(format_args!("cannot read {}", path.display()), e))?;
        bytes.map(|b| Self::parse(&b, path)).transpose()
    }

    /// From the file beside the database; `None`: there is none.
    pub(crate) fn of_file(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => Self::parse(&bytes, &path).map(Some),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("cannot read", &path, e)),
        }
    }

    /// Writes what is not there yet: the file whole or not at all.
    pub(crate) fn write_file(&self, dir: &Path) -> Result<()> {
        if Self::of_file(dir)?.as_ref() == Some(self) {
            return Ok(());
        }
        let (path, new) = (dir.join(FILE), dir.join("meta.json.new"));
        let bytes = self.bytes()?;
        let written = File::create(&new)
            .and_then(|mut f| f.write_all(&bytes).and_then(|()| f.sync_all()))
            .and_then(|()| fs::rename(&new, &path));
        written.map_err(|e| Error::io("cannot write", &path, e))
    }

    /// Writes what is not there yet.
    pub(crate) fn write_row(&self, db: &DB, path: &Path) -> Result<()> {
        let at = |e| failed(format_args!("cannot write to {}", path.display()), e);
        let bytes = self.bytes()?;
        if db.get(ROW).map_err(at)?.as_ref() != Some(&bytes) {
            db.put(ROW, bytes).map_err(at)?;
        }
        Ok(())
    }

    /// Refuses what was written for something else. `exact`: stores that the job does not have are refused, too.
    pub(crate) fn check(&self, place: &Path, namespace: &str, stores: &[StoreFace], exact: bool) -> Result<()> {
        let place = place.display();
        if self.namespace != namespace {
            return Err(Error::invalid(format!(
                "{place} holds namespace {}, not {namespace}: a directory was moved or copied",
                self.namespace
            )));
        }
        if let Some(name) = self
            .stores
            .keys()
            .find(|n| exact && !stores.iter().any(|s| s.name == n.as_str()))
        {
            return Err(not_of_the_job(&place, name));
        }
        for store in stores {
            if let Some(schema) = self.stores.get(store.name).filter(|s| !store.reads(s)) {
                return Err(Error::invalid(format!(
                    "{place}: store `{}` was written as `{schema}`, and this job declares `{}`: give the changed job a new version, so that it gets a namespace of its own",
                    store.name,
                    store.schema()
                )));
            }
        }
        Ok(())
    }
}

pub(crate) fn not_of_the_job(place: &dyn std::fmt::Display, name: &str) -> Error {
    Error::invalid(format!(
        "{place} holds store `{name}`, which this job does not have: use the job that wrote it, or another namespace"
    ))
}
