//! Tables of written records in maps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rufous_core::rules::{Rule, kept};
use rufous_core::{Error, Result, SourcePartition};
use rufous_store_api::table::{Append, Claim, EachRow, TableFace, TableMark, TableReader, TableStore};
use rufous_store_api::{Hole, WrittenId};

/// The schema text and the bytes of a record.
type Row = (String, Vec<u8>);

#[derive(Clone, Default)]
struct Table {
    marks: BTreeMap<SourcePartition, TableMark>,
    rows: BTreeMap<WrittenId, Row>,
}

/// Tables in maps. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryTables {
    tables: Arc<Mutex<BTreeMap<String, Table>>>,
}

impl MemoryTables {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Table>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(
        &self,
        table: &TableFace,
        p: &SourcePartition,
        next: impl FnOnce(&TableMark) -> Result<TableMark>,
        rows: impl Iterator<Item = (WrittenId, Row)>,
    ) -> Result<()> {
        let mut tables = self.lock();
        let known = tables.get_mut(&table.sink);
        let Some((of, known)) = known.and_then(|t| Some((t.marks.get(p)?.clone(), t))) else {
            return Err(Error::closed(format!("sink `{}`: {p} was not claimed", table.sink)));
        };
        let next = next(&of)?;
        known.marks.insert(p.clone(), next);
        known.rows.extend(rows);
        Ok(())
    }
}

impl TableReader for MemoryTables {
    fn location(&self) -> String {
        "memory".into()
    }
    fn marks(&self, sink: &str) -> Result<Vec<(SourcePartition, TableMark)>> {
        let marks = self.lock().get(sink).map(|t| t.marks.clone()).unwrap_or_default();
        Ok(marks.into_iter().collect())
    }
    fn rows(&self, sink: &str, from: Option<&WrittenId>, each: EachRow<'_>) -> Result<()> {
        let rows = self.lock().get(sink).map(|t| t.rows.clone()).unwrap_or_default();
        for (id, (schema, value)) in rows.iter().filter(|(id, _)| from.is_none_or(|from| *id >= from)) {
            if !each(id, schema, value)? {
                break;
            }
        }
        Ok(())
    }
}

impl TableStore for MemoryTables {
    fn claim(&self, table: &TableFace, p: &SourcePartition, start: u64) -> Result<Claim> {
        let mut tables = self.lock();
        let known = tables.entry(table.sink.clone()).or_default();
        if let Some(other) = known.marks.values().next() {
            other.check_owner(table, &"memory")?;
        }
        let mark = known
            .marks
            .entry(p.clone())
            .or_insert_with(|| TableMark::begun(table, start));
        if kept(Rule::SinkFence) {
            mark.epoch += 1;
        }
        Ok(Claim {
            epoch: mark.epoch,
            mark: mark.mark,
        })
    }
    fn append(&self, table: &TableFace, append: &Append<'_>) -> Result<()> {
        let rows = append.rows.iter().map(|row| {
            let id = WrittenId::of(append.partition, row.offset, row.number);
            (id, (table.schema.clone(), row.value.to_vec()))
        });
        self.change(table, append.partition, |mark| mark.advanced(append), rows)
    }
    fn pass(&self, table: &TableFace, p: &SourcePartition, epoch: u64, hole: &Hole) -> Result<()> {
        self.change(table, p, |mark| mark.passed(p, epoch, hole), std::iter::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model of tables passes what every place of tables must.
    #[test]
    fn conforms() {
        let places: Mutex<BTreeMap<String, MemoryTables>> = Mutex::default();
        rufous_store_api::conformance::tables(&|place| {
            let mut places = places.lock().unwrap();
            Arc::new(places.entry(place.to_string()).or_default().clone())
        });
    }
}
