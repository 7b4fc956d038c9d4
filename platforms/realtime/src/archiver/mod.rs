//! The log into the archive: a consumer of its own that asks the job nothing (P17-P19).
//!
//! `partition`: what was read of one partition and is not archived yet; `write`: files, then the entry that makes them count
//! (P18); `resume`: where the index ends is where reading begins; `pause`: failures that pass;
//! `recut`: an archive that another spec cuts.

mod partition;
mod pause;
mod recut;
mod resume;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rufous_core::{Clock, CutSpec, Error, ErrorKind, Frontier, RecordBatch, Result, SourceDecoder, SourceFace};
use rufous_store_api::Archive;

use crate::close::close;
use crate::log::{Log, Polled};
use crate::metrics::{Metrics, SourceMetrics, StreamReport};
use partition::{Partition, Scratch};
use pause::Pause;
pub use recut::Recut;

/// How an archiver runs.
#[derive(Clone, Debug)]
pub struct ArchiverOptions {
    /// How often what was read is written.
    pub interval: Duration,
    /// Bytes of memory that records may take, over all partitions, before the largest partitions are written early. What the
    /// log hands out at once comes on top, and so does the encoder's own memory: about as much as the file that it makes.
    pub buffer: usize,
    /// The longest wait before a failed write is tried again. The first wait is a sixtieth of it, each further one twice as long.
    pub longest_pause: Duration,
    /// Files whose entry could not be created for so long are written again, under new names: below the age at which a sweep
    /// takes files that no entry names. What was written before is left for the sweep.
    pub renew: Duration,
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
            longest_pause: Duration::from_secs(30),
            renew: Duration::from_secs(6 * 3600),
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

/// A running archiver.
struct Run<'a> {
    face: &'a SourceFace,
    log: Box<dyn Log>,
    archive: Arc<dyn Archive>,
    start: Frontier,
    metrics: Arc<Metrics>,
    /// What others see of the source.
    meter: Arc<SourceMetrics>,
    options: ArchiverOptions,
    spec: CutSpec,
    partitions: BTreeMap<u32, Partition>,
    /// The log's partitions are to be looked up: at the start, and when there may be new ones.
    look_up: bool,
    /// Reading is to go on elsewhere than where the log stands.
    assign: bool,
    /// Whether the first look-up was done: what appears later has no end that `until_end` waits for.
    started: bool,
    pause: Pause,
}

impl<'a> Archiver<'a> {
    /// Runs until it is told to stop, or to the present end of the log. Everything that was read is in the index then.
    ///
    /// Failures that pass (a full disk, a store that does not answer) make it pause: it warns, keeps what it read, reads on
    /// while the buffer has room, and tries again. Nothing is lost, for what is not in the index is read again.
    ///
    /// # Errors
    /// When the archive was cut differently or from another log, when it is damaged, or must not be written to. `TryAgain`
    /// only when it was told to stop while it paused: the log still holds what was not archived.
    pub fn run(self) -> Result<StreamReport> {
        let spec = self.face.cut_spec(self.log.has_time());
        // Only the event clock needs user code to cut.
        let decoder = match spec.clock {
            Clock::Event => Some(self.face.decoder(self.log.format())?),
            Clock::Log => None,
        };
        let meter = self.metrics.source(self.face.name);
        meter.is_at(self.log.location());
        let pause = Pause::new(self.options.longest_pause, meter.clone());
        let mut run = Run {
            face: self.face,
            log: self.log,
            archive: self.archive,
            start: self.start,
            metrics: self.metrics,
            meter,
            options: self.options,
            spec,
            partitions: BTreeMap::new(),
            look_up: true,
            assign: false,
            started: false,
            pause,
        };
        let done = run.run(decoder);
        close(vec![run.log]);
        done
    }
}

impl Run<'_> {
    fn run(&mut self, mut decoder: Option<Box<dyn SourceDecoder>>) -> Result<StreamReport> {
        let meter = self.meter.clone();
        let _running = meter.run();
        let span = tracing::info_span!("archive", source = self.face.name);
        let _entered = span.enter();
        loop {
            self.read(decoder.as_deref_mut())?;
            self.finish()?;
            // Another archiver may have been first with less than was read here: then the rest is read again.
            let done = self.partitions.values().all(Partition::at_end) && !self.assign;
            if done || !self.options.until_end || self.options.stop.load(Relaxed) {
                return Ok(self.metrics.report());
            }
        }
    }

    /// Reads until the end or a stop, and writes now and then.
    fn read(&mut self, mut decoder: Option<&mut (dyn SourceDecoder + 'static)>) -> Result<()> {
        let mut records = RecordBatch::default();
        let mut scratch = Scratch::default();
        let mut last = Instant::now();
        while !self.options.stop.load(Relaxed) {
            self.meter.heartbeat.mark();
            if !self.ready()? {
                continue;
            }
            match self.log.poll(Duration::from_millis(50), &mut records)? {
                Polled::Records => {
                    let Some(p) = self.partitions.get_mut(&records.partition) else {
                        return Err(Error::bug(format!(
                            "the log of `{}` handed out partition {}, which was not assigned",
                            self.face.name, records.partition
                        )));
                    };
                    let bytes = records.bytes.len();
                    scratch.take(p, &mut records, decoder.as_deref_mut(), &self.metrics);
                    scratch.measure(p, &self.meter, bytes);
                }
                Polled::Idle => {
                    self.meter.listen(&*self.log);
                    self.measure_ends();
                    if self.options.until_end && self.partitions.values().all(Partition::at_end) {
                        break;
                    }
                }
                Polled::Lost { partition, start } => {
                    if let Some(p) = self.partitions.get_mut(&partition) {
                        p.lost = Some(start);
                    }
                }
                Polled::PartitionsChanged => self.look_up = true,
                Polled::Revoked => {}
                Polled::Truncated { partition, end } => return Err(self.truncated(partition, end)),
            }
            let lost = self.partitions.values().any(|p| p.lost.is_some());
            if (last.elapsed() >= self.options.interval || self.is_full() || lost) && self.pause.over() {
                self.measure_ends();
                let all = !self.is_full() || last.elapsed() >= self.options.interval;
                let written = if all { self.write_all() } else { self.write_largest() };
                if self.passes(written)? && all {
                    last = Instant::now();
                }
            }
        }
        Ok(())
    }

    /// Whether the log may be polled: its partitions are known and assigned, and there is room. Otherwise some of that was
    /// tried, or waited for.
    fn ready(&mut self) -> Result<bool> {
        if (self.look_up || self.assign) && self.pause.over() {
            let opened = self.open();
            self.passes(opened)?;
        }
        if self.look_up || self.assign || (self.is_full() && !self.pause.over()) {
            // What the log gains is lag, also while nothing is read.
            self.measure_ends();
            // Short naps: a stop is seen soon.
            std::thread::sleep(Duration::from_millis(50).min(self.options.longest_pause));
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether it was done. A failure that passes is noted: nothing is tried until the pause is over.
    fn passes(&mut self, done: Result<()>) -> Result<bool> {
        match done {
            Ok(()) => {
                self.pause.end(self.face.name);
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::TryAgain => {
                self.pause.begin(self.face.name, &e);
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// Where the partitions end, as far as the log knows without being asked.
    fn measure_ends(&self) {
        for (partition, p) in &self.partitions {
            if let Some(end) = self.log.end(*partition) {
                p.meter.at(p.next, end);
            }
        }
    }

    fn held(&self) -> usize {
        self.partitions.values().map(Partition::held).sum()
    }

    fn is_full(&self) -> bool {
        self.held() > self.options.buffer
    }

    /// What was read is written; at the end of the log it is waited for, and a stop ends the waiting.
    fn finish(&mut self) -> Result<()> {
        loop {
            let written = self.write_all();
            if self.options.stop.load(Relaxed) {
                return written;
            }
            if self.passes(written)? {
                return Ok(());
            }
            while !self.pause.over() && !self.options.stop.load(Relaxed) {
                self.meter.heartbeat.mark();
                std::thread::sleep(Duration::from_millis(20).min(self.options.longest_pause));
            }
        }
    }
}
