//! The page of metrics says what the program writes, and what it writes can be read again.

use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::core::{BatchId, Timestamp};

/// The table of `METRICS.md`, as the families say it.
fn table() -> String {
    let mut table = String::from("| name | type | labels | meaning |\n|---|---|---|---|\n");
    for f in families::all() {
        let kind = format!("{:?}", f.kind).to_lowercase();
        let labels: Vec<_> = f.labels.iter().map(|l| format!("`{l}`")).collect();
        let line = format!("| `{}` | {kind} | {} | {} |\n", f.name, labels.join(", "), f.help);
        table.push_str(&line.replace("|  |", "| |"));
    }
    table
}

/// Golden: names, types, labels and texts are what dashboards and alerts rest on. Who changes one changes the page.
#[test]
fn the_page_lists_every_metric() {
    let page = include_str!("METRICS.md");
    let at = page.find("| name |").expect("a table");
    assert_eq!(page[at..], table());
    for f in families::all() {
        assert_eq!(f.kind == Kind::Counter, f.name.ends_with("_total"), "{}", f.name);
    }
}

fn view() -> Arc<View> {
    Arc::new(View {
        job: "word-count".into(),
        instance: "main".into(),
        fingerprint: "f00".into(),
        stream: Some(Arc::default()),
        archive: None,
        reconciled: Arc::default(),
        limits: Limits::default(),
        store: OnceLock::new(),
    })
}

/// What is counted comes out under its name and labels; buckets are cumulative and end at infinity; label values are escaped.
#[test]
fn what_is_counted_is_written() {
    let view = view();
    let stream = view.stream.clone().unwrap();
    let source = stream.source("li\"nes");
    source.records.store(12, Relaxed);
    let p = source.partition(3);
    p.acquired(10, 30);
    p.at(20, 40);
    p.runs(BatchId(2), Some(Timestamp(7_200_000)));
    source.partition(4);
    source.owns([3].into_iter());
    for ms in [1, 3, 40_000] {
        stream.commit_seconds.observe(std::time::Duration::from_millis(ms));
    }
    stream.steps.lock().unwrap().insert("words".into(), 5);
    let text = view.scrape().unwrap();
    for line in [
        "rufous_job_info{name=\"word-count\",instance=\"main\",fingerprint=\"f00\",version=\"0.1.0\"} 1",
        "# TYPE rufous_stream_records counter",
        "# HELP rufous_stream_records records read",
        "rufous_stream_records_total{source=\"li\\\"nes\"} 12",
        "rufous_partition_lag_records{source=\"li\\\"nes\",partition=\"3\"} 30",
        "rufous_partition_owned{source=\"li\\\"nes\",partition=\"4\"} 0",
        "rufous_partition_replay_ratio{source=\"li\\\"nes\",partition=\"3\"} 0.5",
        "rufous_partition_running_batch_start_timestamp_seconds{source=\"li\\\"nes\",partition=\"3\"} 7200.0",
        "rufous_commit_seconds_count 3",
        "rufous_commit_seconds_bucket{le=\"0.001\"} 1",
        "rufous_commit_seconds_bucket{le=\"0.005\"} 2",
        "rufous_commit_seconds_bucket{le=\"+Inf\"} 3",
        "rufous_step_records_total{step=\"words\"} 5",
        "rufous_healthy 1",
        "rufous_ready 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|l| l == line), "no line `{line}` in:\n{text}");
    }
    assert!(!text.contains("rufous_partition_lag_records{source=\"li\\\"nes\",partition=\"4\"}"));
    assert!(!text.contains("rufous_archive"), "this process does not archive");
    assert!(!text.contains("rufous_store"), "no store is open");
}

/// A store without cells in which damage was seen.
struct Damaged(rufous_store_memory::MemoryRealtime);

impl crate::store_api::RealtimeReader for Damaged {
    fn snapshot(&self) -> Result<Box<dyn crate::store_api::Snapshot>> {
        Err(Error::corrupt("a block has another checksum"))
    }
}

impl RealtimeStore for Damaged {
    fn acquire(
        &self,
        store: &str,
        p: &crate::core::SourcePartition,
        repair: &mut dyn FnMut(Option<&crate::store_api::Progress>) -> Result<crate::store_api::Repair>,
    ) -> Result<crate::store_api::Progress> {
        self.0.acquire(store, p, repair)
    }
    fn commit(&self, commit: &crate::store_api::Commit<'_>) -> Result<crate::store_api::Committed> {
        self.0.commit(commit)
    }
    fn drop_below(&self, p: &crate::core::SourcePartition, batch: BatchId) -> Result<()> {
        self.0.drop_below(p, batch)
    }
    fn stats(&self) -> Result<Option<StoreStats>> {
        Ok(Some(StoreStats {
            damaged: true,
            ..StoreStats::default()
        }))
    }
}

/// Row 11 of the fault table: a stream without news commits nothing, and would not meet the damage that its readers met.
/// Nothing is ready whose answers are refused.
#[test]
fn damaged_state_is_not_ready() {
    let view = view();
    let stream = view.stream.clone().unwrap();
    stream.opened.store(true, Relaxed);
    assert_eq!(view.unready(), []);
    let store: Arc<dyn RealtimeStore> = Arc::new(Damaged(rufous_store_memory::MemoryRealtime::new("f00", &[])));
    view.store.set(Arc::downgrade(&store)).unwrap();
    let reasons = view.unready();
    assert!(
        reasons.len() == 1 && reasons[0].awaits.contains("rebuild"),
        "{reasons:?}"
    );
    assert_eq!(view.stalled(), [], "a restart does not help");
    assert!(view.scrape().unwrap().contains("rufous_ready 0"));
}
