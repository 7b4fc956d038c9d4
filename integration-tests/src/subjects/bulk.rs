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
        if !case.sinks().is_empty() {
            // A run is fine, and writes nothing: `hybrid` compares.
            return Err(rufous_core::Error::invalid(super::SINKS.text()));
        }
        let dir = scratch()?;
        let bed = Bed::new(case.plan()?);
        if !case.sinks().is_empty() {
            // Whether it refuses them itself: a stream would refuse them first.
            bed.publish(&Archives::new(), None, self.threads)?;
        }
        let log = |source: &str| Ok(Listed::new(source, input(case, source)?, POLL).sealed());
        let logs = || each(&bed.plan, None, |source| Ok(Box::new(log(source)?)));
        bed.genesis(logs()?)?;
        let mut archives = Archives::new();
        for face in bed.plan.sources() {
            let archive = Arc::new(ParquetArchive::open(&dir.path().join(face.name), face.name)?);
            bed.archive(face.name, Box::new(log(face.name)?), archive.clone())?;
            archives.insert(face.name.to_string(), (archive, input(case, face.name)?.format));
        }
        bed.publish(&archives, None, self.threads)?;
        bed.live(logs()?, Duration::from_millis(20))?;
        bed.agree()?;
        bed.answers()
    }
}
