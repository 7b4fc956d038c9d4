//! Named points between two writes, at which a test ends the process as kill -9 would (feature `testing`; nothing else
//! compiles them in).

/// The variable that names where to end, and at which time of coming there: `file.synced:2`.
pub const VARIABLE: &str = "RUFOUS_END_AT";

/// Every point between two writes of an archiver to a directory, in the order of a first write.
pub const LOCAL: [&str; 10] = [
    "file.created",
    "file.written",
    "file.synced",
    "file.renamed",
    "file.durable",
    "entry.written",
    "entry.synced",
    "entry.linked",
    "entry.tidied",
    "entry.durable",
];

/// Around the writes of a realtime store: a commit, a partition that is taken, cells that are dropped.
pub const STORE: [&str; 6] = [
    "acquire.before",
    "acquire.written",
    "commit.before",
    "commit.written",
    "drop.written",
    "drop.deleted",
];

/// Between the writes of a sink of files, and behind all sinks of a commit.
pub const SINKS: [&str; 4] = [
    "sink.lines-written",
    "sink.mark-written",
    "sink.mark-renamed",
    "sinks.written",
];

/// Around the write of a sink that is a table, and behind all sinks of a commit.
pub const TABLE: [&str; 3] = ["table.before", "table.written", "sinks.written"];

/// Between the steps of a transaction of a sink that is a topic, and behind all sinks of a commit.
pub const TOPIC: [&str; 4] = ["topic.sent", "topic.marked", "topic.committed", "sinks.written"];

/// Every point between two writes of a bulk run, from its first file to its manifest, in their order.
pub const BULK: [&str; 10] = [
    "run.created",
    "run.written",
    "run.synced",
    "run.renamed",
    "run.durable",
    "entry.written",
    "entry.synced",
    "entry.linked",
    "entry.tidied",
    "entry.durable",
];

/// Behind the publish of a bulk run: its report, and every file that goes. (Runs that are merged pass those of
/// [`BULK`] again.)
pub const UPKEEP: [&str; 8] = [
    "file.created",
    "file.written",
    "file.synced",
    "file.renamed",
    "file.durable",
    "gc.manifest",
    "gc.run",
    "discard.renamed",
];

/// The same for an object store.
pub const REMOTE: [&str; 4] = ["object.encoded", "object.put", "object.checked", "object.created"];

/// The process is at a point. Nothing is flushed or dropped when it ends there.
#[cfg(feature = "testing")]
pub fn reach(point: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static CHOSEN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static TIMES: AtomicU64 = AtomicU64::new(0);
    let chosen = CHOSEN.get_or_init(|| {
        let text = std::env::var(VARIABLE).ok()?;
        let (point, time) = text.split_once(':').unwrap_or((&text, "1"));
        Some((point.to_string(), time.parse().ok()?))
    });
    if let Some((at, time)) = chosen
        && at == point
        && TIMES.fetch_add(1, Relaxed) + 1 == *time
    {
        std::process::abort();
    }
}

/// The process is at a point.
#[cfg(not(feature = "testing"))]
#[inline(always)]
pub fn reach(_: &str) {}
