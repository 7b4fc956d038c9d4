//! A place of sinks in memory: what was written, each record with its id. A second record of an id is an error, and so is one that
//! does not come in order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rufous_core::testing::{Case, SinkPort};
use rufous_core::{Error, Promise, Result, SourcePartition};
use rufous_realtime::{BoundSink, SinkWrite, SinkWriter};
use rufous_store_api::Hole;

#[derive(Default)]
struct State {
    marks: BTreeMap<SourcePartition, u64>,
    rows: BTreeMap<(SourcePartition, u64, u64), String>,
}

/// The records of one sink.
#[derive(Clone, Default)]
pub(super) struct Place(Arc<Mutex<State>>);

impl Place {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// A place for each sink of a case.
    pub(super) fn of(case: &Case) -> Vec<(SinkPort, Self)> {
        case.sinks().iter().map(|port| (*port, Self::default())).collect()
    }
    pub(super) fn bind(&self, port: SinkPort) -> BoundSink {
        BoundSink {
            name: port.name(),
            encode: port.encode(),
            promise: Promise::ExactlyOnce,
            writer: Box::new(self.clone()),
        }
    }
    /// The records, each with how often it was written.
    pub(super) fn records(&self) -> BTreeMap<String, u64> {
        let mut records = BTreeMap::new();
        for text in self.lock().rows.values() {
            *records.entry(text.clone()).or_default() += 1;
        }
        records
    }
}

impl SinkWriter for Place {
    fn location(&self) -> String {
        "memory".into()
    }
    fn open(&mut self, p: &SourcePartition, start: u64, _: u64) -> Result<Option<u64>> {
        Ok(Some(*self.lock().marks.entry(p.clone()).or_insert(start)))
    }
    fn write(&mut self, write: &SinkWrite<'_>) -> Result<()> {
        let mut state = self.lock();
        for row in write.rows {
            let id = (write.partition.clone(), row.offset, row.number);
            let newest = state
                .rows
                .range(..(write.partition.clone(), u64::MAX, u64::MAX))
                .next_back();
            if newest.is_some_and(|(before, _)| before.0 == id.0 && *before >= id) {
                return Err(Error::bug(format!(
                    "{} does not come in order, or twice",
                    row.id("sink", &id.0)
                )));
            }
            state.rows.insert(id, String::from_utf8_lossy(row.bytes).into_owned());
        }
        state.marks.insert(write.partition.clone(), write.to);
        Ok(())
    }
    fn pass(&mut self, p: &SourcePartition, hole: &Hole) -> Result<()> {
        self.lock().marks.insert(p.clone(), hole.to);
        Ok(())
    }
    fn close(&mut self, _: &SourcePartition) {}
}
