//! Records outside the window of a run: left out after they are decoded, where nothing that a file notes left them out before.

use rufous_core::{ColumnBatch, ColumnData, Error, Format, Result, SourceFace, Timestamp};
use rufous_store_api::Window;

use super::{Care, Decoded, Given, Place, Worker, meta, row_of};
use crate::columns::{FileReader, Times};

impl Worker<'_> {
    /// The pages of a row group that may hold records of a window.
    pub(super) fn row_group_within(
        &mut self,
        (source, partition): (u32, u32),
        reader: &FileReader,
        group: usize,
        window: &Window,
        care: Care,
    ) -> Result<()> {
        let face = self.work.plan.sources().get(source as usize);
        let noted = face.and_then(|face| Some((face, face.time_field?)));
        let times = noted.map_or(Times::Unknown, |(_, field)| reader.times(field));
        reader.read_within(group, &times, window, &mut |columns, rows| {
            let chunk = self.decode(source, Format::JsonLines, Given::Columns(columns), care)?;
            let place = |i: usize| {
                let row = rows.get(i).copied().unwrap_or_default();
                format!("{}, row group {group}, row {row}", reader.name())
            };
            if let Some((face, field)) = noted {
                honest(face, field, columns, &chunk.times).map_err(|(i, e)| e.at(place(i)))?;
            }
            let from = Place::Rows(partition, &|i| row_of(group, rows.get(i).copied().unwrap_or_default()));
            self.bounded(chunk, &meta(source), from, place)
        })
    }
}

/// The time of every record is what the field holds that is said to be it: else what a file notes of that field would leave out
/// records of the window.
fn honest(
    face: &SourceFace,
    field: &str,
    columns: &ColumnBatch,
    times: &[Option<Timestamp>],
) -> Result<(), (usize, Error)> {
    let number = face.fields.unwrap_or_default().iter().position(|f| f.name == field);
    let Some(column) = number.and_then(|n| columns.columns.get(n)) else {
        return Ok(());
    };
    let (ColumnData::Time(held) | ColumnData::Integer(held)) = &column.data else {
        return Ok(());
    };
    for (i, (held, time)) in held.iter().zip(times).enumerate() {
        let is_null = column.valid.as_ref().is_some_and(|valid| valid.get(i) == Some(&false));
        if let Some(time) = time.filter(|time| !is_null && time.0 != *held) {
            let e = Error::invalid(format!(
                "the event time of source `{}` is {time}, its field `{field}` holds {}, and `time_field` says that they are one: \
                 return the field in `timed_by` as it is, or take `time_field` away",
                face.name,
                Timestamp(*held)
            ));
            return Err((i, e));
        }
    }
    Ok(())
}

impl Decoded {
    /// Leaves out the records outside a window; returns how many they are. Bad ones are none of them: they have no time.
    pub(super) fn leave_out(&mut self, window: &Window) -> u64 {
        let mut outside = 0;
        for (i, time) in self.times.iter().enumerate() {
            if time.is_some_and(|time| window.contains(time)) || self.bad.binary_search_by_key(&i, |b| b.entry).is_ok()
            {
                continue;
            }
            self.poison.push(i);
            outside += 1;
        }
        self.poison.sort_unstable();
        outside
    }
}
