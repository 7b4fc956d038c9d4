//! One thread: plain and obvious.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rufous_core::{
    Anywhere, BatchId, ChunkMeta, Clock, Executor, Format, InOrder, Job, Key, LogTime, Plan, Platform, RecordBatch,
    Result, Rules, RunningTime, Runs, Service, Services, Source, SourceRecord, Timestamp, service::Serves,
};

use rufous_core::service::MemoryPins;

use crate::given::{self, Bound, CHUNK, Inputs, Records};
use crate::totals::Totals;

/// Collections bound to the sources of a job.
#[derive(Default)]
pub struct Memory {
    pub(crate) inputs: Inputs,
    chunk: Option<usize>,
    rules: Rules,
    pub(crate) services: Services,
}

impl Memory {
    /// With no source bound.
    pub fn new() -> Self {
        Self::default()
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
    /// Binds a source to records with the log's timestamps.
    #[must_use]
    pub fn source_at<T, B>(mut self, port: Source<T>, records: impl IntoIterator<Item = (Timestamp, B)>) -> Self
    where
        T: SourceRecord + ?Sized,
        B: Borrow<T>,
    {
        self.inputs.records(port.name(), Records::at(port, records));
        self
    }
    /// Binds a source to raw records, decoded as a log's are. A record that cannot be decoded fails the run.
    #[must_use]
    pub fn raw<T: SourceRecord + ?Sized>(mut self, port: Source<T>, format: Format, batches: Vec<RecordBatch>) -> Self {
        let make: given::Make =
            Box::new(move |plan| Ok(Some(Box::new(Records::decoded(port, plan, format, &batches)?))));
        self.inputs.raw(port.name(), make);
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
    /// How many records go through the steps at once, 1 to 1024; the answers do not depend on it.
    #[must_use]
    pub fn chunk(mut self, records: usize) -> Self {
        self.chunk = Some(records.clamp(1, CHUNK));
        self
    }
    /// Which of the planner's rules apply; the answers do not depend on it.
    #[must_use]
    pub fn rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// The plan of a job with its services.
    pub(crate) fn plan<S>(&self, job: &Job<S>, rules: &Rules) -> Result<Plan> {
        let mut plan = job.plan_with(rules)?;
        plan.bind_all(&self.services)?;
        plan.keep_pins(Arc::new(MemoryPins::default()));
        plan.check_services(false)?;
        Ok(plan)
    }

    fn run_plan(&self, plan: &Plan) -> Result<Totals> {
        let sources = self.inputs.of(plan, self.name())?;
        let mut run = plan.instantiate();
        let meta = |source: usize| ChunkMeta {
            source: source as u32,
            partition: 0,
            batch: BatchId(0),
        };
        if !plan.operators().is_empty() {
            self.by_partition(plan, &sources, &mut run)?;
        } else if plan.in_order() {
            // Times first, then as given; a record goes through the whole job before the next one does.
            let mut order: Vec<(Option<Timestamp>, usize, usize)> = Vec::new();
            for (s, given) in sources.iter().enumerate() {
                order.extend((0..given.len()).map(|i| (given.time(i), s, i)));
            }
            order.sort();
            for (_, s, i) in order {
                sources[s].push(i, i + 1, &meta(s), &mut run)?;
            }
        } else {
            for (s, given) in sources.iter().enumerate() {
                for from in (0..given.len()).step_by(self.chunk.unwrap_or(CHUNK)) {
                    let to = given.len().min(from + self.chunk.unwrap_or(CHUNK));
                    given.push(from, to, &meta(s), &mut run)?;
                }
            }
        }
        let mut totals = Totals::of(plan);
        totals.add(plan, &mut run)?;
        Ok(totals)
    }
}

impl Memory {
    /// A job with operators: record by record in log order (O3), which is offset order in each partition.
    fn by_partition(&self, plan: &Plan, sources: &[Bound<'_>], run: &mut Executor) -> Result<()> {
        let specs: Vec<_> = plan.sources().iter().map(|face| face.cut_spec(true)).collect();
        plan.check_clocks(&specs)?;
        let mut order: Vec<(LogTime, usize, u32, usize)> = Vec::new();
        let mut partitions = Vec::new();
        let beginning = LogTime {
            batch: BatchId::MIN,
            time: None,
        };
        for (s, given) in sources.iter().enumerate() {
            let face = &plan.sources()[s];
            let dealt = self.inputs.dealt(face.name, given);
            let spec = &specs[s];
            let mut running: BTreeMap<u32, (RunningTime, u64)> = BTreeMap::new();
            for (i, &p) in dealt.iter().enumerate() {
                let time = match spec.clock {
                    Clock::Log => given.logged(i),
                    Clock::Event => given.event_time(i),
                };
                let of = running.entry(p).or_insert((RunningTime::at(spec, beginning), 0));
                let (running, offset) = (&mut of.0, of.1);
                of.1 += 1;
                // Sources by name, so that it does not depend on how the job is written.
                order.push((running.advance(spec, time, offset), s, p, i));
            }
            let said = self.inputs.partitions.get(face.name).copied().unwrap_or(1);
            let seen = dealt.iter().max().map_or(0, |p| *p as usize + 1);
            partitions.push(seen.max(said as usize));
        }
        plan.check_partitions(&partitions)?;
        if sources.len() > 1 || !plan.domains().is_empty() {
            let name = |s: usize| plan.sources()[s].name;
            order.sort_by(|a, b| (a.0, name(a.1), a.2, a.3).cmp(&(b.0, name(b.1), b.2, b.3)));
        }
        // Else records come as they were given: that keeps each partition's order.
        for (_, s, partition, i) in order {
            let meta = ChunkMeta {
                source: s as u32,
                partition,
                batch: BatchId(0),
            };
            sources[s].push(i, i + 1, &meta, run)?;
        }
        Ok(())
    }
}

impl Platform for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }
}

impl Runs<Anywhere> for Memory {
    type Report = Totals;
    fn run(&self, job: &Job) -> Result<Totals> {
        self.run_plan(&self.plan(job, &self.rules)?)
    }
}

impl Runs<InOrder> for Memory {
    type Report = Totals;
    fn run(&self, job: &Job<InOrder>) -> Result<Totals> {
        self.run_plan(&self.plan(job, &self.rules)?)
    }
}
