//! Bulk runs over Parquet archives, with one thread and with several.

use std::sync::Arc;
use std::time::Duration;

use rufous_core::Result;
use rufous_core::testing::{Answers, Case, Reason, Subject};
use rufous_store_archive::ParquetArchive;

use super::bed::{Archives, Bed, each, input, scratch};
use super::listed::Listed;

const POLL: usize = 200;

/// The whole log in Parquet files, summed by this many threads. A heartbeat seals its last batch; what batches by
/// offset or by event time leave open, and nothing else, is streamed.
pub struct Bulk {
    /// How many.
    pub threads: usize,
}

impl Subject for Bulk {
    fn name(&self) -> String {
        format!("bulk over Parquet, {} threads", self.threads)
    }
    fn refusals(&self) -> &'static [Reason] {
        super::REFUSALS
    }
    fn can(&self, case: &Case) -> Result<(), Reason> {
        super::can(case)
    }
    fn run(&self, case: &Case) -> Result<Answers> {
        let dir = scratch()?;
        let mut plan = case.plan()?;
        super::written::in_bulk(case, &mut plan)?;
        let bed = Bed::new(plan);
        let log = |source: &str| Ok(Listed::new(source, input(case, source)?, POLL).sealed());
        let logs = || each(&bed.plan, None, |source| Ok(Box::new(log(source)?)));
        let mut archives = Archives::new();
        for face in bed.plan.sources() {
            let archive = Arc::new(ParquetArchive::open(&dir.path().join(face.name), face.name)?);
            bed.archive(face.name, Box::new(log(face.name)?), archive.clone())?;
            archives.insert(face.name.to_string(), (archive, input(case, face.name)?.format));
        }
        if bed.plan.stores().is_empty() {
            // A live part has nothing to keep: the line begins with the archive.
            bed.begin(&archives)?;
        } else {
            bed.genesis(logs()?)?;
        }
        bed.publish(&archives, None, self.threads)?;
        if !bed.plan.stores().is_empty() {
            bed.live(logs()?, Duration::from_millis(20))?;
            bed.agree()?;
        }
        super::written::answers(case, &bed, bed.answers()?)
    }
}
