//! A case on the platforms: the model, live over a file, and a hybrid whose first half is published.

use std::fs;

use anyhow::Result;
use rufous::client::WindowClient;
use rufous::core::Format;
use rufous::prelude::*;
use rufous::{Totals, WindowedStore};
use rufous_integration_tests::run::{self, State};
use tempfile::TempDir;

use crate::case::Case;

/// A line is `MILLISECONDS KEY VALUE`.
fn parts(line: &str) -> Option<(Timestamp, &str, i64)> {
    let mut parts = line.split(' ');
    Some((
        Timestamp(parts.next()?.parse().ok()?),
        parts.next()?,
        parts.next()?.parse().ok()?,
    ))
}

// A file has no time of its own: the event's cuts the batches, and what is late goes into the running one.
const EVENTS: Source<str> = Source::new("events")
    .batches(Batcher::of_hours(3))
    .timed_by(|line| parts(line).map_or(Timestamp(0), |(at, ..)| at));

pub(crate) struct World {
    case: Case,
    store: WindowedStore<String, i64>,
    dir: TempDir,
}

/// A client of one platform.
pub(crate) struct Asked {
    pub(crate) what: &'static str,
    pub(crate) client: WindowClient<String, i64>,
    /// Where the newest sealed batch ends.
    pub(crate) sealed: Option<Timestamp>,
    _state: State,
}

impl World {
    pub(crate) fn of(case: &Case) -> Result<Self> {
        let zone: &'static str = Box::leak(case.zone.clone().unwrap_or_else(|| "UTC".into()).into_boxed_str());
        Ok(Self {
            store: WindowedStore::new("sums", case.sizes()?).zone(zone),
            case: case.clone(),
            dir: tempfile::tempdir()?,
        })
    }
    fn job(&self) -> Job {
        let keyed = EVENTS.read().keyed(|line, out| {
            if let Some((at, key, value)) = parts(line) {
                out.emit((key, at), value);
            }
        });
        Job::new("windows", keyed.windowed_sum_by_key(self.store))
    }
    fn lines(&self) -> Vec<String> {
        let line = |r: &crate::case::Row| format!("{} {} {}", r.at.0, r.key, r.value);
        self.case.records.iter().map(line).collect()
    }
    /// The model, at every split.
    pub(crate) fn memory(&self, check: impl FnOnce(&Totals, WindowedStore<String, i64>) -> Result<()>) -> Result<()> {
        let totals = self.job().test().given(EVENTS, self.lines()).every_split()?;
        check(&totals, self.store)
    }
    pub(crate) fn platforms(&self) -> Result<Vec<Asked>> {
        Ok(vec![
            self.run("live", None)?,
            self.run("hybrid", Some(self.lines().len() / 2))?,
        ])
    }
    /// Live to the end; a hybrid publishes what the first `half` records seal before the rest is there.
    fn run(&self, what: &'static str, half: Option<usize>) -> Result<Asked> {
        let (lines, plan) = (self.lines(), self.job().plan()?);
        let dir = self.dir.path().join(what);
        let (input, registry) = (dir.join("in"), dir.join("registry"));
        fs::create_dir_all(&input)?;
        let state = State::disk(&plan, &dir.join("state"))?;
        let write = |n: usize| {
            fs::write(
                input.join("0.txt"),
                lines[..n].iter().fold(String::new(), |t, l| t + l + "\n"),
            )
        };
        let log = || run::local(&input, &registry, Format::Text);
        let mut sealed = None;
        if let Some(half) = half {
            write(half)?;
            state.stream(&plan, log()?)?;
            let archive = run::archive(&plan, log()?, &dir.join("archive"))?;
            let report = state.batch(&plan, archive, Format::Text, false, None)?;
            sealed = self.sealed(half).filter(|_| report.published);
        }
        write(lines.len())?;
        state.stream(&plan, log()?)?;
        let client = state.client(&plan).windows(self.store)?;
        Ok(Asked {
            what,
            client,
            sealed,
            _state: state,
        })
    }
    /// The batch that is open after so many records begins at the end of the newest sealed one.
    fn sealed(&self, half: usize) -> Option<Timestamp> {
        const BATCH: i64 = 3 * 3_600_000;
        let newest = self.case.records[..half].iter().map(|r| r.at.0).max()?;
        let oldest = self.case.records.first()?.at.0;
        let open = newest.div_euclid(BATCH);
        (open > oldest.div_euclid(BATCH)).then_some(Timestamp(open * BATCH))
    }
}
