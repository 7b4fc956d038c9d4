//! The log into the archive: a consumer of its own that asks the job nothing (P17-P19).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rufous_core::{
    BatchId, Clock, CutSpec, Error, Frontier, RecordBatch, Result, SourceDecoder, SourceFace, SourcePartition,
};
use rufous_store_api::archive::INDEX_FORMAT;
use rufous_store_api::{Archive, IndexEntry};

use crate::close::close;
use crate::cutter::{Cuts, Cutter};
use crate::log::{Log, Polled};
use crate::metrics::{Metrics, PartitionMetrics, SourceMetrics, StreamReport};

/// How an archiver runs.
#[derive(Clone, Debug)]
pub struct ArchiverOptions {
    /// How often what was read is written.
    pub interval: Duration,
    /// Bytes of a partition that are kept before they are written early.
    pub buffer: usize,
    /// Stops at the end that the log has when the archiver starts.
    pub until_end: bool,
    /// Set from outside to write and stop.
    pub stop: Arc<AtomicBool>,
}

impl Default for ArchiverOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            buffer: 32 << 20,
            until_end: false,
            stop: Arc::default(),
        }
    }
}

/// Archives one source.
pub struct Archiver<'a> {
    /// The source.
    pub face: &'a SourceFace,
    /// Its log.
    pub log: Box<dyn Log>,
    /// Where it goes.
    pub archive: Arc<dyn Archive>,
    /// Where an empty archive begins: the genesis frontier (P10).
    pub start: Frontier,
    /// Live counters.
    pub metrics: Arc<Metrics>,
    /// How it runs.
    pub options: ArchiverOptions,
}

struct Pending {
    records: RecordBatch,
    /// Pieces of one batch.
    runs: Vec<(Range<usize>, BatchId)>,
}

struct Partition {
    cutter: Cutter,
    /// The number of the next index entry.
    number: u64,
    /// The end of the last entry, and the running batch there.
    from: u64,
    batch_before: BatchId,
    next: u64,
    cuts: Vec<(BatchId, u64)>,
    pending: Vec<Pending>,
    bytes: usize,
    topic_id: String,
    target: u64,
    /// What others see of it.
    meter: Arc<PartitionMetrics>,
}

impl Archiver<'_> {
    /// Runs until it is told to stop, or to the present end of the log. Everything that was read is in the index then.
    ///
    /// # Errors
    /// When the archive was cut differently or from another log, when a range was lost, or files cannot be written.
    pub fn run(mut self) -> Result<StreamReport> {
        let done = self.follow();
        close(vec![self.log]);
        done
    }

    fn follow(&mut self) -> Result<StreamReport> {
        let spec = self.face.cut_spec(self.log.has_time());
        // Only the event clock needs user code to cut.
        let mut decoder = match spec.clock {
            Clock::Event => Some(self.face.decoder(self.log.format())?),
            Clock::Log => None,
        };
        let meter = self.metrics.source(self.face.name);
        meter.is_at(self.log.location());
        let _running = meter.run();
        let span = tracing::info_span!("archive", source = self.face.name);
        let _entered = span.enter();
        let mut partitions = BTreeMap::new();
        self.open(&spec, &mut partitions, true)?;
        meter.opened.store(true, Relaxed);
        let mut records = RecordBatch::default();
        let mut scratch = Scratch::default();
        let mut last = Instant::now();
        while !self.options.stop.load(Relaxed) {
            meter.heartbeat.mark();
            match self.log.poll(Duration::from_millis(50), &mut records)? {
                Polled::Records => {
                    let partition = records.partition;
                    let Some(p) = partitions.get_mut(&partition) else {
                        return Err(Error::bug(format!(
                            "the log of `{}` handed out partition {partition}, which was not assigned",
                            self.face.name
                        )));
                    };
                    let bytes = records.bytes.len();
                    scratch.take(p, &mut records, decoder.as_deref_mut(), &self.metrics);
                    scratch.measure(p, &meter, bytes);
                    if p.bytes > self.options.buffer {
                        self.write(partition, &mut partitions)?;
                    }
                }
                Polled::Idle => {
                    meter.listen(&*self.log);
                    if self.options.until_end && partitions.values().all(|p| p.next >= p.target) {
                        break;
                    }
                }
                Polled::Lost { partition, start } => self.record_loss(partition, start, &spec, &mut partitions)?,
                Polled::PartitionsChanged => {
                    self.write_all(&mut partitions)?;
                    self.open(&spec, &mut partitions, false)?;
                }
            }
            if last.elapsed() >= self.options.interval {
                last = Instant::now();
                self.write_all(&mut partitions)?;
            }
        }
        self.write_all(&mut partitions)?;
        Ok(self.metrics.report())
    }

    /// Reads the index of every partition and goes on where it ends.
    fn open(&mut self, spec: &CutSpec, partitions: &mut BTreeMap<u32, Partition>, first: bool) -> Result<()> {
        for info in self.log.partitions()? {
            if partitions.contains_key(&info.partition) {
                continue;
            }
            let p = self.resume(info.partition, spec, &info.topic_id, if first { info.end } else { 0 })?;
            if p.from < info.start {
                // The loss is recorded by the poll that meets it.
                tracing::warn!(
                    source = self.face.name,
                    partition = info.partition,
                    from = p.from,
                    start = info.start,
                    "the log begins above the end of the archive"
                );
            }
            p.meter.acquired(p.next, info.end);
            partitions.insert(info.partition, p);
        }
        self.metrics.source(self.face.name).owns(partitions.keys().copied());
        let positions: Vec<_> = partitions.iter().map(|(p, s)| (*p, s.next)).collect();
        self.log.assign(&positions)
    }

    fn resume(&self, partition: u32, spec: &CutSpec, topic_id: &str, target: u64) -> Result<Partition> {
        let index = self.archive.index(partition, 0)?;
        let id = SourcePartition::new(self.face.name, partition);
        let start = self.start.of(&id);
        let (from, batch) = index
            .last()
            .map_or((start.cut, start.batch_before), |e| (e.to, e.batch_after().batch));
        if let Some(e) = index.last() {
            if e.cut_spec != spec.text() {
                return Err(Error::invalid(format!(
                    "source `{}` is cut by `{}`, its archive by `{}`: use another --instance",
                    self.face.name,
                    spec.text(),
                    e.cut_spec
                )));
            }
            if e.topic_id != topic_id {
                return Err(Error::invalid(format!(
                    "partition {partition} of `{}` is another log than the one that was archived (`{}`, now `{topic_id}`): restore it, name it a new source, or use another --instance",
                    self.face.name, e.topic_id
                )));
            }
        }
        Ok(Partition {
            cutter: Cutter::new(spec.clone(), batch),
            number: index.len() as u64,
            from,
            batch_before: batch,
            next: from,
            cuts: Vec::new(),
            pending: Vec::new(),
            bytes: 0,
            topic_id: topic_id.into(),
            target,
            meter: self.meter(partition, &index, &Cutter::new(spec.clone(), batch)),
        })
    }

    /// Where the archive stands, for others to see.
    fn meter(&self, partition: u32, index: &[IndexEntry], cutter: &Cutter) -> Arc<PartitionMetrics> {
        let meter = self.metrics.source(self.face.name).partition(partition);
        meter.runs(cutter.batch(), cutter.start());
        // Everything before the last entry's end is there, whoever wrote it.
        meter.committed.store(index.last().map_or(0, |e| e.to), Relaxed);
        meter.lost(index.iter().filter(|e| e.hole.is_some()).map(|e| (e.from, e.to)));
        meter
    }

    fn write_all(&mut self, partitions: &mut BTreeMap<u32, Partition>) -> Result<()> {
        let all: Vec<u32> = partitions.keys().copied().collect();
        all.into_iter().try_for_each(|p| self.write(p, partitions))
    }

    /// P18: files first, synced; then the index entry, exclusively. Who loses reads the index and starts from there.
    fn write(&mut self, partition: u32, partitions: &mut BTreeMap<u32, Partition>) -> Result<()> {
        let Some(p) = partitions.get_mut(&partition) else {
            return Ok(());
        };
        if p.next == p.from {
            return Ok(());
        }
        let mut files = Vec::new();
        for (batch, from, to) in pieces(p) {
            let rows: Vec<(&RecordBatch, Range<usize>)> = p
                .pending
                .iter()
                .flat_map(|r| {
                    r.runs
                        .iter()
                        .filter(|(_, b)| *b == batch)
                        .map(|(range, _)| (&r.records, range.clone()))
                })
                .collect();
            if !rows.is_empty() {
                files.push(self.archive.write(partition, batch, from..to, &rows)?);
            }
        }
        let spec = self.face.cut_spec(self.log.has_time());
        let entry = IndexEntry {
            format: INDEX_FORMAT,
            from: p.from,
            to: p.next,
            batch_before: p.batch_before,
            files,
            cuts: std::mem::take(&mut p.cuts),
            hole: None,
            topic_id: p.topic_id.clone(),
            leader_epoch: -1,
            cut_spec: spec.text(),
        };
        self.commit(partition, &entry, &spec, partitions)
    }

    fn commit(
        &mut self,
        partition: u32,
        entry: &IndexEntry,
        spec: &CutSpec,
        partitions: &mut BTreeMap<u32, Partition>,
    ) -> Result<()> {
        let Some(p) = partitions.get_mut(&partition) else {
            return Ok(());
        };
        if self.archive.commit(partition, p.number, entry)? {
            self.metrics.commits.fetch_add(1, Relaxed);
            p.number += 1;
            (p.from, p.batch_before) = (entry.to, entry.batch_after().batch);
            p.meter.committed.store(entry.to, Relaxed);
            p.meter.runs(p.batch_before, spec.batcher.start_of(p.batch_before));
            self.metrics.source(self.face.name).entries.fetch_add(1, Relaxed);
            p.pending.clear();
            p.bytes = 0;
            return Ok(());
        }
        tracing::info!(
            source = self.face.name,
            partition,
            entry = p.number,
            "another archiver was first: going on after it"
        );
        let (topic_id, target) = (p.topic_id.clone(), p.target);
        let resumed = self.resume(partition, spec, &topic_id, target)?;
        partitions.insert(partition, resumed);
        // Assigning anew hands out again what the other partitions hold already, so they are taken back to their positions.
        let positions: Vec<_> = partitions.iter().map(|(p, s)| (*p, s.next)).collect();
        self.log.assign(&positions)
    }

    /// A lost range becomes an entry without files, so that every answer that rests on it can say so.
    fn record_loss(
        &mut self,
        partition: u32,
        start: u64,
        spec: &CutSpec,
        partitions: &mut BTreeMap<u32, Partition>,
    ) -> Result<()> {
        self.write(partition, partitions)?;
        let Some(p) = partitions.get_mut(&partition) else {
            return Ok(());
        };
        if start > p.from {
            tracing::error!(
                source = self.face.name,
                partition,
                from = p.from,
                to = start,
                "offsets were deleted before they were archived"
            );
            let entry = IndexEntry {
                format: INDEX_FORMAT,
                from: p.from,
                to: start,
                batch_before: p.batch_before,
                files: Vec::new(),
                cuts: Vec::new(),
                hole: Some("deleted from the log before it was archived".into()),
                topic_id: p.topic_id.clone(),
                leader_epoch: -1,
                cut_spec: spec.text(),
            };
            p.next = start;
            self.commit(partition, &entry, spec, partitions)?;
        }
        let positions: Vec<_> = partitions.iter().map(|(p, s)| (*p, s.next)).collect();
        self.log.assign(&positions)
    }
}

/// The offset ranges of the batches in `[from, next)`: each ends where the next begins.
fn pieces(p: &Partition) -> Vec<(BatchId, u64, u64)> {
    let mut pieces = Vec::new();
    let (mut batch, mut from) = (p.batch_before, p.from);
    for (b, offset) in &p.cuts {
        pieces.push((batch, from, *offset));
        (batch, from) = (*b, *offset);
    }
    pieces.push((batch, from, p.next));
    pieces
}

impl Scratch {
    /// What the last call of `take` brought, for others to see.
    fn measure(&self, p: &Partition, meter: &SourceMetrics, bytes: usize) {
        let records: usize = self.cuts.runs.iter().map(|r| r.range.len()).sum();
        meter.records.fetch_add(records as u64, Relaxed);
        meter.bytes.fetch_add(bytes as u64, Relaxed);
        meter.late.fetch_add(self.cuts.late, Relaxed);
        meter.heard.mark();
        p.meter.at(p.next, p.meter.end.load(Relaxed));
        p.meter.late.fetch_add(self.cuts.late, Relaxed);
        p.meter.saw_time(self.cuts.last_time);
    }
}

#[derive(Default)]
struct Scratch {
    cuts: Cuts,
    times: Vec<Option<rufous_core::Timestamp>>,
    bad: Vec<rufous_core::BadRecord>,
}

impl Scratch {
    fn take(
        &mut self,
        p: &mut Partition,
        records: &mut RecordBatch,
        decoder: Option<&mut (dyn SourceDecoder + 'static)>,
        metrics: &Metrics,
    ) {
        records.skip_below(p.next);
        if let Some(decoder) = decoder {
            self.bad.clear();
            // What cannot be decoded is archived all the same, in the running batch: nothing is lost (P1, P17).
            decoder.decode(records, &mut self.times, &mut self.bad);
            metrics.bad.fetch_add(self.bad.len() as u64, Relaxed);
        }
        p.cutter.cut(records, &self.times, &mut self.cuts);
        p.cuts.extend_from_slice(&self.cuts.cuts);
        p.next = records.next;
        p.bytes += records.bytes.len() + records.entries.len() * size_of::<rufous_core::Entry>();
        metrics.records.fetch_add(records.entries.len() as u64, Relaxed);
        metrics.bytes.fetch_add(records.bytes.len() as u64, Relaxed);
        metrics.late.fetch_add(self.cuts.late, Relaxed);
        metrics.saw_time(self.cuts.last_time);
        if !records.entries.is_empty() {
            let runs = self.cuts.runs.iter().map(|r| (r.range.clone(), r.batch)).collect();
            p.pending.push(Pending {
                records: std::mem::take(records),
                runs,
            });
        }
    }
}
