//! The files of bounded inputs beside those that a manifest says were summed: which are new, which are what they were, and which
//! are other ones now.

use std::collections::{BTreeMap, BTreeSet};

use rufous_core::{Error, Result};
use rufous_store_api::Manifest;

use crate::input::InputFile;

/// So many files are named where many changed.
const NAMED: usize = 3;
/// How Parquet files are read, where files of lines have a format.
pub(crate) const PARQUET: &str = "parquet";

/// The files of a source, as they are now.
pub(crate) struct Listed {
    source: &'static str,
    /// Name, what it is now, and its bytes; in the order in which they are read.
    files: Vec<(String, String, u64)>,
    /// How they are read: a line is another record as text than as JSON.
    pub(crate) read_as: String,
}

impl Listed {
    /// # Errors
    /// When a file is named twice, or cannot be asked what it is.
    pub(crate) fn of(source: &'static str, files: &[InputFile], read_as: String) -> Result<Self> {
        let mut names = BTreeSet::new();
        let file = |file: &InputFile| {
            let (name, version) = (file.show(), file.version()?);
            if !names.insert(name.clone()) {
                return Err(Error::invalid(format!(
                    "source `{source}`: file {name} is named twice, and its records would count twice: name it once"
                )));
            }
            let identity = file.identity(&version);
            Ok((name, identity, version.bytes))
        };
        Ok(Self {
            source,
            files: files.iter().map(file).collect::<Result<_>>()?,
            read_as,
        })
    }
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Summed,
    New,
    Changed,
}

struct File {
    /// Of its partition.
    number: u32,
    state: State,
    bytes: u64,
    /// Of a Parquet file that was summed.
    rows: u64,
}

/// All files of all sources.
pub(crate) struct Known {
    /// By source, in the order of its list.
    files: BTreeMap<&'static str, Vec<File>>,
    /// Those that changed or are gone, in words.
    differ: Vec<String>,
}

impl Known {
    /// Numbers of partitions stay what they are in the base: they name the file in a frontier, whatever the names of others sort
    /// like. New files get new ones.
    ///
    /// # Errors
    /// When there are more files than numbers.
    pub(crate) fn of(base: Option<&Manifest>, listed: &[Listed]) -> Result<Self> {
        let mut known = Self {
            files: BTreeMap::new(),
            differ: Vec::new(),
        };
        for of in listed {
            known.add(base, of)?;
        }
        Ok(known)
    }

    fn add(&mut self, base: Option<&Manifest>, of: &Listed) -> Result<()> {
        let mut before = BTreeMap::new();
        let mut next = 0u32;
        let mut read_as = None;
        for range in base.into_iter().flat_map(|m| &m.input) {
            if range.partition.source != of.source {
                continue;
            }
            let number = range.partition.partition;
            next = next.max(number.saturating_add(1));
            // Of manifests from before it was noted nobody knows.
            read_as = read_as.or((!range.read_as.is_empty()).then_some(&*range.read_as));
            for (name, version) in &range.files {
                before.insert(name.as_str(), (number, version.as_str(), range.to));
            }
        }
        if let Some(was) = read_as.filter(|was| *was != of.read_as) {
            self.differ.push(format!(
                "source `{}` was read as {was} and is read as {} now",
                of.source, of.read_as
            ));
        }
        let mut files = Vec::new();
        for (name, version, bytes) in &of.files {
            let (number, state, to) = match before.remove(name.as_str()) {
                Some((number, was, to)) if was == version => (number, State::Summed, to),
                Some((number, was, _)) => {
                    self.differ.push(format!(
                        "file {name} is another one now (it was {was}, and is {version})"
                    ));
                    (number, State::Changed, 0)
                }
                None => {
                    let number = next;
                    next = next
                        .checked_add(1)
                        .ok_or_else(|| Error::invalid(format!("source `{}` has too many files", of.source)))?;
                    (number, State::New, 0)
                }
            };
            files.push(File {
                number,
                state,
                bytes: *bytes,
                rows: if of.read_as == PARQUET { to } else { 0 },
            });
        }
        let gone = before.keys().map(|name| format!("file {name} is gone"));
        self.differ.extend(gone);
        self.files.insert(of.source, files);
        Ok(())
    }

    fn file(&self, source: &str, i: usize) -> Option<&File> {
        self.files.get(source)?.get(i)
    }

    /// The number of a file's partition.
    pub(crate) fn number(&self, source: &str, i: usize) -> u32 {
        self.file(source, i).map_or(u32::MAX, |file| file.number)
    }

    /// Whether the base has summed a file as it is now.
    pub(crate) fn is_summed(&self, source: &str, i: usize) -> bool {
        self.file(source, i).is_some_and(|file| file.state == State::Summed)
    }

    /// Whether there are files that the base does not know.
    pub(crate) fn is_new(&self) -> bool {
        self.files.values().flatten().any(|file| file.state == State::New)
    }

    /// What is no more as the base summed it, in words.
    pub(crate) fn differs(&self, number: u64) -> Option<String> {
        let more = self.differ.len().saturating_sub(NAMED);
        let mut named = self.differ.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
        if more > 0 {
            named += &format!("; and {more} more");
        }
        (!self.differ.is_empty()).then(|| format!("{named}, since generation {number} was summed"))
    }

    /// What is not read again, a line a source.
    pub(crate) fn unchanged(&self, number: u64) -> Vec<String> {
        let line = |(source, files): (&&str, &Vec<File>)| {
            let summed = || files.iter().filter(|file| file.state == State::Summed);
            let rows = match summed().map(|file| file.rows).sum() {
                0u64 => String::new(),
                rows => format!("{rows} rows, "),
            };
            let bytes: u64 = summed().map(|file| file.bytes).sum();
            let n = summed().count();
            (n > 0).then(|| {
                format!(
                    "{source}: {n} files, {rows}{bytes} bytes: what they were when generation {number} was summed, not read again"
                )
            })
        };
        self.files.iter().filter_map(line).collect()
    }
}
