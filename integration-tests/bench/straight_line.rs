//! The straight-line program: one word count over Kafka with the guarantees of a Rufous job and nothing else in the way. It is
//! the ceiling that `./x bench realtime` compares with, so it uses nothing of Rufous and takes every short cut that the
//! guarantees leave open.
//!
//! Batches are dequeued from librdkafka and keys are counted where librdkafka keeps them; a map per partition copies a key
//! when it first sees it. Once a commit interval two sets of maps swap; a thread sorts one by key and writes packed counts
//! and the offset of each partition in ONE RocksDB write with a merge operator, while the other set fills. A restart opens the
//! store and reads on at its offsets; a record below them is passed over.
//!
//! `straight-line BROKERS TOPIC text|json COMMIT_MS WARM_RECORDS STATE_DIR TOTALS_FILE`: counts to the present end of the
//! topic, prints one line `result ...` (records, seconds of wall and CPU at the warm mark and at the end, measured from the
//! first record) and writes `key TAB count` lines.
#![allow(
    unsafe_code,
    reason = "batch dequeue is a call of librdkafka that rdkafka does not wrap"
)]

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cpu_time::ProcessTime;
use hashbrown::HashTable;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rdkafka_sys as sys;
use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, IteratorMode, MergeOperands, Options, WriteBatch};
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

/// The key of the row of offsets; no word begins with a zero byte.
const OFFSETS: &[u8] = b"\0offsets";
/// Messages a dequeue.
const BATCH: usize = 4096;
/// Maps above this are written before their time.
const BUDGET: usize = 128 << 20;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, format, commit_ms, warm, state, totals] = args.as_slice() else {
        bail!("usage: straight-line BROKERS TOPIC text|json COMMIT_MS WARM_RECORDS STATE_DIR TOTALS_FILE");
    };
    let db = open(Path::new(state))?;
    let commit = Duration::from_millis(commit_ms.parse().context("COMMIT_MS")?);
    let warm = warm.parse().context("WARM_RECORDS")?;
    let result = match format.as_str() {
        "text" => run(&db, brokers, topic, commit, warm, |bytes| Ok(bytes))?,
        "json" => run(&db, brokers, topic, commit, warm, |bytes| {
            let event: Event<'_> = serde_json::from_slice(bytes)?;
            // Otherwise the compiler may leave out what nobody looks at.
            std::hint::black_box((event.user, event.amount, event.at));
            Ok(event.word.as_bytes())
        })?,
        other => bail!("format {other}: text or json"),
    };
    println!("{result}");
    write_totals(&db, Path::new(totals))
}

/// What is read of a JSON record.
#[derive(Deserialize)]
struct Event<'a> {
    word: &'a str,
    user: i64,
    amount: i64,
    at: i64,
}

/// Counts of one partition.
#[derive(Default)]
struct Counts {
    table: HashTable<u32>,
    cells: Vec<Cell>,
    arena: Vec<u8>,
}

struct Cell {
    hash: u64,
    from: u32,
    len: u32,
    count: u64,
}

impl Counts {
    #[inline]
    fn add(&mut self, key: &[u8]) {
        let hash = xxh3_64(key);
        let Self { table, cells, arena } = self;
        let found = table.find(hash, |&i| {
            let cell = &cells[i as usize];
            cell.hash == hash && &arena[cell.from as usize..][..cell.len as usize] == key
        });
        if let Some(&i) = found {
            cells[i as usize].count += 1;
            return;
        }
        let i = cells.len() as u32;
        let (from, len) = (arena.len() as u32, key.len() as u32);
        arena.extend_from_slice(key);
        cells.push(Cell {
            hash,
            from,
            len,
            count: 1,
        });
        table.insert_unique(hash, i, |&i| cells[i as usize].hash);
    }
    fn bytes(&self) -> usize {
        self.cells.len() * (size_of::<Cell>() + 8) + self.arena.len()
    }
    fn clear(&mut self) {
        self.table.clear();
        self.cells.clear();
        self.arena.clear();
    }
}

/// What goes to the store in one write.
struct Chunk {
    counts: Vec<Counts>,
    from: Vec<u64>,
    to: Vec<u64>,
}

fn run<F>(db: &DB, brokers: &str, topic: &str, commit: Duration, warm: u64, key_of: F) -> Result<String>
where
    F: for<'a> Fn(&'a [u8]) -> Result<&'a [u8]>,
{
    let consumer = consumer(brokers)?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let partitions = metadata.topics().first().context("no such topic")?.partitions().len();
    let mut next = offsets(db, partitions)?;
    let mut ends = Vec::new();
    let mut positions = TopicPartitionList::new();
    for (p, from) in next.iter().enumerate() {
        let (_, end) = consumer.fetch_watermarks(topic, p as i32, Duration::from_secs(10))?;
        ends.push(end as u64);
        positions.add_partition_offset(topic, p as i32, Offset::Offset(*from as i64))?;
    }
    consumer.assign(&positions)?;
    // SAFETY: the client lives until after the queue is given back at the end.
    let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };

    let fresh = || (0..partitions).map(|_| Counts::default()).collect::<Vec<_>>();
    let mut counts = fresh();
    let mut spare = Some(fresh());
    let mut written = next.clone();
    let (mut records, mut first, mut mark) = (0_u64, None, String::new());
    let mut open = next.iter().zip(&ends).filter(|(n, e)| n < e).count();
    let mut last_commit = Instant::now();
    let result: Result<String> = std::thread::scope(|scope| {
        let (to_flush, inbox) = sync_channel::<Chunk>(1);
        let (outbox, flushed) = sync_channel::<Result<Vec<Counts>>>(1);
        scope.spawn(move || {
            while let Ok(mut chunk) = inbox.recv() {
                let done = flush(db, &chunk).map(|()| {
                    chunk.counts.iter_mut().for_each(Counts::clear);
                    chunk.counts
                });
                if outbox.send(done).is_err() {
                    return;
                }
            }
        });
        let mut taken: Vec<*mut sys::rd_kafka_message_t> = vec![std::ptr::null_mut(); BATCH];
        while open > 0 {
            // SAFETY: the array has room for BATCH pointers; what is dequeued is ours to destroy.
            let mut n = unsafe { sys::rd_kafka_consume_batch_queue(queue, 0, taken.as_mut_ptr(), BATCH) };
            if n == 0 {
                // SAFETY: the same, one message.
                n = unsafe { sys::rd_kafka_consume_batch_queue(queue, 50, taken.as_mut_ptr(), 1) };
            }
            for &raw in &taken[..usize::try_from(n).context("the queue failed")?] {
                // SAFETY: a live message until it is destroyed below; its payload lives as long.
                let (message, payload) = unsafe {
                    let m = &*raw;
                    (
                        m,
                        if m.payload.is_null() {
                            &[][..]
                        } else {
                            std::slice::from_raw_parts(m.payload.cast::<u8>(), m.len)
                        },
                    )
                };
                ensure!(
                    message.err == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
                    "kafka: {:?}",
                    message.err
                );
                let (p, offset) = (message.partition as usize, message.offset as u64);
                if offset >= next[p] && offset < ends[p] {
                    counts[p].add(key_of(payload)?);
                    next[p] = offset + 1;
                    records += 1;
                    open -= usize::from(next[p] == ends[p]);
                }
                // SAFETY: destroyed once; nothing borrowed from it is used any more.
                unsafe { sys::rd_kafka_message_destroy(raw) };
            }
            if records > 0 {
                let (wall, cpu) = *first.get_or_insert_with(|| (Instant::now(), ProcessTime::now()));
                if mark.is_empty() && records >= warm {
                    mark = format!(
                        "warm_records={records} warm_wall={} warm_cpu={}",
                        wall.elapsed().as_secs_f64(),
                        cpu.elapsed().as_secs_f64()
                    );
                }
            }
            if spare.is_none()
                && let Ok(back) = flushed.try_recv()
            {
                spare = Some(back?);
            }
            let full = || counts.iter().map(Counts::bytes).sum::<usize>() >= BUDGET;
            let due = last_commit.elapsed() >= commit;
            if due || full() {
                if spare.is_none() && !due {
                    spare = Some(flushed.recv()??);
                }
                if let Some(empty) = spare.take() {
                    last_commit = Instant::now();
                    let counts = std::mem::replace(&mut counts, empty);
                    let from = std::mem::replace(&mut written, next.clone());
                    to_flush.send(Chunk {
                        counts,
                        from,
                        to: next.clone(),
                    })?;
                }
            }
        }
        if spare.is_none() {
            flushed.recv()??;
        }
        to_flush.send(Chunk {
            counts: std::mem::take(&mut counts),
            from: written.clone(),
            to: next.clone(),
        })?;
        flushed.recv()??;
        let (wall, cpu) = first.context("the topic is empty")?;
        Ok(format!(
            "result records={records} {mark} wall={} cpu={} peak_mb={}",
            wall.elapsed().as_secs_f64(),
            cpu.elapsed().as_secs_f64(),
            peak_mb()
        ))
    });
    // SAFETY: our reference, given back once while the client lives.
    unsafe { sys::rd_kafka_queue_destroy(queue) };
    result
}

/// The peak of resident memory in MiB.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|n| n.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}

fn consumer(brokers: &str) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    for (name, value) in [
        ("bootstrap.servers", brokers),
        ("group.id", "straight-line"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("isolation.level", "read_committed"),
        ("auto.offset.reset", "error"),
        ("queued.min.messages", "100000"),
        ("queued.max.messages.kbytes", "262144"),
        ("fetch.message.max.bytes", "1048576"),
        ("fetch.max.bytes", "67108864"),
        ("fetch.wait.max.ms", "10"),
        ("fetch.queue.backoff.ms", "20"),
    ] {
        config.set(name, value);
    }
    Ok(config.create()?)
}

/// Sorted by key and partition; what the partitions have of a key is one operand: (partition gap, varint) pairs.
fn flush(db: &DB, chunk: &Chunk) -> Result<()> {
    ensure!(
        offsets(db, chunk.from.len())? == chunk.from,
        "the store's offsets are not those that were written last: another process writes here"
    );
    // The first eight bytes decide nearly every comparison.
    let mut order: Vec<(u64, u32, u32)> = Vec::new();
    for (p, counts) in chunk.counts.iter().enumerate() {
        order.extend(counts.cells.iter().enumerate().map(|(i, cell)| {
            let key = &counts.arena[cell.from as usize..][..cell.len as usize];
            let mut prefix = [0; 8];
            let n = key.len().min(8);
            prefix[..n].copy_from_slice(&key[..n]);
            (u64::from_be_bytes(prefix), p as u32, i as u32)
        }));
    }
    let cell = |p: u32, i: u32| {
        let counts = &chunk.counts[p as usize];
        let cell = &counts.cells[i as usize];
        (&counts.arena[cell.from as usize..][..cell.len as usize], cell.count)
    };
    order.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0)
            .then_with(|| cell(a.1, a.2).0.cmp(cell(b.1, b.2).0))
            .then(a.1.cmp(&b.1))
    });
    let mut batch = WriteBatch::default();
    let mut packed = Vec::new();
    let mut last: Option<(&[u8], u64)> = None;
    for &(_, p, i) in &order {
        let (key, count) = cell(p, i);
        let gap = match last {
            Some((of, at)) if of == key => u64::from(p) - at,
            other => {
                if let Some((of, _)) = other {
                    batch.merge(of, &packed);
                }
                packed.clear();
                u64::from(p)
            }
        };
        put_varint(gap, &mut packed);
        put_varint(count, &mut packed);
        last = Some((key, u64::from(p)));
    }
    if let Some((of, _)) = last {
        batch.merge(of, &packed);
    }
    let row: Vec<u8> = chunk.to.iter().flat_map(|o| o.to_le_bytes()).collect();
    batch.put(OFFSETS, row);
    Ok(db.write(batch)?)
}

fn offsets(db: &DB, partitions: usize) -> Result<Vec<u64>> {
    let Some(row) = db.get(OFFSETS)? else {
        return Ok(vec![0; partitions]);
    };
    let offsets: Vec<u64> = row.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
    ensure!(
        offsets.len() == partitions,
        "the store has offsets of {} partitions",
        offsets.len()
    );
    Ok(offsets)
}

fn open(dir: &Path) -> Result<DB> {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(64 << 20));
    blocks.set_bloom_filter(10.0, false);
    let mut o = Options::default();
    o.create_if_missing(true);
    o.set_max_total_wal_size(64 << 20);
    o.set_max_open_files(-1);
    o.set_write_buffer_size(16 << 20);
    o.set_target_file_size_base(4 << 20);
    o.set_compression_type(DBCompressionType::Lz4);
    o.set_block_based_table_factory(&blocks);
    o.set_merge_operator_associative("straight-line", add);
    Ok(DB::open(&o, dir)?)
}

fn put_varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let (mut n, mut shift) = (0, 0);
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
        shift += 7;
    }
}

fn pairs(mut bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    let mut p = 0;
    std::iter::from_fn(move || {
        p += take_varint(&mut bytes)?;
        Some((p, take_varint(&mut bytes)?))
    })
}

fn add(_: &[u8], existing: Option<&[u8]>, operands: &MergeOperands) -> Option<Vec<u8>> {
    let mut sums: Vec<(u64, u64)> = Vec::with_capacity(16);
    for (p, n) in existing.into_iter().chain(operands).flat_map(pairs) {
        match sums.binary_search_by_key(&p, |s| s.0) {
            Ok(i) => sums[i].1 += n,
            Err(i) => sums.insert(i, (p, n)),
        }
    }
    let (mut out, mut last) = (Vec::with_capacity(sums.len() * 3), 0);
    for (p, n) in sums {
        put_varint(p - last, &mut out);
        put_varint(n, &mut out);
        last = p;
    }
    Some(out)
}

fn write_totals(db: &DB, path: &Path) -> Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for row in db.iterator(IteratorMode::Start) {
        let (key, value) = row?;
        if *key == *OFFSETS {
            continue;
        }
        file.write_all(&key)?;
        writeln!(file, "\t{}", pairs(&value).map(|(_, n)| n).sum::<u64>())?;
    }
    Ok(file.flush()?)
}
