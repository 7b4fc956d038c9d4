//! Ways to run a job, and its answers as bytes: what platforms are compared by.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result};
use rufous::client::{Client, ClientParts, OpenRealtime};
use rufous::core::{BatchId, Format, Frontier, Plan, RecordBatch};
use rufous::realtime::{
    Archiver, ArchiverOptions, BoundLog, Log, Metrics, PartitionInfo, Polled, Stream, StreamOptions, StreamReport,
};
use rufous::store_api::{Archive, GenerationStore, ManifestLog, RealtimeReader, RealtimeStore, Until};
use rufous_platform_local::{LocalLog, LocalOptions, Place};
use rufous_platform_parquet::{BatchOptions, BatchReport, BatchRun, BulkInput};
use rufous_store_archive::ParquetArchive;
use rufous_store_memory::{MemoryGenerations, MemoryManifests, MemoryRealtime};
use rufous_store_offline::{Generations, Manifests};
use rufous_store_rocksdb::{RocksOptions, RocksStore};

/// Keys and values as canonical bytes.
pub type Bytes = BTreeMap<Vec<u8>, Vec<u8>>;

/// Where a job keeps its state.
#[derive(Clone)]
pub struct State {
    /// How often a stream commits.
    pub commit_interval: Duration,
    /// Manifests.
    pub manifests: Arc<dyn ManifestLog>,
    /// Generations.
    pub generations: Arc<dyn GenerationStore>,
    /// Realtime.
    pub realtime: Arc<dyn RealtimeStore>,
}

impl State {
    /// All in memory.
    pub fn memory(plan: &Plan) -> Self {
        Self {
            commit_interval: Duration::from_millis(20),
            manifests: Arc::new(MemoryManifests::default()),
            generations: Arc::new(MemoryGenerations::default()),
            realtime: Arc::new(MemoryRealtime::new(plan.fingerprint(), &plan.live_stores())),
        }
    }
    /// RocksDB and files below `dir`.
    pub fn disk(plan: &Plan, dir: &Path) -> Result<Self> {
        Ok(Self {
            commit_interval: Duration::from_millis(20),
            manifests: Arc::new(Manifests::new(dir.join("manifests"))),
            generations: Arc::new(Generations::new(dir.join("offline"))),
            realtime: Arc::new(RocksStore::open(
                &dir.join("realtime"),
                plan.fingerprint(),
                &plan.live_stores(),
                RocksOptions::default(),
            )?),
        })
    }
    /// As [`disk`](Self::disk), with the commit interval that users have.
    pub fn disk_every_second(plan: &Plan, dir: &Path) -> Result<Self> {
        Ok(Self {
            commit_interval: Duration::from_secs(1),
            ..Self::disk(plan, dir)?
        })
    }
    /// A client that sees both layers.
    pub fn client(&self, plan: &Plan) -> Client {
        let realtime = self.realtime.clone();
        Client::new(ClientParts {
            job: plan.job().to_string(),
            manifests: self.manifests.clone(),
            generations: self.generations.clone(),
            realtime: Arc::new(move |_: &str, _: &Until| Ok(Some(realtime.clone() as Arc<dyn RealtimeReader>))),
        })
    }
    /// I6, P36: where the layers can be compared over the newest run they agree, in every store. Returns whether they
    /// could be.
    ///
    /// # Errors
    /// The first store that drifted, with what was found.
    pub fn agree(&self, plan: &Plan) -> rufous::Result<bool> {
        let client = self.client(plan);
        let mut compared = true;
        for face in plan.stores() {
            let found = client.reconcile(face, None)?;
            match found.agrees() {
                Some(true) => {}
                Some(false) => {
                    return Err(rufous::Error::bug(format!("I6: the layers do not agree: {found:?}")));
                }
                None => compared = false,
            }
        }
        Ok(compared)
    }
    /// [`agree`](Self::agree), where nothing stands in the way of a comparison.
    ///
    /// # Errors
    /// As there, and when they cannot be compared.
    pub fn surely_agree(&self, plan: &Plan) -> rufous::Result<()> {
        if self.agree(plan)? {
            return Ok(());
        }
        let faces = plan.stores().iter();
        let all: rufous::Result<Vec<_>> = faces.map(|f| self.client(plan).reconcile(f, None)).collect();
        Err(rufous::Error::bug(format!("the layers cannot be compared: {:?}", all?)))
    }
    /// Every merged answer of the plan's only store.
    pub fn answers(&self, plan: &Plan) -> Result<Bytes> {
        let (rows, _) = self.client(plan).raw(plan.stores()[0]).under(&[])?;
        Ok(rows.into_iter().collect())
    }
    /// Runs the job live to the present end of the log.
    pub fn stream(&self, plan: &Plan, log: Box<dyn Log>) -> Result<StreamReport> {
        self.stream_until(plan, log, None)
    }
    /// Runs the job live, and stops it in the middle of what it does after about this many records.
    pub fn stream_until(&self, plan: &Plan, log: Box<dyn Log>, records: Option<u64>) -> Result<StreamReport> {
        let stop = Arc::new(AtomicBool::new(false));
        let metrics = Arc::new(Metrics::default());
        let options = StreamOptions {
            until_end: true,
            commit_interval: self.commit_interval,
            stop: stop.clone(),
            ..StreamOptions::default()
        };
        let stream = Stream {
            plan,
            logs: vec![BoundLog::new(plan.sources()[0].name, log)],
            store: self.realtime.clone(),
            manifests: &*self.manifests,
            generations: Some(&*self.generations),
            metrics: metrics.clone(),
            options,
        };
        let done = AtomicBool::new(false);
        std::thread::scope(|s| {
            if let Some(records) = records {
                let done = &done;
                s.spawn(move || {
                    while metrics.records.load(Relaxed) < records && !done.load(Relaxed) {
                        std::thread::yield_now();
                    }
                    stop.store(true, Relaxed);
                });
            }
            let report = stream.run();
            done.store(true, Relaxed);
            Ok(report?)
        })
    }
    /// Publishes what the archive has sealed, below `until` if given.
    pub fn batch(
        &self,
        plan: &Plan,
        archive: Arc<dyn Archive>,
        format: Format,
        has_time: bool,
        until: Option<BatchId>,
    ) -> Result<BatchReport> {
        let face = &plan.sources()[0];
        let input = BulkInput::Archive {
            archive,
            format,
            cut_spec: face.cut_spec(has_time).text(),
        };
        self.bulk(plan, input, until)
    }
    /// Runs over a bounded input or an archive.
    pub fn bulk(&self, plan: &Plan, input: BulkInput, until: Option<BatchId>) -> Result<BatchReport> {
        let run = BatchRun {
            plan,
            inputs: BTreeMap::from([(plan.sources()[0].name.to_string(), input)]),
            manifests: &*self.manifests,
            generations: &*self.generations,
            options: BatchOptions {
                until,
                ..BatchOptions::default()
            },
        };
        Ok(run.run()?)
    }
}

/// A log of the files in a directory.
pub fn local(dir: &Path, registry: &Path, format: Format) -> Result<Box<dyn Log>> {
    Ok(Box::new(LocalLog::open(
        Place::Dir(dir.to_path_buf()),
        registry,
        LocalOptions::new(format),
    )?))
}

/// Archives a log to its present end.
pub fn archive(plan: &Plan, log: Box<dyn Log>, dir: &Path) -> Result<Arc<dyn Archive>> {
    let face = &plan.sources()[0];
    let archive: Arc<dyn Archive> = Arc::new(ParquetArchive::open(dir, face.name)?);
    let options = ArchiverOptions {
        until_end: true,
        interval: Duration::from_millis(50),
        ..ArchiverOptions::default()
    };
    let archiver = Archiver {
        face,
        log,
        archive: archive.clone(),
        start: Frontier::default(),
        metrics: Arc::default(),
        options,
    };
    archiver.run()?;
    Ok(archive)
}

/// Deals lines to `n` files, each line to the file that `deal` names.
pub fn write_files<'a>(
    dir: &Path,
    ending: &str,
    n: usize,
    lines: impl IntoIterator<Item = &'a str>,
    mut deal: impl FnMut(usize, &str) -> usize,
) -> Result<()> {
    use std::io::Write;
    std::fs::create_dir_all(dir)?;
    let open = |i: usize| -> Result<std::io::BufWriter<std::fs::File>> {
        let path: PathBuf = dir.join(format!("part-{i}.{ending}"));
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        Ok(std::io::BufWriter::new(file))
    };
    let mut files = (0..n).map(open).collect::<Result<Vec<_>>>()?;
    for (i, line) in lines.into_iter().enumerate() {
        writeln!(files[deal(i, line) % n], "{line}")?;
    }
    files.iter_mut().try_for_each(|f| f.flush())?;
    Ok(())
}

/// A small random generator: xorshift64* (Marsaglia 2003, Vigna 2016).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.number() % n.max(1)
    }
}

/// Panics with the first keys that differ, not with megabytes of bytes.
pub fn assert_same(what: &str, got: &Bytes, expected: &Bytes) {
    if got == expected {
        return;
    }
    let differing: Vec<_> = expected
        .keys()
        .chain(got.keys())
        .filter(|k| got.get(*k) != expected.get(*k))
        .take(3)
        .map(|k| String::from_utf8_lossy(k).into_owned())
        .collect();
    panic!(
        "{what}: {} keys, expected {}; different at {differing:?}",
        got.len(),
        expected.len()
    );
}

/// Every merged answer of a job that ran as a program with `--data data`, read as another process would.
pub fn answers_on_disk(plan: &Plan, data: &Path) -> Result<Bytes> {
    let (rows, _) = client_on_disk(plan, data)?.raw(plan.stores()[0]).under(&[])?;
    Ok(rows.into_iter().collect())
}

/// How many keys begin with one of these prefixes, and the sum of their counts: prefix by prefix, for a scan holds what it finds.
pub fn count_on_disk(plan: &Plan, data: &Path, prefixes: impl Iterator<Item = u8>) -> Result<(u64, u64)> {
    let (mut keys, mut sum) = (0, 0);
    let client = client_on_disk(plan, data)?;
    for prefix in prefixes {
        client.raw(plan.stores()[0]).scan(&[prefix], &mut |_, value| {
            keys += 1;
            sum += value.try_into().map_or(0, u64::from_le_bytes);
            Ok(())
        })?;
    }
    Ok((keys, sum))
}

/// A client of a job that ran as a program, as another process has.
pub fn client_on_disk(plan: &Plan, data: &Path) -> Result<Client> {
    let layout = rufous::store_api::Layout::new(data, "main")?;
    let (job, stores) = (plan.job(), plan.stores().to_vec());
    let realtime = move |namespace: &str, _: &Until| {
        let dir = layout.realtime(job, namespace);
        Ok(rufous_store_rocksdb::RocksReader::open(&dir, namespace, &stores)?.map(Arc::from))
    };
    client_of(plan, data, Arc::new(realtime))
}

/// A client of a job whose generations are below `data`.
pub fn client_of(plan: &Plan, data: &Path, realtime: OpenRealtime) -> Result<Client> {
    let layout = rufous::store_api::Layout::new(data, "main")?;
    Ok(Client::new(ClientParts {
        job: plan.job().to_string(),
        manifests: Arc::new(Manifests::new(layout.manifests(plan.job()))),
        generations: Arc::new(Generations::new(layout.offline(plan.job()))),
        realtime,
    }))
}

/// A topic as a log.
pub fn kafka(broker: &crate::kafka::Broker, topic: &str, format: Format) -> Result<Box<dyn Log>> {
    use rufous_platform_kafka::{KafkaLog, KafkaOptions};
    Ok(Box::new(KafkaLog::open(
        broker.addr(),
        topic,
        KafkaOptions::new(format),
    )?))
}

/// A log that goes back now and then and hands out records a second time, as consumers do after a lost session.
pub struct GoesBack {
    inner: Box<dyn Log>,
    positions: BTreeMap<u32, u64>,
    random: Random,
}

impl GoesBack {
    /// Another log, which goes back.
    pub fn over(inner: Box<dyn Log>, seed: u64) -> Box<dyn Log> {
        Box::new(Self {
            inner,
            positions: BTreeMap::new(),
            random: Random(seed),
        })
    }
}

impl Log for GoesBack {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn format(&self) -> Format {
        self.inner.format()
    }
    fn has_time(&self) -> bool {
        self.inner.has_time()
    }
    fn partitions(&mut self) -> rufous::Result<Vec<PartitionInfo>> {
        self.inner.partitions()
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> rufous::Result<()> {
        self.positions = positions.iter().copied().collect();
        self.inner.assign(positions)
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> rufous::Result<Polled> {
        if self.random.below(20) == 0 {
            // Only to where a record begins: a file refuses another offset.
            let back: Vec<_> = self
                .positions
                .iter()
                .map(|(p, at)| (*p, if self.random.below(2) == 0 { 0 } else { *at }))
                .collect();
            self.inner.assign(&back)?;
        }
        let polled = self.inner.poll(timeout, into)?;
        if polled == Polled::Records {
            let at = self.positions.entry(into.partition).or_default();
            *at = into.next.max(*at);
        }
        Ok(polled)
    }
}

/// Rows of a Parquet file of flights as JSON lines.
pub fn flights_as_lines(path: &Path) -> Result<Vec<String>> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int64Type, TimestampMicrosecondType};
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
    let mut lines = Vec::new();
    for batch in reader {
        let batch = batch?;
        let column = |name: &str| batch.column_by_name(name).cloned().with_context(|| name.to_string());
        let texts = |name: &str| -> Result<Vec<String>> {
            let column = column(name)?;
            let text = |i: usize| match column.as_string_opt::<i64>() {
                Some(large) => large.value(i).to_string(),
                None => column.as_string::<i32>().value(i).to_string(),
            };
            Ok((0..batch.num_rows()).map(text).collect())
        };
        let (date, delay, distance) = (column("date")?, column("delay")?, column("distance")?);
        let (origin, destination) = (texts("origin")?, texts("destination")?);
        for i in 0..batch.num_rows() {
            let millis = date
                .as_primitive::<TimestampMicrosecondType>()
                .value(i)
                .div_euclid(1_000);
            let at = rufous::Timestamp(millis).to_string();
            let (delay, distance) = (
                delay.as_primitive::<Int64Type>().value(i),
                distance.as_primitive::<Int64Type>().value(i),
            );
            lines.push(format!(
                r#"{{"date":"{}","delay":{delay},"distance":{distance},"origin":"{}","destination":"{}"}}"#,
                at.trim_end_matches('Z'),
                origin[i],
                destination[i]
            ));
        }
    }
    Ok(lines)
}
