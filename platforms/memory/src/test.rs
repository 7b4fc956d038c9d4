//! `job.test().given(SOURCE, records).run()`: a job over lists.

use std::borrow::Borrow;

use rufous_core::{Job, Result, Runs, Source, SourceRecord, Timestamp};

use crate::memory::Memory;
use crate::totals::Totals;

/// A job over lists.
pub trait JobTest<S> {
    /// Begins a test run.
    fn test(&self) -> TestRun<'_, S>;
}

impl<S> JobTest<S> for Job<S> {
    fn test(&self) -> TestRun<'_, S> {
        TestRun {
            job: self,
            memory: Memory::new(),
        }
    }
}

/// A job and the lists it will run over.
#[must_use = "nothing runs before `.run()`"]
pub struct TestRun<'a, S> {
    job: &'a Job<S>,
    memory: Memory,
}

impl<S> TestRun<'_, S> {
    /// The records of a source.
    pub fn given<T, I>(self, port: Source<T>, records: I) -> Self
    where
        T: SourceRecord + ?Sized,
        I: IntoIterator<Item: Borrow<T>>,
    {
        Self {
            memory: self.memory.source(port, records),
            ..self
        }
    }
    /// The records of a source with the log's timestamps.
    pub fn given_at<T, B>(self, port: Source<T>, records: impl IntoIterator<Item = (Timestamp, B)>) -> Self
    where
        T: SourceRecord + ?Sized,
        B: Borrow<T>,
    {
        Self {
            memory: self.memory.source_at(port, records),
            ..self
        }
    }
    /// Runs the job.
    ///
    /// # Errors
    /// When a source is not given, or the job is malformed.
    pub fn run(self) -> Result<Totals>
    where
        Memory: Runs<S, Report = Totals>,
    {
        self.job.run_on(&self.memory)
    }
}
