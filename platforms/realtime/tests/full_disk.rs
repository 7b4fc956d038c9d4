//! Row 12: the disk is full at the moment in which partitions are acquired anew. The job pauses; it does not end.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rufous_core::{BatchId, Error, Format, RecordBatch, Result, SourcePartition};
use rufous_realtime::{BoundLog, Log, PartitionInfo, Polled};
use rufous_store_api::{Commit, Committed, Progress, RealtimeReader, RealtimeStore, Repair, Snapshot};
use rufous_store_memory::MemoryRealtime;
use support::{Bed, ListLog, Rec, count_lines, counted, lists};

/// Takes no row from its second acquisition on, a few times.
struct Full {
    inner: MemoryRealtime,
    acquired: AtomicUsize,
}

impl RealtimeReader for Full {
    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.inner.snapshot()
    }
}

impl RealtimeStore for Full {
    fn acquire(
        &self,
        store: &str,
        p: &SourcePartition,
        repair: &mut dyn FnMut(Option<&Progress>) -> Result<Repair>,
    ) -> Result<Progress> {
        match self.acquired.fetch_add(1, Relaxed) {
            1..4 => Err(Error::try_again("no space left on device")),
            _ => self.inner.acquire(store, p, repair),
        }
    }
    fn commit(&self, commit: &Commit<'_>) -> Result<Committed> {
        self.inner.commit(commit)
    }
    fn drop_below(&self, p: &SourcePartition, batch: BatchId) -> Result<()> {
        self.inner.drop_below(p, batch)
    }
}

/// Says once that records were lost, before any was read twice or passed.
struct Loses {
    inner: ListLog,
    polls: usize,
}

impl Log for Loses {
    fn location(&self) -> String {
        self.inner.location()
    }
    fn format(&self) -> Format {
        self.inner.format()
    }
    fn has_time(&self) -> bool {
        self.inner.has_time()
    }
    fn partitions(&mut self) -> Result<Vec<PartitionInfo>> {
        self.inner.partitions()
    }
    fn assign(&mut self, positions: &[(u32, u64)]) -> Result<()> {
        self.inner.assign(positions)
    }
    fn poll(&mut self, timeout: Duration, into: &mut RecordBatch) -> Result<Polled> {
        self.polls += 1;
        if self.polls == 3 {
            return Ok(Polled::Lost { partition: 0, start: 0 });
        }
        self.inner.poll(timeout, into)
    }
}

#[test]
fn a_full_disk_pauses_an_acquisition() {
    let plan = count_lines();
    let words: Vec<_> = ["a", "b", "c"].into_iter().cycle().take(60).collect();
    let log = lists(vec![words.iter().map(|w| Rec::text(w)).collect()]);
    let mut bed = Bed::new(&plan);
    bed.options.longest_pause = Duration::from_millis(50);
    let store = Arc::new(Full {
        inner: bed.memory.clone(),
        acquired: AtomicUsize::new(0),
    });
    let loses = Loses {
        inner: ListLog::new(&log, 7),
        polls: 0,
    };
    let logs = vec![BoundLog::new("lines", Box::new(loses))];
    bed.run_on(&plan, store.clone(), logs).unwrap();
    assert!(store.acquired.load(Relaxed) > 4, "no acquisition failed");
    assert_eq!(bed.sums(&plan), counted(words));
}
