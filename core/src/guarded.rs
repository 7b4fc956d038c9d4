//! A decoder whose user functions may panic: `timed_by`, and the conversion of a record's fields. A record that makes them
//! panic is a bad record in every layer. It must be one here and not further up: the time of a record decides its batch where
//! the event clock cuts, so stream, archive and bulk runs have to judge it alike (P1: it takes the running batch).

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use crate::columns::{Column, ColumnBatch, ColumnData};
use crate::decode::{BadRecord, Format, SourceDecoder};
use crate::error::Result;
use crate::log::RecordBatch;
use crate::panics::catch;
use crate::time::Timestamp;

/// Makes decoders of a format.
pub(crate) type MakeDecoder = Arc<dyn Fn(Format) -> Result<Box<dyn SourceDecoder>> + Send + Sync>;

/// Finds the records that make the decoder panic, and decodes the others.
pub(crate) struct Guarded {
    inner: Box<dyn SourceDecoder>,
    make: MakeDecoder,
    format: Format,
    /// After a panic: the records that the decoder got, of those it was given. Empty: all of them.
    kept: Vec<usize>,
    filtered: bool,
}

impl Guarded {
    pub(crate) fn new(make: MakeDecoder, format: Format) -> Result<Self> {
        Ok(Self {
            inner: make(format)?,
            make,
            format,
            kept: Vec::new(),
            filtered: false,
        })
    }

    /// Decodes again without the records that panic alone; `take` makes a batch of some of them.
    #[cold]
    fn one_by_one<B>(
        &mut self,
        records: usize,
        take: impl Fn(&[usize]) -> B,
        decode: impl Fn(&mut dyn SourceDecoder, &B, &mut Vec<Option<Timestamp>>, &mut Vec<BadRecord>) -> Result<()>,
        times: &mut Vec<Option<Timestamp>>,
        bad: &mut Vec<BadRecord>,
    ) -> Result<()> {
        let known = bad.len();
        let (mut some, mut their_bad) = (Vec::new(), Vec::new());
        self.kept.clear();
        self.filtered = true;
        for entry in 0..records {
            let one = take(&[entry]);
            match catch(|| decode(&mut *self.inner, &one, &mut some, &mut their_bad)) {
                Ok(done) => {
                    done?;
                    self.kept.push(entry);
                }
                Err(panicked) => {
                    self.inner = (self.make)(self.format)?;
                    bad.push(BadRecord {
                        entry,
                        reason: panicked.to_string(),
                    });
                }
            }
        }
        loop {
            let rest = take(&self.kept);
            their_bad.clear();
            match catch(|| decode(&mut *self.inner, &rest, &mut some, &mut their_bad)) {
                Ok(done) => break done?,
                // Alone none of them panics: the function is not pure. Nobody can say which one it is, so all of them are bad;
                // the loop ends, because there is nothing left that could panic.
                Err(panicked) => {
                    self.inner = (self.make)(self.format)?;
                    bad.extend(self.kept.drain(..).map(|entry| BadRecord {
                        entry,
                        reason: format!("{panicked} (in a chunk of records, though not when it is read alone)"),
                    }));
                }
            }
        }
        times.clear();
        times.resize(records, None);
        for (entry, time) in self.kept.iter().zip(&some) {
            times[*entry] = *time;
        }
        bad.extend(their_bad.into_iter().filter_map(|b| {
            self.kept.get(b.entry).map(|&entry| BadRecord {
                entry,
                reason: b.reason,
            })
        }));
        if let Some(new) = bad.get_mut(known..) {
            new.sort_by_key(|b| b.entry);
        }
        Ok(())
    }
}

impl SourceDecoder for Guarded {
    fn decode(&mut self, records: &RecordBatch, times: &mut Vec<Option<Timestamp>>, bad: &mut Vec<BadRecord>) {
        self.filtered = false;
        let known = bad.len();
        if catch(|| self.inner.decode(records, times, bad)).is_ok() {
            return;
        }
        bad.truncate(known);
        let take = |entries: &[usize]| match entries {
            // One by one: the bytes of all the others are not copied each time.
            [one] => alone(records, *one),
            _ => {
                let mut some = records.clone();
                some.entries = entries.iter().map(|&i| records.entries[i]).collect();
                some
            }
        };
        let again = self.one_by_one(
            records.entries.len(),
            take,
            |decoder, batch, times, bad| {
                decoder.decode(batch, times, bad);
                Ok(())
            },
            times,
            bad,
        );
        if let Err(e) = again {
            // Only a decoder that could be made before and cannot be made now: nothing of the chunk can be read.
            self.kept.clear();
            bad.truncate(known);
            let entries = 0..records.entries.len();
            bad.extend(entries.map(|entry| BadRecord {
                entry,
                reason: e.to_string(),
            }));
            times.clear();
            times.resize(records.entries.len(), None);
        }
    }

    fn decode_columns(
        &mut self,
        columns: &ColumnBatch,
        times: &mut Vec<Option<Timestamp>>,
        bad: &mut Vec<BadRecord>,
    ) -> Result<()> {
        self.filtered = false;
        let known = bad.len();
        if let Ok(done) = catch(|| self.inner.decode_columns(columns, times, bad)) {
            return done;
        }
        bad.truncate(known);
        self.one_by_one(
            columns.rows,
            |rows| rows_of(columns, rows),
            |decoder, batch, times, bad| decoder.decode_columns(batch, times, bad),
            times,
            bad,
        )
    }

    fn chunk(&mut self, range: Range<usize>) -> &mut dyn Any {
        if !self.filtered {
            return self.inner.chunk(range);
        }
        let from = self.kept.partition_point(|&i| i < range.start);
        let to = self.kept.partition_point(|&i| i < range.end);
        self.inner.chunk(from..to)
    }
}

/// A batch of one record, with its own bytes.
fn alone(records: &RecordBatch, entry: usize) -> RecordBatch {
    let mut one = RecordBatch {
        partition: records.partition,
        next: records.next,
        ..RecordBatch::default()
    };
    let e = records.entries[entry];
    let parts = [records.value(&e), records.key(&e), records.headers(&e)];
    let [value, key, headers] = parts.map(|part| part.map_or(crate::log::Span::NONE, |bytes| one.push_bytes(bytes)));
    one.entries.push(crate::log::Entry {
        value,
        key,
        headers,
        ..e
    });
    one
}

/// Some rows of a batch of columns.
fn rows_of(columns: &ColumnBatch, rows: &[usize]) -> ColumnBatch {
    fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
        rows.iter().filter_map(|&i| values.get(i).copied()).collect()
    }
    let of = |c: &Column| Column {
        data: match &c.data {
            ColumnData::Missing => ColumnData::Missing,
            ColumnData::Bool(v) => ColumnData::Bool(pick(v, rows)),
            ColumnData::Integer(v) => ColumnData::Integer(pick(v, rows)),
            ColumnData::Unsigned(v) => ColumnData::Unsigned(pick(v, rows)),
            ColumnData::Float(v) => ColumnData::Float(pick(v, rows)),
            ColumnData::Time(v) => ColumnData::Time(pick(v, rows)),
            ColumnData::Text { text, ends } => {
                let (mut some, mut some_ends) = (String::new(), Vec::new());
                for &i in rows {
                    let from = i.checked_sub(1).and_then(|i| ends.get(i)).copied().unwrap_or(0);
                    some.push_str(ends.get(i).and_then(|to| text.get(from..*to)).unwrap_or_default());
                    some_ends.push(some.len());
                }
                ColumnData::Text {
                    text: some,
                    ends: some_ends,
                }
            }
        },
        valid: c.valid.as_ref().map(|v| pick(v, rows)),
    };
    ColumnBatch {
        columns: columns.columns.iter().map(of).collect(),
        rows: rows.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Chunk as _;
    use crate::log::{Entry, Span};
    use crate::{Source, SourceFace, TextChunk};

    fn batch(lines: &[&str]) -> RecordBatch {
        let mut records = RecordBatch::default();
        for (i, line) in lines.iter().enumerate() {
            let value = records.push_bytes(line.as_bytes());
            records.entries.push(Entry::plain(i as u64, value));
        }
        records.entries.push(Entry {
            heartbeat: true,
            ..Entry::plain(lines.len() as u64, Span::NONE)
        });
        records
    }

    /// Row 16, P1: a `timed_by` that panics makes its record bad and leaves all others as they are, in any piece.
    #[test]
    fn a_time_that_panics_is_a_bad_record() {
        const LINES: Source<str> = Source::new("lines")
            .timed_by(|line| Timestamp(line.parse().unwrap_or_else(|_| panic!("no number: {line}"))));
        let mut decoder = SourceFace::of(LINES).decoder(Format::Text).unwrap();
        let (mut times, mut bad) = (Vec::new(), Vec::new());
        decoder.decode(&batch(&["1", "x", "3", "y", "5"]), &mut times, &mut bad);
        assert_eq!(
            times.iter().map(|t| t.map(|t| t.0)).collect::<Vec<_>>(),
            [Some(1), None, Some(3), None, Some(5), None]
        );
        let reasons: Vec<_> = bad.iter().map(|b| (b.entry, b.reason.as_str())).collect();
        assert_eq!(
            reasons,
            [
                (1, "the job's function panicked: no number: x"),
                (3, "the job's function panicked: no number: y")
            ]
        );
        let mut read = Vec::new();
        for range in [0..2, 2..3, 3..6] {
            let chunk = decoder.chunk(range).downcast_ref::<TextChunk>().unwrap();
            read.push(chunk.iter_from(0).map(String::from).collect::<Vec<_>>());
        }
        assert_eq!(read, [vec!["1"], vec!["3"], vec!["5"]]);
        // The next batch is whole again.
        bad.clear();
        decoder.decode(&batch(&["7", "8"]), &mut times, &mut bad);
        assert!(bad.is_empty());
        let chunk = decoder.chunk(0..3).downcast_ref::<TextChunk>().unwrap();
        assert_eq!(chunk.iter_from(0).collect::<Vec<_>>(), ["7", "8"]);
    }

    /// Rows of columns, too; rows are picked with their validity and texts.
    #[test]
    fn rows_are_picked_from_all_kinds_of_columns() {
        let text = ColumnData::Text {
            text: "abbccc".into(),
            ends: vec![1, 3, 6],
        };
        let column = |data, valid| Column { data, valid };
        let all = ColumnBatch {
            columns: vec![
                column(text, Some(vec![true, false, true])),
                column(ColumnData::Integer(vec![1, 2, 3]), None),
                column(ColumnData::Missing, None),
            ],
            rows: 3,
        };
        let some = rows_of(&all, &[2, 0]);
        assert_eq!(some.rows, 2);
        assert!(matches!(&some.columns[0].data, ColumnData::Text { text, ends } if text == "ccca" && *ends == [3, 4]));
        assert_eq!(some.columns[0].valid, Some(vec![true, true]));
        assert!(matches!(&some.columns[1].data, ColumnData::Integer(v) if *v == [3, 1]));
        assert!(matches!(&some.columns[2].data, ColumnData::Missing));
    }
}
