//! What the tests share: a namespace with one store of counts.
#![allow(dead_code, unreachable_pub)]

use redis::Value;
use rufous_algebra::Codec;
use rufous_core::{
    BatchId, ChunkMeta, Cut, Deltas, Frontier, Job, Plan, Result, Source, SourcePartition, Store, StoreFace, TextChunk,
    key,
};
use rufous_store_api::{Advance, Commit, Committed, NamespaceOf, Progress, RealtimeStore, Repair, Snapshot, Until};
use rufous_store_redis::{RedisOptions, RedisReader, RedisRealtime};
use rufous_test_servers::redis::RedisServer;

pub const LINES: Source<str> = Source::new("lines");
pub const COUNTS: Store<String, u64> = Store::new("counts");

/// The namespace of most tests.
pub const N1: NamespaceOf<'static> = NamespaceOf::new("bed", "main", "n1");

pub fn plan() -> Plan {
    Job::new("bed", LINES.read().keyed(|l, out| out.emit(l, 1)).sum_by_key(COUNTS))
        .plan()
        .unwrap()
}

pub fn faces() -> Vec<StoreFace> {
    vec![StoreFace::of(COUNTS)]
}

pub fn part(n: u32) -> SourcePartition {
    SourcePartition::new("lines", n)
}

/// Short waits.
pub fn options() -> RedisOptions {
    RedisOptions {
        connect_timeout: std::time::Duration::from_secs(2),
        response_timeout: std::time::Duration::from_secs(5),
        ..RedisOptions::default()
    }
}

pub fn try_open(url: &str, options: &RedisOptions) -> Result<RedisRealtime> {
    RedisRealtime::open(url, options, N1, &faces())
}

pub fn open(server: &RedisServer) -> RedisRealtime {
    try_open(&server.url(), &options()).unwrap()
}

pub fn reader(server: &RedisServer) -> RedisReader {
    RedisRealtime::reader(&server.url(), &options(), N1, &faces(), &Until::default())
        .unwrap()
        .expect("it was made")
}

pub fn start() -> Progress {
    Progress::standing_at(Cut::ORIGIN, "t".into(), "c".into(), "f".into())
}

pub fn try_acquire(store: &dyn RealtimeStore, p: &SourcePartition) -> Result<Progress> {
    store.acquire("counts", p, &mut |row| {
        Ok(Repair::Keep(row.cloned().unwrap_or_else(start)))
    })
}

pub fn acquire(store: &dyn RealtimeStore, p: &SourcePartition) -> Progress {
    try_acquire(store, p).unwrap()
}

pub fn row(snapshot: &dyn Snapshot, p: &SourcePartition) -> Option<Progress> {
    let rows = snapshot.partitions("counts").unwrap();
    rows.iter().find(|(q, _)| q == p).map(|(_, r)| r.clone())
}

pub fn deltas(p: &SourcePartition, batch: i64, words: &[&str]) -> Box<dyn Deltas> {
    let mut run = plan().instantiate();
    let mut chunk = TextChunk::default();
    words.iter().for_each(|w| chunk.push(w));
    let meta = ChunkMeta {
        source: 0,
        partition: p.partition,
        batch: BatchId(batch),
    };
    run.push(&meta, &mut chunk).unwrap();
    run.take(Vec::new()).unwrap().remove(0)
}

/// The step over so many records of a batch, from where the row stands.
pub fn step(p: &SourcePartition, row: &Progress, batch: i64, records: usize) -> Advance {
    let cuts = match BatchId(batch) > row.batch {
        true => vec![(BatchId(batch), row.next)],
        false => vec![],
    };
    Advance {
        partition: p.clone(),
        epoch: row.epoch,
        from: row.next,
        to: row.next + records as u64,
        batch: BatchId(batch).max(row.batch),
        cuts,
        holes: vec![],
        leader_epoch: -1,
        last_time: None,
        running: None,
    }
}

/// One record a word, one offset a word; the row is moved when it is done.
pub fn try_add(
    store: &dyn RealtimeStore,
    p: &SourcePartition,
    row: &mut Progress,
    batch: i64,
    words: &[&str],
) -> Result<Committed> {
    let advance = step(p, row, batch, words.len());
    let deltas = deltas(p, batch, words);
    let done = store.commit(&Commit {
        advances: std::slice::from_ref(&advance),
        sources: &["lines"],
        deltas: &[("counts", &*deltas)],
    });
    if matches!(done, Ok(Committed::Done)) {
        row.next = advance.to;
        row.batch = advance.batch;
        row.cuts.extend(advance.cuts);
    }
    done
}

pub fn add(store: &dyn RealtimeStore, p: &SourcePartition, row: &mut Progress, batch: i64, words: &[&str]) {
    assert_eq!(try_add(store, p, row, batch, words).unwrap(), Committed::Done);
}

pub fn total(snapshot: &dyn Snapshot, word: &str) -> u64 {
    let cells = snapshot
        .cells("counts", &[key::to_bytes(word)], &Frontier::default())
        .unwrap();
    cells[0].iter().map(|c| u64::decode(&c.value).unwrap()).sum()
}

/// A command of an administrator, as words.
pub fn admin(server: &RedisServer, words: &[&str]) -> Value {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut cmd = redis::cmd(words[0]);
    cmd.arg(&words[1..]);
    cmd.query(&mut connection).unwrap()
}

/// The keys of the server.
pub fn keys(server: &RedisServer) -> Vec<String> {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    keys.sort();
    keys
}

pub const PREFIX: &str = "rufous:{bed/main/n1}:";
