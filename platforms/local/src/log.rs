//! [`LocalLog`]: the log over a file or a directory.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rufous_core::{Error, ErrorKind, Format, RecordBatch, Result};
use rufous_realtime::{Log, PartitionInfo, Polled};

use crate::cursor::Cursor;
use crate::ends::{Ends, at_line_start};
use crate::ident::{Found, Head, Id, Packing, after_last_newline};
use crate::options::{LocalOptions, Place};
use crate::packed::Packed;
use crate::plain::{Plain, truncated};
use crate::registry::Registry;
use crate::split::Rules;
use crate::survey::{REPAIR, Survey, Surveyor};

/// How long a poll without anything to read sleeps.
const PAUSE: Duration = Duration::from_millis(15);
/// How often new, replaced and deleted files are looked for.
const LOOK: Duration = Duration::from_millis(200);
/// So often a look is repeated that shows something wrong: a file that is renamed meanwhile may be seen twice or not at all.
const LOOKS: usize = 3;

/// The user's own files as a log: a file is a partition, a byte position is an offset, a line is a record.
///
/// A file is known by its device, its inode and its first bytes as they were when it was seen first, not by its name: it may
/// be renamed within its directory. Bytes may only be added to it. A file that was truncated, rewritten or replaced is
/// refused, and so is one that is deleted: which of its records were read is not known to the log. (A running process reads
/// a deleted file to its end all the same.)
///
/// Files whose names end in `.gz` or `.zst` are complete; their offsets count unpacked bytes.
pub struct LocalLog {
    place: Place,
    options: LocalOptions,
    rules: Rules,
    registry: Registry,
    surveyor: Surveyor,
    /// The files as they were seen last.
    files: BTreeMap<u32, Found>,
    ends: Ends,
    cursors: Vec<Cursor>,
    /// Whose turn it is.
    turn: usize,
    /// New files that the caller was told of.
    told: HashSet<Id>,
    next_look: Instant,
    /// Deleted files that were warned of.
    warned: HashSet<u32>,
}

impl LocalLog {
    /// Looks at the files, compares them with the registry, and gives numbers to new ones.
    ///
    /// `registry` is a directory of this source in this instance: it is made when it is needed, and must be kept as long as
    /// the instance is. All processes of an instance share it.
    ///
    /// # Errors
    /// `InvalidRequest` when the file or directory is not there, when a file was truncated, replaced or deleted since it was
    /// registered, and for options out of bounds; `CorruptData` when the registry is damaged.
    pub fn open(place: Place, registry: &Path, options: LocalOptions) -> Result<Self> {
        options.check()?;
        let mut log = Self {
            surveyor: Surveyor::new(&place),
            place,
            rules: Rules::from(&options),
            registry: Registry::open(registry, options.registers)?,
            options,
            files: BTreeMap::new(),
            ends: Ends::default(),
            cursors: Vec::new(),
            turn: 0,
            told: HashSet::new(),
            next_look: Instant::now(),
            warned: HashSet::new(),
        };
        log.register()?;
        Ok(log)
    }

    /// Whether this is a directory without files. A live source waits for files; a bounded one refuses.
    pub fn is_empty_dir(&self) -> bool {
        matches!(self.place, Place::Dir(_)) && self.registry.entries.is_empty()
    }

    /// What is there now. Everything that is wrong is looked at again before it is believed.
    fn look(&mut self) -> Result<Survey> {
        let mut tries = 1;
        loop {
            let seen = self.surveyor.look(&self.registry).and_then(|survey| {
                let gone = survey.gone.iter().find(|p| self.cursor(**p).is_none()).copied();
                gone.map_or(Ok(survey), |p| Err(self.deleted(p)))
            });
            match seen {
                Err(_) if tries < LOOKS => {
                    tries += 1;
                    std::thread::sleep(PAUSE);
                }
                Ok(survey) => {
                    self.warn_of(&survey.gone);
                    return Ok(survey);
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn deleted(&self, partition: u32) -> Error {
        let entry = &self.registry.entries[partition as usize];
        Error::invalid(format!(
            "{}: the file of partition {partition} is gone: it was deleted, or moved elsewhere, and nobody can tell whether it \
             was read to its end: {REPAIR}",
            self.surveyor.path_of(entry)
        ))
    }

    fn warn_of(&mut self, gone: &[u32]) {
        for &p in gone {
            if self.warned.insert(p) {
                let file = self.surveyor.path_of(&self.registry.entries[p as usize]);
                tracing::warn!(partition = p, %file, "the file was deleted: it is read to its end, but a restart will refuse it");
            }
        }
    }

    fn cursor(&self, partition: u32) -> Option<&Cursor> {
        self.cursors.iter().find(|c| c.partition == partition)
    }

    /// Gives numbers to new files.
    fn register(&mut self) -> Result<()> {
        self.registry.reload()?;
        let mut survey = self.look()?;
        // Each round registers a file, takes over what another process registered, or sees fewer files.
        while let Some(found) = survey.new.first() {
            if let Some(file) = found.open()? {
                let io = |e| Error::io("cannot read", &found.path, e);
                // An unfinished first line is not part of the log yet: its writer may begin it anew.
                let len = match self.options.bounded || found.packing().is_some() {
                    true => found.stat.len,
                    false => after_last_newline(&file, 0, found.stat.len).map_err(io)?.unwrap_or(0),
                };
                if let Some(head) = Head::read(&file, len).map_err(io)? {
                    self.registry.add(found, head)?;
                }
            }
            survey = self.look()?;
        }
        if self.options.bounded && self.is_empty_dir() {
            return Err(Error::invalid(format!(
                "{}: the directory holds no files, so there is nothing to read: put files there (directories, hidden files, and \
                 names ending in ~ or .tmp do not count), or follow it with `stream`",
                self.place.path().display()
            )));
        }
        self.files = survey.known;
        self.next_look = Instant::now() + LOOK;
        Ok(())
    }

    /// The file of a partition, open; `None` when it was renamed since it was found.
    fn file(&self, partition: u32) -> Result<Option<(Arc<File>, PathBuf)>> {
        match (self.cursor(partition), self.files.get(&partition)) {
            (Some(c), found) => Ok(Some((c.file(), found.map_or_else(|| c.path(), |f| f.path.clone())))),
            (None, Some(found)) => Ok(found.open()?.map(|file| (file, found.path.clone()))),
            (None, None) => Err(self.deleted(partition)),
        }
    }

    /// The end of a partition and its file, after a second look at the directory if need be.
    fn end(&mut self, partition: u32) -> Result<(u64, Arc<File>, PathBuf)> {
        for _ in 0..LOOKS {
            if let Some((file, path)) = self.file(partition)? {
                let end = self
                    .ends
                    .end(partition, &file, &path, self.packing(partition), self.options.bounded)?;
                return Ok((end, file, path));
            }
            self.register()?;
        }
        Err(Error::try_again(format!(
            "{}: files are renamed faster than they can be opened",
            self.location()
        )))
    }

    /// By the name under which the file was seen first.
    fn packing(&self, partition: u32) -> Option<Packing> {
        Packing::of(&self.registry.entries.get(partition as usize)?.path).map(|(packing, _)| packing)
    }

    /// A cursor at this offset, or the index of the one that stands there already.
    fn place_cursor(&mut self, partition: u32, offset: u64) -> Result<std::result::Result<Cursor, usize>> {
        if partition as usize >= self.registry.entries.len() {
            return Err(Error::invalid(format!(
                "{}: there is no partition {partition}, only {} files are registered: the state belongs to another source, or \
                 its registry was lost",
                self.location(),
                self.registry.entries.len()
            )));
        }
        let (end, file, path) = self.end(partition)?;
        if offset > end {
            return Err(truncated(&path, offset, end));
        }
        if let Some(i) = self
            .cursors
            .iter()
            .position(|c| c.partition == partition && c.position() == offset)
        {
            return Ok(Err(i));
        }
        Ok(Ok(match self.packing(partition).zip(self.ends.stat(partition)) {
            Some((packing, stat)) => Cursor::packed(
                partition,
                Packed::new(file, path, packing, offset, end, stat, &self.rules),
            ),
            None => {
                at_line_start(&file, &path, offset, end)?;
                let whole = self.options.bounded.then_some(end);
                Cursor::plain(partition, Plain::new(file, path, offset, whole, &self.rules))
            }
        }))
    }

    /// One round over the partitions, from the one after the last that had records.
    fn round(&mut self, into: &mut RecordBatch) -> Result<bool> {
        for i in 0..self.cursors.len() {
            let at = (self.turn + i) % self.cursors.len();
            if self.cursors[at].fill(&self.rules, into)? {
                into.partition = self.cursors[at].partition;
                self.turn = at + 1;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Looks for files that are new, and for known ones that are not what they were. Whether the caller should know.
    fn look_around(&mut self) -> Result<bool> {
        let begun = Instant::now();
        let survey = self.look()?;
        self.files.extend(survey.known);
        for cursor in &mut self.cursors {
            cursor.check()?;
            if let Some(found) = self.files.get(&cursor.partition) {
                cursor.renamed(found.path.clone());
            }
        }
        let mut changed = false;
        for found in &survey.new {
            changed |= self.told.insert(found.stat.id);
        }
        let now = Instant::now();
        self.next_look = now + LOOK.max(10 * (now - begun));
        Ok(changed)
    }
}

impl Log for LocalLog {
    fn location(&self) -> String {
        self.place.to_string()
    }

    fn format(&self) -> Format {
        self.options.format
    }

    fn has_time(&self) -> bool {
        false
    }

    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        self.register()?;
        (0..self.registry.entries.len() as u32)
            .map(|partition| {
                let end = self.end(partition)?.0;
                let topic_id = self.registry.entries[partition as usize].topic_id();
                Ok(PartitionInfo {
                    partition,
                    start: 0,
                    end,
                    topic_id,
                    owned: true,
                })
            })
            .collect()
    }

    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.registry.reload()?;
        let mut placed = Vec::with_capacity(positions.len());
        for &(partition, offset) in positions {
            placed.push(self.place_cursor(partition, offset)?);
        }
        let mut old: Vec<_> = std::mem::take(&mut self.cursors).into_iter().map(Some).collect();
        self.cursors = placed
            .into_iter()
            .filter_map(|p| p.map_or_else(|i| old[i].take(), Some))
            .collect();
        self.turn = 0;
        Ok(())
    }

    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        let mut now = Instant::now();
        let deadline = now + timeout;
        loop {
            if now >= self.next_look {
                match self.look_around() {
                    Ok(false) => {}
                    Ok(true) => {
                        into.clear();
                        return Ok(Polled::PartitionsChanged);
                    }
                    Err(e) if e.kind() == ErrorKind::TryAgain => {
                        self.next_look = now + LOOK;
                        tracing::warn!("{}: {e}: looked at again soon", self.location());
                    }
                    Err(e) => return Err(e),
                }
            }
            if self.round(into)? {
                return Ok(Polled::Records);
            }
            now = Instant::now();
            if now >= deadline {
                into.clear();
                return Ok(Polled::Idle);
            }
            std::thread::sleep(PAUSE.min(deadline - now));
            now = Instant::now();
        }
    }
}
