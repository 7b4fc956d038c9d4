//! The plan: what platforms run.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use xxhash_rust::xxh3::xxh3_64;

use crate::erased::{Broken, ChunkType, Executor, Rooms, Shape, Slot, Stage};
use crate::error::{Error, Result};
use crate::evidence::{SourceFace, StoreFace};
use crate::key::Key;
use crate::nearest;
use crate::planner::{Drawn, OperatorFace};
use crate::port::{PROGRESS, Service};
use crate::service::{Kind, Pins, Serves, ServiceFace, Services};
use crate::sink::{Layer, SinkBinding, Sinks};

pub(super) type StepMaker = Arc<dyn Fn(&Services, &Rooms) -> Result<Box<dyn Stage>> + Send + Sync>;

/// A checked job, ready to run. It can be instantiated any number of times.
pub struct Plan {
    pieces: Pieces,
    limits: HashMap<u32, usize>,
    services: Services,
    /// The sinks that batch runs write.
    bulk: Vec<(usize, SinkBinding)>,
    /// Whether somebody said where pins are kept.
    pinned: AtomicBool,
}

pub(super) struct Pieces {
    pub(super) job: &'static str,
    pub(super) fingerprint: String,
    /// Of the graph alone, before anything is bound.
    pub(super) said_fingerprint: String,
    pub(super) head: String,
    pub(super) said: String,
    pub(super) planned: Vec<String>,
    pub(super) why: String,
    pub(super) dot: String,
    pub(super) drawn: Vec<Drawn>,
    pub(super) in_order: bool,
    pub(super) one_by_one: bool,
    pub(super) operators: Vec<OperatorFace>,
    /// Named steps; with the combiner that takes their option, if there is one.
    pub(super) steps: HashMap<String, Option<u32>>,
    pub(super) holders: Vec<u32>,
    /// Stores and their steps.
    pub(super) held: HashMap<String, u32>,
    pub(super) shape: Arc<Shape>,
    /// The shape with writes that know which records they write.
    pub(super) identified: Option<Arc<Shape>>,
    /// Sinks behind sums, with the sum's store.
    pub(super) grouped_sinks: Vec<(&'static str, &'static str)>,
    pub(super) makers: Vec<(StepMaker, Option<(ChunkType, u32)>)>,
    pub(super) pools: usize,
    pub(super) sources: Vec<SourceFace>,
    pub(super) repeats: Vec<bool>,
    pub(super) stores: Vec<StoreFace>,
    pub(super) counters: Vec<&'static str>,
    pub(super) sinks: Vec<(&'static str, TypeId)>,
    pub(super) services: Vec<ServiceFace>,
}

impl Plan {
    pub(super) fn of(pieces: Pieces) -> Self {
        Self {
            pieces,
            limits: HashMap::new(),
            services: Services::new(),
            bulk: Vec::new(),
            pinned: AtomicBool::new(false),
        }
    }
    /// The job's name.
    pub fn job(&self) -> &'static str {
        self.pieces.job
    }
    /// Identifies graph, arguments, version and schemas, and which services are asked as of now: 16 hexadecimal digits. Rust type names take no part, nor do the
    /// planner's rules: they change no answer.
    pub fn fingerprint(&self) -> &str {
        &self.pieces.fingerprint
    }
    /// The sources; their places here are the numbers in [`ChunkMeta`](crate::ChunkMeta).
    pub fn sources(&self) -> &[SourceFace] {
        &self.pieces.sources
    }
    /// The stores, in the order of what [`Executor::take`] returns. A job that counts has the store
    /// [`COUNTERS`](crate::COUNTERS) last.
    pub fn stores(&self) -> &[StoreFace] {
        &self.pieces.stores
    }
    /// The stores whose rows say how far a live part is: those of the job; of a job that only writes [`PROGRESS`], which nothing
    /// is ever added to.
    pub fn live_stores(&self) -> Vec<StoreFace> {
        match self.stores() {
            [] => vec![StoreFace::of(PROGRESS)],
            stores => stores.to_vec(),
        }
    }
    /// The counters, by name.
    pub fn counters(&self) -> &[&'static str] {
        &self.pieces.counters
    }
    /// The sinks by name, with the type of their records.
    pub fn sinks(&self) -> &[(&'static str, TypeId)] {
        &self.pieces.sinks
    }
    /// From here on writes know which records they write ([`Executor::take_identified`]): a platform whose sinks tell
    /// records apart asks for it before it makes an instance. Without it nothing is done for it.
    ///
    /// # Errors
    /// `InvalidRequest` with the first sink whose records have no single origin (O26).
    pub fn identify_writes(&mut self) -> Result<()> {
        if let Some((sink, store)) = self.pieces.grouped_sinks.first() {
            return Err(Error::invalid(format!(
                "sink `{sink}` is behind `deltas()` of `{store}`, which come in unspecified groups, so what is written would depend on \
                 when commits come: write what goes into the sum, or `changes()` of it"
            )));
        }
        if let Some(identified) = &self.pieces.identified {
            self.pieces.shape = identified.clone();
        }
        Ok(())
    }
    /// Says which sinks batch runs write with each generation (O22): those of `sinks` that are bound so. Nothing live writes them.
    /// From then on writes know [which records they write](Self::identify_writes).
    ///
    /// # Errors
    /// `InvalidRequest` when a sink is bound in both layers, or is bound as one of other records, or its records have no single
    /// origin.
    pub fn write_in_bulk(&mut self, sinks: &Sinks) -> Result<()> {
        sinks.check_layers()?;
        let mut bulk = Vec::new();
        for (i, (name, record)) in self.sinks().iter().enumerate() {
            if let Some(bound) = sinks.get(name).filter(|bound| bound.layer() == Layer::Batch) {
                bound.check(*record)?;
                bulk.push((i, bound.clone()));
            }
        }
        if !bulk.is_empty() {
            self.identify_writes()?;
        }
        self.bulk = bulk;
        Ok(())
    }
    /// The sinks that batch runs write, by their places in [`sinks`](Self::sinks).
    pub fn bulk_sinks(&self) -> &[(usize, SinkBinding)] {
        &self.bulk
    }
    /// The other sinks, which the live part writes.
    pub fn live_sinks(&self) -> impl Iterator<Item = (usize, &'static str)> {
        let all = self.sinks().iter().map(|(name, _)| *name).enumerate();
        all.filter(|(i, _)| self.bulk.iter().all(|(bulk, _)| bulk != i))
    }
    /// The services that steps look things up in.
    pub fn services(&self) -> &[ServiceFace] {
        &self.pieces.services
    }
    /// Binds a service for all instances that are made from now on.
    ///
    /// # Errors
    /// `InvalidRequest` when the job has no such service, or one of other types.
    pub fn bind<K: Key, V: Clone + Send + 'static>(
        &mut self,
        port: Service<K, V>,
        to: impl Serves<K, V>,
    ) -> Result<()> {
        let mut services = Services::new();
        services.bind(port, to);
        self.bind_all(&services)
    }
    /// Binds all of these.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_all(&mut self, services: &Services) -> Result<()> {
        if let Some(name) = services
            .names()
            .find(|name| self.services().iter().all(|s| s.name != *name))
        {
            return Err(Error::invalid(format!(
                "job `{}` has no service `{name}` (it has: {})",
                self.job(),
                self.services().iter().map(|s| s.name).collect::<Vec<_>>().join(", ")
            )));
        }
        let mut all = self.services.clone();
        all.extend(services);
        for (make, _) in &self.pieces.makers {
            make(&all, &Rooms::default())?;
        }
        self.services = all;
        // What rests on answers of the moment is never extended, or added to, by what rests on versions: it is other code.
        let now: Vec<_> = self.not_repeatable().collect();
        if !now.is_empty() {
            let text = format!("{} as of now: {}", self.pieces.said_fingerprint, now.join(" "));
            self.pieces.fingerprint = format!("{:016x}", xxh3_64(text.as_bytes()));
        }
        Ok(())
    }
    /// Says where the job's pins are kept, for services whose snapshots are pinned per batch (O19). All processes of the job
    /// must use the same.
    pub fn keep_pins(&self, pins: Arc<dyn Pins>) {
        self.services.keep_pins(&pins);
        self.pinned.store(true, Relaxed);
    }
    /// Whether every service is bound; in a hybrid, by something whose answers both layers see alike. A platform asks before
    /// it opens anything.
    ///
    /// # Errors
    /// `InvalidRequest` with the first service that is not, and the line to add.
    pub fn check_services(&self, hybrid: bool) -> Result<()> {
        for face in self.services() {
            match self.services.kind(face.name) {
                None => return Err(face.unbound()),
                Some(Kind::Now { accepted: false }) if hybrid => {
                    let step = self
                        .pieces
                        .shape
                        .about
                        .iter()
                        .find(|about| about.asks == Some(face.name));
                    return Err(Error::invalid(format!(
                        "{}: `{}` is looked up as of now, so the layers would see different values: bind it as `versions(..)`, \
                         `remote(..)` or `snapshot_per_batch(..)`, or say `.not_repeatable()`",
                        step.map_or("a join", |about| about.name.as_str()),
                        face.name
                    )));
                }
                Some(Kind::PerBatch) if !self.pinned.load(Relaxed) => {
                    return Err(Error::invalid(format!(
                        "service `{}`: one snapshot is pinned per batch, and nobody said where pins are kept: \
                         `Plan::keep_pins(..)` before the plan is run",
                        face.name
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
    /// The services whose answers are not repeatable: what rests on them has no exact answer, and layers that differ prove
    /// nothing.
    pub fn not_repeatable(&self) -> impl Iterator<Item = &'static str> {
        let now = |face: &&ServiceFace| matches!(self.services.kind(face.name), Some(Kind::Now { .. }));
        self.services().iter().filter(now).map(|face| face.name)
    }
    /// The store of this name.
    pub fn store(&self, name: &str) -> Option<&StoreFace> {
        self.stores().iter().find(|s| s.name == name)
    }
    /// Whether sums need their values in order: sources are read record by record, in order of event time, source, partition
    /// and offset.
    pub fn in_order(&self) -> bool {
        self.pieces.in_order
    }
    /// Whether records are pushed one by one: the job is [in order](Self::in_order), or an operator gets what several branches
    /// make of one record, and its order must not depend on where chunks end.
    pub fn one_by_one(&self) -> bool {
        self.pieces.one_by_one
    }
    /// Whether a record that is tried by itself, outside of its batch, shows what the job does to it: not behind operators, which
    /// remember those before it, and not where a snapshot is pinned for its batch.
    pub fn judges_alone(&self) -> bool {
        let pinned = |face: &ServiceFace| matches!(self.services.kind(face.name), Some(Kind::PerBatch));
        self.operators().is_empty() && !self.services().iter().any(pinned)
    }
    /// The operators with memory, in running order. A platform gives them what is committed
    /// ([`Executor::remember`]), pushes the records of a partition in their order, and checks what they say.
    pub fn operators(&self) -> &[OperatorFace] {
        &self.pieces.operators
    }
    /// Whether every operator has an order over so many partitions of each source, in the plan's order.
    ///
    /// # Errors
    /// `InvalidRequest` with the word that is missing.
    pub fn check_partitions(&self, partitions: &[usize]) -> Result<()> {
        let sources: Vec<_> = self
            .sources()
            .iter()
            .map(|s| s.name)
            .zip(partitions.iter().copied())
            .collect();
        self.operators().iter().try_for_each(|o| o.check_partitions(&sources))
    }
    /// Whether two layers that divide the logs emit the same.
    ///
    /// # Errors
    /// `InvalidRequest` with the operator for which they would not.
    pub fn check_layers(&self) -> Result<()> {
        self.operators().iter().try_for_each(OperatorFace::check_layers)
    }
    /// Whether equal records of source number `source` may be pushed once, with their number
    /// ([`Executor::push_repeated`]).
    pub fn may_repeat(&self, source: usize) -> bool {
        // A write that tells records apart tells equal ones apart, too.
        self.pieces.repeats.get(source) == Some(&true) && !self.traces(source)
    }
    /// Whether a step behind source number `source` asks where its records come from: it is pushed with
    /// [`Origins`](crate::Origins).
    pub fn traces(&self, source: usize) -> bool {
        self.pieces.shape.traced_sources.get(source) == Some(&true)
    }
    /// Gives the combining map of a store, or of the combiner before a named step, memory of its own: it is flushed when it
    /// holds more `bytes`. An option belongs to one thing; nothing is inherited.
    ///
    /// # Errors
    /// When nothing has this name, or what has it holds nothing; the message offers the nearest name.
    pub fn limit_memory(&mut self, name: &str, bytes: usize) -> Result<()> {
        let step = match (self.pieces.held.get(name), self.pieces.steps.get(name)) {
            (Some(&step), _) | (None, Some(&Some(step))) => step,
            (None, Some(None)) => {
                return Err(Error::invalid(format!(
                    "option memory of step `{name}`: it holds no values, so it needs no memory; stores and combiners do"
                )));
            }
            (None, None) => {
                let known = self.pieces.held.keys().chain(self.pieces.steps.keys());
                return Err(Error::invalid(format!(
                    "option memory of `{name}`: job `{}` has no store or step of this name{}",
                    self.job(),
                    nearest(name, known.map(String::as_str))
                        .map_or_else(String::new, |n| format!("; did you mean `{n}`?"))
                )));
            }
        };
        self.limits.insert(step, bytes);
        Ok(())
    }
    /// A running instance with empty state.
    pub fn instantiate(&self) -> Executor {
        let (pieces, rooms) = (&self.pieces, Rooms::default());
        let slots = pieces.makers.iter().map(|(make, out)| Slot {
            // What is bound was checked when it was.
            stage: make(&self.services, &rooms).unwrap_or_else(|e| Box::new(Broken(e))),
            out: *out,
        });
        let holders = pieces
            .holders
            .iter()
            .map(|&step| (step, self.limits.get(&step).copied()));
        Executor::new(pieces.shape.clone(), slots.collect(), pieces.pools, holders.collect()).asking(&self.services)
    }
    /// The graph as it was said, the plan, and why it is so. `memory` is what the run gives to the maps that have no limit of
    /// their own.
    pub fn explain(&self, memory: Option<usize>) -> String {
        let pieces = &self.pieces;
        let mut text = format!("{}{}plan\n", pieces.head, pieces.said);
        for line in &pieces.planned {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(&pieces.why);
        let joint = self.domains();
        if !joint.is_empty() {
            text.push_str("order\n");
            for group in joint {
                let names: Vec<_> = group
                    .sources
                    .iter()
                    .filter_map(|&s| Some(self.sources().get(s)?.name))
                    .collect();
                let how = if group.spread {
                    "all partitions in one, read by one process"
                } else {
                    "partition i of each in one, read by one process"
                };
                text.push_str(&format!(
                    "  {}  {how}; a record waits until every other has shown a later one\n",
                    names.join(" ")
                ));
            }
        }
        if !pieces.services.is_empty() {
            text.push_str("services\n");
            for face in &pieces.services {
                let kind = self.services.kind(face.name).map_or("not bound", Kind::words);
                text.push_str(&format!("  {}  {kind}\n", face.name));
            }
        }
        text.push_str("memory\n");
        let name = |step: u32| pieces.shape.about[step as usize].name.as_str();
        let width = pieces.holders.iter().map(|&step| name(step).len()).max().unwrap_or(0);
        for &step in &pieces.holders {
            let what = self.limits.get(&step).map_or_else(
                || {
                    memory.map_or_else(
                        || "shares the memory of the run".into(),
                        |m| format!("shares {}", mib(m)),
                    )
                },
                |&limit| format!("{} of its own", mib(limit)),
            );
            text.push_str(&format!("  {:<width$}  {what}\n", name(step)));
        }
        text
    }
    /// The same as a graph in the DOT language: what was said, and what runs.
    pub fn dot(&self) -> &str {
        &self.pieces.dot
    }
    /// What runs, node by node in running order, for those who draw it.
    pub fn drawn(&self) -> &[Drawn] {
        &self.pieces.drawn
    }
}

fn mib(bytes: usize) -> String {
    if bytes >= 1 << 20 {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{bytes} bytes")
    }
}
