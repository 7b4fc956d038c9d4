//! All cores: chunks are dealt to threads, each thread sums by itself, and the sums are added.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rufous_core::{
    Anywhere, BatchId, ChunkMeta, Error, Executor, Job, Key, Platform, Result, Rules, Runs, Service, Services, Source,
    SourceRecord, service::Serves,
};

use rufous_core::service::MemoryPins;

use crate::given::{CHUNK, Inputs, Records};
use crate::totals::Totals;

/// Collections bound to the sources of a job, read by several threads in no particular order. A job that needs order does
/// not compile for it.
pub struct Concurrent {
    inputs: Inputs,
    threads: usize,
    chunk: usize,
    rules: Rules,
    services: Services,
}

impl Concurrent {
    /// With no source bound. `threads` of 0 are as many as there are cores.
    pub fn new(threads: usize) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            inputs: Inputs::default(),
            threads: if threads == 0 { cores() } else { threads },
            chunk: CHUNK,
            rules: Rules::all(),
            services: Services::new(),
        }
    }
    /// Binds a source to records.
    #[must_use]
    pub fn source<T, I>(mut self, port: Source<T>, records: I) -> Self
    where
        T: SourceRecord + ?Sized,
        I: IntoIterator<Item: Borrow<T>>,
    {
        self.inputs.records(port.name(), Records::new(port, records));
        self
    }
    /// Binds services.
    #[must_use]
    pub fn services(mut self, services: &Services) -> Self {
        self.services.extend(services);
        self
    }
    /// Binds a service.
    #[must_use]
    pub fn service<K: Key, V: Clone + Send + 'static>(mut self, port: Service<K, V>, to: impl Serves<K, V>) -> Self {
        self.services.bind(port, to);
        self
    }
    /// How many records a thread takes at once, 1 to 1024; the answers do not depend on it.
    #[must_use]
    pub fn chunk(mut self, records: usize) -> Self {
        self.chunk = records.clamp(1, CHUNK);
        self
    }
    /// Which of the planner's rules apply; the answers do not depend on it.
    #[must_use]
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }
}

impl Platform for Concurrent {
    fn name(&self) -> &'static str {
        "concurrent memory"
    }
}

impl Runs<Anywhere> for Concurrent {
    type Report = Totals;
    fn run(&self, job: &Job) -> Result<Totals> {
        let mut plan = job.plan_with(&self.rules)?;
        plan.bind_all(&self.services)?;
        plan.keep_pins(Arc::new(MemoryPins::default()));
        plan.check_services(false)?;
        if let Some(operator) = plan.operators().first() {
            return Err(Error::invalid(format!(
                "{}: threads take records in no order, and an operator needs that of their partition: run it in `Memory`",
                operator.name
            )));
        }
        let sources = self.inputs.of(&plan, self.name())?;
        let pieces: Vec<(usize, usize)> = sources
            .iter()
            .enumerate()
            .flat_map(|(s, given)| (0..given.len()).step_by(self.chunk).map(move |from| (s, from)))
            .collect();
        let taken = AtomicUsize::new(0);
        let work = || -> Result<Executor> {
            let mut run = plan.instantiate();
            while let Some(&(s, from)) = pieces.get(taken.fetch_add(1, Relaxed)) {
                let meta = ChunkMeta {
                    source: s as u32,
                    partition: 0,
                    batch: BatchId(0),
                };
                let to = sources[s].len().min(from + self.chunk);
                sources[s].push(from, to, &meta, &mut run)?;
            }
            Ok(run)
        };
        let runs = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads).map(|_| scope.spawn(work)).collect();
            let join = |w: std::thread::ScopedJoinHandle<'_, Result<Executor>>| {
                w.join()
                    .unwrap_or_else(|_| Err(Error::bug("a closure of the job panicked in a thread")))
            };
            workers.into_iter().map(join).collect::<Result<Vec<_>>>()
        })?;
        let mut totals = Totals::of(&plan);
        for mut run in runs {
            totals.add(&plan, &mut run)?;
        }
        Ok(totals)
    }
}
