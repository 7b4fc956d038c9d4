//! A sink that is a table: rows and mark change in one write of the place that keeps it (O23).

use std::collections::BTreeMap;
use std::sync::Arc;

use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::table::{Append, TableFace, TableRow};
use rufous_store_api::{Hole, TableStore};

use crate::sinks::{SinkWrite, SinkWriter};

/// A table of a place as a sink.
pub struct TableSink {
    tables: Arc<dyn TableStore>,
    table: TableFace,
    /// The epochs of what this writes.
    claims: BTreeMap<SourcePartition, u64>,
}

impl TableSink {
    /// This table of that place.
    pub fn new(tables: Arc<dyn TableStore>, table: TableFace) -> Self {
        Self {
            tables,
            table,
            claims: BTreeMap::new(),
        }
    }

    /// Calls `f` with the claim of `p`, which is given up if it does not end well: nobody knows what is there then.
    fn holding(&mut self, p: &SourcePartition, f: impl FnOnce(&Self, u64) -> Result<()>) -> Result<()> {
        let Some(epoch) = self.claims.remove(p) else {
            return Err(Error::try_again(format!("the last write of {p} did not end well")));
        };
        f(self, epoch)?;
        self.claims.insert(p.clone(), epoch);
        Ok(())
    }
}

impl SinkWriter for TableSink {
    fn location(&self) -> String {
        format!("table `{}` of {}", self.table.sink, self.tables.location())
    }
    fn open(&mut self, p: &SourcePartition, start: u64, _state: u64) -> Result<Option<u64>> {
        self.claims.remove(p);
        let claim = self.tables.claim(&self.table, p, start)?;
        self.claims.insert(p.clone(), claim.epoch);
        Ok(Some(claim.mark))
    }
    fn write(&mut self, write: &SinkWrite<'_>) -> Result<()> {
        let rows: Vec<_> = { write.rows.iter() }
            .map(|row| TableRow {
                offset: row.offset,
                number: row.number,
                value: row.bytes,
            })
            .collect();
        self.holding(write.partition, |this, epoch| {
            this.tables.append(
                &this.table,
                &Append {
                    partition: write.partition,
                    epoch,
                    from: write.mark,
                    to: write.to,
                    rows: &rows,
                },
            )
        })
    }
    fn pass(&mut self, p: &SourcePartition, hole: &Hole) -> Result<()> {
        self.holding(p, |this, epoch| this.tables.pass(&this.table, p, epoch, hole))
    }
    fn close(&mut self, p: &SourcePartition) {
        self.claims.remove(p);
    }
}
