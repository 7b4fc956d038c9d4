//! Tables as other processes see them: the files, followed as their writer adds to them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rocksdb::{ColumnFamilyDescriptor, DB};
use rufous_core::{Error, ErrorKind, Result, SourcePartition};
use rufous_store_api::WrittenId;
use rufous_store_api::exclusive::unique_name;
use rufous_store_api::table::{EachRow, TableMark, TableReader};

use super::{families, family_name, known, on_disk, rows};
use crate::damage::{failed, of_table};
use crate::options;
use crate::owner::{Ownership, look};

/// How long files may change faster than they are opened.
const PATIENCE: Duration = Duration::from_secs(2);
const MEMORY: usize = 16 << 20;

/// A reader of the tables in a directory, whoever writes them. Each call sees what was written when it began.
pub struct RocksTablesReader {
    dir: PathBuf,
}

/// An opened view, with the directory that it keeps its own log in.
struct View {
    db: Option<DB>,
    own: PathBuf,
}

impl Drop for View {
    fn drop(&mut self) {
        self.db = None;
        // Nothing but a log that nobody reads.
        let _ = std::fs::remove_dir_all(&self.own);
    }
}

impl RocksTablesReader {
    /// A reader; `None`: nothing was ever written there.
    ///
    /// # Errors
    /// When the directory cannot be looked at.
    pub fn open(dir: &Path) -> Result<Option<Self>> {
        match look(dir)? {
            Ownership::Never => Ok(None),
            // A process that is just making it has written nothing yet.
            _ if !dir.join("db/CURRENT").exists() => {
                options::is_empty(dir).map_err(of_table)?;
                Ok(None)
            }
            _ => Ok(Some(Self { dir: dir.into() })),
        }
    }

    fn view(&self) -> Result<View> {
        let until = Instant::now() + PATIENCE;
        loop {
            let e = match self.try_view() {
                Ok(view) => return Ok(view),
                Err(e) => e,
            };
            // A writer replaces files while they are listed and opened.
            let is_written = matches!(look(&self.dir)?, Ownership::Held(_));
            if e.kind() == ErrorKind::InvalidRequest || !is_written {
                return Err(of_table(e));
            }
            if Instant::now() >= until {
                return Err(Error::try_again(format!("{e}; it is being written")).caused_by(e));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn try_view(&self) -> Result<View> {
        let path = self.dir.join("db");
        let own = std::env::temp_dir().join(format!("rufous-{}", unique_name()));
        let mut view = View { db: None, own };
        let sinks = on_disk(&path)?;
        let all = families(&sinks, MEMORY);
        let all = all.into_iter().map(|(name, o)| ColumnFamilyDescriptor::new(name, o));
        let db = DB::open_cf_descriptors_as_secondary(&options::database(), &path, &view.own, all);
        view.db = Some(db.map_err(|e| failed(format_args!("cannot open {} for reading", path.display()), e))?);
        Ok(view)
    }

    /// Calls `f` unless there is no such table.
    fn of(&self, sink: &str, f: impl FnOnce(&DB) -> Result<()>) -> Result<()> {
        let view = self.view()?;
        match &view.db {
            Some(db) if db.cf_handle(&family_name(sink)).is_some() => {
                f(db).map_err(|e| of_table(e.at(format_args!("sink `{sink}`"))))
            }
            _ => Ok(()),
        }
    }
}

impl TableReader for RocksTablesReader {
    fn location(&self) -> String {
        self.dir.display().to_string()
    }
    fn marks(&self, sink: &str) -> Result<Vec<(SourcePartition, TableMark)>> {
        let mut marks = Vec::new();
        self.of(sink, |db| {
            marks.extend(known(db, sink)?.marks);
            Ok(())
        })?;
        Ok(marks)
    }
    fn rows(&self, sink: &str, from: Option<&WrittenId>, each: EachRow<'_>) -> Result<()> {
        self.of(sink, |db| rows(db, sink, from, each))
    }
}
