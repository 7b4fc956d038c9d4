//! Whose fault a panic is: records tried one by one, in an executor of their own.

use std::any::Any;

use crate::batch::BatchId;
use crate::erased::{ChunkMeta, Executor, Origins};
use crate::error::{Error, Result};
use crate::panics::{Panicked, catch};
use crate::planner::Plan;
use crate::sink::{Encode, Encoded};

/// Runs single records through a job, far from what is being summed.
pub struct Trial<'a> {
    plan: &'a Plan,
    executor: Executor,
    origins: Origins,
    /// How what is written is encoded, by the sink's place in the plan; of other sinks it is not.
    encodes: Vec<(usize, Encode)>,
    encoded: Encoded,
}

impl<'a> Trial<'a> {
    /// Of a job.
    pub fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            executor: plan.instantiate(),
            origins: Origins::default(),
            encodes: Vec::new(),
            encoded: Encoded::default(),
        }
    }

    /// Encodes what is written to these sinks, too, which are named by their places in the plan.
    #[must_use]
    pub fn encoding(self, encodes: Vec<(usize, Encode)>) -> Self {
        Self { encodes, ..self }
    }

    /// As [`Executor::origins`]: where the record comes from that is tried next.
    pub fn origins(&mut self, source: u32) -> Option<&mut Origins> {
        self.plan.traces(source as usize).then_some(&mut self.origins)
    }

    /// Runs a chunk of one record of source number `source` through all steps and out of the maps, as its bytes, and what it writes
    /// as the bytes of its sinks; says what
    /// panicked. With `twice` what it adds is also added to itself, in the maps and as a store does it: `combine` is not
    /// called for one record alone. An error that is no panic is not told: it comes again on the normal way.
    ///
    /// Of a job that does not [judge alone](Plan::judges_alone) nobody is blamed.
    pub fn record(&mut self, source: u32, chunk: &mut dyn Any, twice: bool) -> Option<Panicked> {
        if !self.plan.judges_alone() {
            return None;
        }
        let outcome = catch(|| self.run(source, chunk, twice));
        if !matches!(outcome, Ok(Ok(()))) {
            let broken = std::mem::replace(&mut self.executor, self.plan.instantiate());
            // What it holds is foreign, and may panic again while it is dropped.
            drop(catch(|| drop(broken)));
        }
        outcome.err()
    }

    fn say(&mut self, source: u32) {
        if let Some(origins) = self.executor.origins(source) {
            origins.clone_from(&self.origins);
        }
    }

    fn run(&mut self, source: u32, chunk: &mut dyn Any, twice: bool) -> Result<()> {
        let meta = ChunkMeta {
            source,
            partition: 0,
            batch: BatchId(0),
        };
        if twice {
            self.say(source);
            self.executor.push_shared(&meta, &*chunk)?;
        }
        self.say(source);
        self.executor.push(&meta, chunk)?;
        let mut sum = Vec::new();
        for (store, deltas) in self.plan.stores().iter().zip(self.executor.take(Vec::new())?) {
            deltas.for_each(&mut |d| {
                if twice {
                    sum.clear();
                    let mut parts = [d.value, d.value].into_iter();
                    let added = store.value.sum(&mut parts, &mut sum);
                    added.map_err(|e| Error::bug(format!("store `{}`: {e}", store.name)))?;
                }
                Ok(())
            })?;
        }
        for sink in 0..self.plan.sinks().len() {
            let written = self.executor.take_written(sink)?;
            let records: &dyn Any = &*written;
            if let Some((_, encode)) = self.encodes.iter().find(|(i, _)| *i == sink) {
                self.encoded.clear();
                encode(records, &mut self.encoded);
            }
        }
        // Operators see each record as the first of its key.
        self.executor.forget(None);
        Ok(())
    }
}
