//! Streams, from lists or from files, into memory or RocksDB.

use std::time::Duration;

use rufous_core::Result;
use rufous_core::testing::{Answers, Case, Reason, Subject};
use rufous_realtime::BoundLog;

use super::bed::{Bed, each, input, listed, outside, scratch};
use crate::run::{self, State};

/// Where the log is.
#[derive(Clone, Copy, Debug)]
pub enum Feed {
    /// In memory, handed out in pieces of this size, with the log's times.
    Listed(usize),
    /// In files, one a partition, without times.
    Files,
}

/// A live run.
pub struct Live {
    /// Its log.
    pub feed: Feed,
    /// Commits after every poll, not every 20 ms.
    pub small_commits: bool,
    /// The log goes back now and then and hands out records again, by this seed.
    pub goes_back: Option<u64>,
    /// State in RocksDB and files, not in memory.
    pub disk: bool,
}

impl Live {
    fn logs(&self, case: &Case, bed: &Bed, dir: &std::path::Path) -> Result<Vec<BoundLog>> {
        match self.feed {
            Feed::Listed(chunk) => listed(case, &bed.plan, chunk, self.goes_back),
            Feed::Files => each(&bed.plan, self.goes_back, |source| {
                let log = input(case, source)?;
                let ending = match log.format {
                    rufous_core::Format::Text => "txt",
                    _ => "jsonl",
                };
                // A file a partition; an empty one is a partition, too.
                let (files, registry) = (dir.join(source), dir.join(format!("{source}-registry")));
                for partition in 0..log.partitions {
                    let lines: Vec<u8> = log
                        .partition(partition)
                        .flat_map(|e| [&e.payload[..], b"\n"].concat())
                        .collect();
                    let path = files.join(format!("part-{partition}.{ending}"));
                    let write = std::fs::create_dir_all(&files).and_then(|()| std::fs::write(&path, lines));
                    write.map_err(|e| rufous_core::Error::io("cannot write", &path, e))?;
                }
                run::local(&files, &registry, log.format).map_err(outside)
            }),
        }
    }
}

impl Subject for Live {
    fn name(&self) -> String {
        let mut name = match self.feed {
            Feed::Listed(chunk) => format!("live, polls of {chunk}"),
            Feed::Files => "live, files".to_string(),
        };
        for (holds, what) in [
            (self.small_commits, ", small commits"),
            (self.goes_back.is_some(), ", delivered again"),
            (self.disk, ", RocksDB"),
        ] {
            if holds {
                name.push_str(what);
            }
        }
        name
    }
    fn refusals(&self) -> &'static [Reason] {
        super::REFUSALS
    }
    fn can(&self, case: &Case) -> Result<(), Reason> {
        super::can(case)
    }
    fn run(&self, case: &Case) -> Result<Answers> {
        let dir = scratch()?;
        let plan = case.plan()?;
        let bed = if self.disk {
            let state = State::disk(&plan, &dir.path().join("state")).map_err(outside)?;
            Bed {
                plan,
                state,
                places: Vec::new(),
            }
        } else {
            Bed::new(plan)
        };
        let bed = bed.writing(case)?;
        let interval = if self.small_commits {
            Duration::ZERO
        } else {
            Duration::from_millis(20)
        };
        bed.live(self.logs(case, &bed, dir.path())?, interval)?;
        bed.answers()
    }
}
