//! Scans: a cursor in the snapshot's transaction, read page by page.

use rufous_core::{BatchId, Error, Result};
use rufous_store_api::Cell;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{PostgresSnapshot, Reading};
use crate::column::Column;
use crate::shape::HEAD;

/// Rows that are fetched at once: few where values are large.
const PAGES: [usize; 3] = [64, 1024, 8192];
/// What a page should come to.
const PAGE_BYTES: usize = 1 << 20;

impl PostgresSnapshot {
    /// Runs a cursor over rows of (place of the range, batch, part, key, long key, value), and gives them on in order.
    pub(super) fn each(
        &self,
        reading: &Reading<'_>,
        select: String,
        params: Vec<Column>,
        wanted: &dyn Fn(usize, &[u8]) -> bool,
        f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        let depth = self.depth.get();
        let cursor = format!("c{}_{depth}", reading.store.id);
        let what = format!("reading store `{}`", reading.store.face.name);
        let declare = format!("DECLARE {cursor} NO SCROLL CURSOR FOR {select}");
        self.with(&what, move |session| async move {
            let all: Vec<_> = params
                .iter()
                .map(|p| p as &(dyn tokio_postgres::types::ToSql + Sync))
                .collect();
            let done = session.once(&declare, &all).await.map(drop);
            (session, done)
        })?;
        self.depth.set(depth + 1);
        let done = self.pages(reading, &cursor, &what, wanted, f);
        self.depth.set(depth);
        let close = format!("CLOSE {cursor}");
        // The first error is the one to tell.
        let closed = if self.session.borrow().is_some() {
            self.with(&what, move |session| async move {
                let done = session.batch(&close).await;
                (session, done)
            })
        } else {
            Ok(())
        };
        done.and(closed)
    }

    fn pages(
        &self,
        reading: &Reading<'_>,
        cursor: &str,
        what: &str,
        wanted: &dyn Fn(usize, &[u8]) -> bool,
        f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        let mut group = Group {
            place: 0,
            batch: BatchId::MIN,
            beginning: Vec::new(),
            cells: Vec::new(),
        };
        let mut page = 0;
        loop {
            let size = PAGES.get(page).copied().unwrap_or(PAGES[0]);
            let fetch = format!("FETCH {size} FROM {cursor}");
            let rows = self.with(what, move |session| async move {
                let rows = session.query(&fetch, &[]).await;
                (session, rows)
            })?;
            let mut bytes = 0;
            for row in &rows {
                bytes += self.take(reading, row, wanted, &mut group, f)?;
            }
            if rows.len() < size {
                return group.flush(f);
            }
            page = if bytes > PAGE_BYTES {
                page.saturating_sub(1)
            } else {
                (page + 1).min(PAGES.len() - 1)
            };
        }
    }

    /// One row; how many bytes it had.
    fn take(
        &self,
        reading: &Reading<'_>,
        row: &Row,
        wanted: &dyn Fn(usize, &[u8]) -> bool,
        group: &mut Group,
        f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>,
    ) -> Result<usize> {
        let (place, cell) = self.read(reading, row, 0)?;
        let failed =
            |e: tokio_postgres::Error| Error::corrupt(format!("a cell's key cannot be read: {e}")).caused_by(e);
        let key: &[u8] = row.try_get(4).map_err(failed)?;
        let long: Option<&[u8]> = row.try_get(5).map_err(failed)?;
        let whole = long.unwrap_or(key);
        let bytes = whole.len() + cell.as_ref().map_or(0, |c| c.value.len());
        let Some(cell) = cell.filter(|_| wanted(place, whole)) else {
            return Ok(bytes);
        };
        let beginning = key.get(..HEAD).unwrap_or(key);
        if group.place != place || group.batch != cell.batch || group.beginning != beginning {
            group.flush(f)?;
            group.place = place;
            group.batch = cell.batch;
            group.beginning.clear();
            group.beginning.extend_from_slice(beginning);
        }
        group.cells.push((whole.to_vec(), cell));
        Ok(bytes)
    }

    /// (place, batch, part, value) from these columns on; no cell: its partition is not there any more, or does not reach so far.
    pub(super) fn read(&self, reading: &Reading<'_>, row: &Row, at: usize) -> Result<(usize, Option<Cell>)> {
        let store = reading.store.face.name;
        let failed = |e: tokio_postgres::Error| {
            Error::corrupt(format!("store `{store}`: a cell cannot be read: {e}")).caused_by(e)
        };
        let place: i64 = row.try_get(at).map_err(failed)?;
        let place = usize::try_from(place - 1).map_err(|_| Error::bug("an ordinal below 1"))?;
        let (batch, part): (i64, i32) = (
            row.try_get(at + 1).map_err(failed)?,
            row.try_get(at + 2).map_err(failed)?,
        );
        let batch = BatchId(batch);
        let Some((partition, _)) = reading.places.get(&part).filter(|(_, floor)| batch >= *floor) else {
            return Ok((place, None));
        };
        let value = reading.store.shape.value_of(row, at + 3);
        let value = value
            .map_err(|e| Error::corrupt(format!("store `{store}`, batch {}: a cell is no value: {e}", batch.0)))?;
        let partition = *partition;
        Ok((
            place,
            Some(Cell {
                partition,
                batch,
                value,
            }),
        ))
    }

    /// Cells whose heads lie between bounds, which the index finds batch by batch.
    pub(super) fn narrow(
        &self,
        reading: &Reading<'_>,
        bounds: &[(Vec<u8>, Vec<u8>)],
        wanted: &dyn Fn(usize, &[u8]) -> bool,
        f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>,
    ) -> Result<()> {
        if bounds.is_empty() || reading.batches.is_empty() {
            return Ok(());
        }
        let (mut starts, mut ends) = (Column::new(Type::BYTEA), Column::new(Type::BYTEA));
        let mut batches = Column::new(Type::INT8);
        for (start, end) in bounds {
            starts.raw(start);
            ends.raw(end);
        }
        reading.batches.iter().for_each(|b| batches.int8(b.0));
        let select = format!(
            "SELECT r.n, c.batch, c.part, c.value, c.key, c.long_key \
             FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY r(a, b, n) CROSS JOIN unnest($3::int8[]) x(batch) CROSS JOIN LATERAL \
             (SELECT * FROM {}.cells_{} c WHERE c.batch = x.batch AND c.key >= r.a AND c.key < r.b OFFSET 0) c ORDER BY r.n, c.batch, c.key",
            self.core.db.schema(),
            reading.store.id
        );
        self.each(reading, select, vec![starts, ends, batches], wanted, f)
    }
}

/// Cells that may have to change places: of one range and batch, whose keys begin alike. Partitions are not ordered in the table, and
/// long keys not behind their beginnings.
struct Group {
    place: usize,
    batch: BatchId,
    beginning: Vec<u8>,
    cells: Vec<(Vec<u8>, Cell)>,
}

impl Group {
    fn flush(&mut self, f: &mut dyn FnMut(usize, &[u8], Cell) -> Result<()>) -> Result<()> {
        if self.cells.len() > 1 {
            self.cells
                .sort_by(|a, b| (&a.0, a.1.partition).cmp(&(&b.0, b.1.partition)));
        }
        for (key, cell) in self.cells.drain(..) {
            f(self.place, &key, cell)?;
        }
        Ok(())
    }
}

/// The first bytes that no head begins with which begins with these.
pub(super) fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut prefix = prefix.get(..HEAD).unwrap_or(prefix).to_vec();
    while let Some(last) = prefix.pop() {
        if last < 0xff {
            prefix.push(last + 1);
            return prefix;
        }
    }
    vec![0xff; 2 * HEAD]
}
