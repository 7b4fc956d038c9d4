//! A sink of files: JSON lines that are appended, and a mark that says how much of them counts.
//!
//! ```text
//! <dir>/<source>-<partition>.jsonl   {"id": "sink/source/partition/offset/number", "record": ..} a line
//! <dir>/<source>-<partition>.mark    JSON: version, job and instance, sink, mark, bytes, start, holes; replaced atomically
//! <dir>/<source>-<partition>.lock    locked by whoever writes
//! ```
//!
//! Lines are appended and synced, then the mark is replaced: that is the commit. Opening cuts off what is behind `bytes`. Who reads
//! while a stream runs and wants each record once reads up to `bytes`, too.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use rufous_core::rules::{Rule, kept};
use rufous_core::{Error, Result, SourcePartition};
use rufous_realtime::{SinkWrite, SinkWriter};
use rufous_store_api::Hole;
use rufous_store_api::points::reach;
use serde::{Deserialize, Serialize};

/// The version of the mark's form.
const VERSION: u32 = 1;

/// How far a file of a sink is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMark {
    /// The version of this form.
    pub version: u32,
    /// The job and its instance: partitions are numbered by instance.
    pub of: String,
    /// The sink.
    pub sink: String,
    /// What was made of records below this offset is in the file.
    pub mark: u64,
    /// How many bytes of the file count.
    pub bytes: u64,
    /// Where the sink began: earlier history is not written.
    pub start: u64,
    /// Ranges that were lost to the sink.
    pub holes: Vec<Hole>,
}

struct Writing {
    file: File,
    /// Held as long as this is the writer.
    _lock: File,
    mark: FileMark,
}

/// A directory with one file a partition.
pub struct FileSink {
    dir: PathBuf,
    of: String,
    sink: String,
    open: BTreeMap<SourcePartition, Writing>,
    line: Vec<u8>,
}

impl FileSink {
    /// Files of this sink below `dir`, which is made when it is missing. `of` names job and instance: files of another are refused.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(dir: &Path, of: &str, sink: &str) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| Error::io("cannot make the directory of a sink", dir, e))?;
        Ok(Self {
            dir: dir.to_path_buf(),
            of: of.to_string(),
            sink: sink.to_string(),
            open: BTreeMap::new(),
            line: Vec::new(),
        })
    }

    fn path(&self, p: &SourcePartition, ending: &str) -> PathBuf {
        self.dir.join(format!("{}-{}.{ending}", p.source, p.partition))
    }

    fn lock(&self, p: &SourcePartition) -> Result<File> {
        let path = self.path(p, "lock");
        let at = |e| Error::io("cannot lock", &path, e);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(at)?;
        if !kept(Rule::SinkFence) {
            return Ok(file);
        }
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::closed(format!(
                "{} is written by another process: stop it first",
                self.path(p, "jsonl").display()
            ))),
            Err(TryLockError::Error(e)) => Err(at(e)),
        }
    }

    fn put_mark(&self, p: &SourcePartition, mark: &FileMark) -> Result<()> {
        let (path, new) = (self.path(p, "mark"), self.path(p, "mark.new"));
        let at = |e| Error::io("cannot write the mark of a sink", &path, e);
        let text = serde_json::to_vec(mark).map_err(|e| Error::bug("a mark is no JSON").caused_by(e))?;
        let mut file = File::create(&new).map_err(at)?;
        file.write_all(&text).map_err(at)?;
        file.sync_data().map_err(at)?;
        reach("sink.mark-written");
        fs::rename(&new, &path).map_err(at)?;
        reach("sink.mark-renamed");
        File::open(&self.dir).and_then(|d| d.sync_all()).map_err(at)
    }

    /// The mark of a partition, if anything was ever written.
    ///
    /// # Errors
    /// `CorruptData` when it cannot be read.
    pub fn mark(dir: &Path, p: &SourcePartition) -> Result<Option<FileMark>> {
        let path = dir.join(format!("{}-{}.mark", p.source, p.partition));
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("cannot read the mark of a sink", &path, e)),
        };
        let corrupt = |e: String| {
            Error::corrupt(format!(
                "{}: {e}: restore it, or bind the sink to another directory",
                path.display()
            ))
        };
        let mark: FileMark = serde_json::from_slice(&text).map_err(|e| corrupt(e.to_string()))?;
        if mark.version != VERSION {
            return Err(corrupt(format!(
                "has version {}, this build reads {VERSION}",
                mark.version
            )));
        }
        Ok(Some(mark))
    }

    /// The marks of all partitions in a directory, in their order.
    ///
    /// # Errors
    /// As [`mark`](Self::mark).
    pub fn marks(dir: &Path) -> Result<Vec<(SourcePartition, FileMark)>> {
        let at = |e| Error::io("cannot list the directory of a sink", dir, e);
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(at(e)),
        };
        let mut marks = Vec::new();
        for entry in entries {
            let name = entry.map_err(at)?.file_name();
            let of = name.to_str().and_then(|n| n.strip_suffix(".mark")?.rsplit_once('-'));
            let Some(p) = of.and_then(|(source, n)| Some(SourcePartition::new(source, n.parse().ok()?))) else {
                continue;
            };
            if let Some(mark) = Self::mark(dir, &p)? {
                marks.push((p, mark));
            }
        }
        marks.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(marks)
    }

    fn store(&mut self, p: &SourcePartition, mark: FileMark) -> Result<()> {
        // Until the mark is there for sure nobody may go on behind it.
        let Some(writing) = self.open.remove(p) else {
            return Err(Error::bug(format!("{p} is not open")));
        };
        self.put_mark(p, &mark)?;
        self.open.insert(p.clone(), Writing { mark, ..writing });
        Ok(())
    }
}

impl SinkWriter for FileSink {
    fn location(&self) -> String {
        format!("files:{}", self.dir.display())
    }

    fn open(&mut self, p: &SourcePartition, start: u64, _state: u64) -> Result<Option<u64>> {
        // An old lock of ours is let go of only for a new one.
        let lock = match self.open.remove(p) {
            Some(writing) => writing._lock,
            None => self.lock(p)?,
        };
        let path = self.path(p, "jsonl");
        let at = |e| Error::io("cannot open a file of a sink", &path, e);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(at)?;
        let found = file.metadata().map_err(at)?.len();
        // A mark that is seen may not be durable yet.
        File::open(&self.dir).and_then(|d| d.sync_all()).map_err(at)?;
        let mark = match Self::mark(&self.dir, p)? {
            Some(mark) if mark.of != self.of => {
                return Err(Error::invalid(format!(
                    "{} holds records of {}, and this is {}: bind sink `{}` to another directory",
                    path.display(),
                    mark.of,
                    self.of,
                    self.sink
                )));
            }
            Some(mark) if mark.sink != self.sink => {
                return Err(Error::invalid(format!(
                    "{} holds records of sink `{}`: bind `{}` to another directory",
                    path.display(),
                    mark.sink,
                    self.sink
                )));
            }
            Some(mark) => mark,
            None if found > 0 => {
                return Err(Error::invalid(format!(
                    "{} is no file of a sink, or its mark is gone: bind the sink to another directory",
                    path.display()
                )));
            }
            None => {
                let mark = FileMark {
                    version: VERSION,
                    of: self.of.clone(),
                    sink: self.sink.clone(),
                    mark: start,
                    bytes: 0,
                    start,
                    holes: Vec::new(),
                };
                self.put_mark(p, &mark)?;
                mark
            }
        };
        if found < mark.bytes {
            return Err(Error::corrupt(format!(
                "{} has {found} bytes, and {} were written: restore it, or bind the sink to another directory",
                path.display(),
                mark.bytes
            )));
        }
        // What a crash left behind the mark is written again.
        file.set_len(mark.bytes).map_err(at)?;
        file.seek(SeekFrom::Start(mark.bytes)).map_err(at)?;
        let next = mark.mark;
        self.open.insert(
            p.clone(),
            Writing {
                file,
                _lock: lock,
                mark,
            },
        );
        Ok(Some(next))
    }

    fn write(&mut self, write: &SinkWrite<'_>) -> Result<()> {
        let p = write.partition;
        let Some(writing) = self.open.get_mut(p) else {
            return Err(Error::try_again(format!("the last write of {p} did not end well")));
        };
        self.line.clear();
        for row in write.rows {
            let id = row.id(&self.sink, p);
            // Names of ports have no characters that JSON escapes.
            self.line
                .extend_from_slice(format!("{{\"id\":\"{id}\",\"record\":").as_bytes());
            self.line.extend_from_slice(row.bytes);
            self.line.extend_from_slice(b"}\n");
        }
        let mut mark = writing.mark.clone();
        if !self.line.is_empty() {
            let written = writing
                .file
                .write_all(&self.line)
                .and_then(|()| writing.file.sync_data());
            if let Err(e) = written {
                let path = self.path(p, "jsonl");
                // Opened again before anything else is written.
                self.open.remove(p);
                return Err(Error::try_again(format!("cannot write {}: {e}", path.display())).caused_by(e));
            }
            reach("sink.lines-written");
        }
        mark.bytes += self.line.len() as u64;
        mark.mark = write.to;
        self.store(p, mark)
    }

    fn pass(&mut self, p: &SourcePartition, hole: &Hole) -> Result<()> {
        let Some(mut mark) = self.open.get(p).map(|w| w.mark.clone()) else {
            return Err(Error::bug(format!("{p} is not open")));
        };
        mark.holes.push(hole.clone());
        mark.mark = hole.to;
        self.store(p, mark)
    }

    fn close(&mut self, p: &SourcePartition) {
        self.open.remove(p);
    }
}

#[cfg(test)]
mod tests {
    use rufous_realtime::SinkRow;

    use super::*;

    fn write(sink: &mut FileSink, p: &SourcePartition, mark: u64, to: u64, rows: &[(u64, u64, &str)]) -> Result<()> {
        let rows: Vec<_> = rows
            .iter()
            .map(|(offset, number, bytes)| SinkRow {
                offset: *offset,
                number: *number,
                bytes: bytes.as_bytes(),
            })
            .collect();
        sink.write(&SinkWrite {
            partition: p,
            mark,
            to,
            rows: &rows,
        })
    }

    /// O23, golden: people's tools read the lines, and later versions read the mark. What is behind the mark does not count.
    #[test]
    fn what_is_behind_the_mark_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let p = SourcePartition::new("payments", 3);
        let mut sink = FileSink::new(dir.path(), "job of main", "alerts").unwrap();
        assert_eq!(sink.open(&p, 5, 5).unwrap(), Some(5));
        write(&mut sink, &p, 5, 9, &[(6, 0, "1"), (6, 1, "\"b\"")]).unwrap();
        let lines =
            "{\"id\":\"alerts/payments/3/6/0\",\"record\":1}\n{\"id\":\"alerts/payments/3/6/1\",\"record\":\"b\"}\n";
        let path = dir.path().join("payments-3.jsonl");
        assert_eq!(fs::read_to_string(&path).unwrap(), lines);
        let mark = dir.path().join("payments-3.mark");
        let text = format!(
            r#"{{"version":1,"of":"job of main","sink":"alerts","mark":9,"bytes":{},"start":5,"holes":[]}}"#,
            lines.len()
        );
        assert_eq!(fs::read_to_string(&mark).unwrap(), text);
        drop(sink);
        fs::write(&path, format!("{lines}{{\"id\":\"torn")).unwrap();
        let mut sink = FileSink::new(dir.path(), "job of main", "alerts").unwrap();
        assert_eq!(sink.open(&p, 0, 0).unwrap(), Some(9));
        assert_eq!(fs::read_to_string(&path).unwrap(), lines);
        // O26: a lost range is in the sink's own row.
        let reason = "lost".to_string();
        sink.pass(
            &p,
            &Hole {
                from: 9,
                to: 12,
                reason,
            },
        )
        .unwrap();
        let mark = FileSink::mark(dir.path(), &p).unwrap().unwrap();
        assert_eq!((mark.mark, mark.holes.len()), (12, 1));
    }

    /// O23: two writers of a partition are never there at once; another sink's files are not touched.
    #[test]
    fn there_is_one_writer() {
        let dir = tempfile::tempdir().unwrap();
        let p = SourcePartition::new("payments", 0);
        let mut first = FileSink::new(dir.path(), "job of main", "alerts").unwrap();
        let mut second = FileSink::new(dir.path(), "job of main", "alerts").unwrap();
        assert_eq!(first.open(&p, 0, 0).unwrap(), Some(0));
        let e = second.open(&p, 0, 0).unwrap_err().to_string();
        assert!(e.contains("is written by another process"), "{e}");
        first.close(&p);
        assert_eq!(second.open(&p, 0, 0).unwrap(), Some(0));
        second.close(&p);
        let mut other = FileSink::new(dir.path(), "job of main", "others").unwrap();
        let e = other.open(&p, 0, 0).unwrap_err().to_string();
        assert!(e.contains("holds records of sink `alerts`"), "{e}");
        // Another instance numbers its partitions by itself: what it finds there is of other records.
        let mut foreign = FileSink::new(dir.path(), "job of other", "alerts").unwrap();
        let e = foreign.open(&p, 0, 0).unwrap_err().to_string();
        assert!(
            e.contains("holds records of job of main, and this is job of other") && e.contains("another directory"),
            "{e}"
        );
        fs::remove_file(dir.path().join("payments-0.mark")).unwrap();
        fs::write(dir.path().join("payments-0.jsonl"), "mine\n").unwrap();
        let e = other.open(&p, 0, 0).unwrap_err().to_string();
        assert!(e.contains("is no file of a sink"), "{e}");
    }
}
