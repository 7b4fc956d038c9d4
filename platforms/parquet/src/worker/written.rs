//! What the steps of a thread wrote to a sink that is a part of the generation (O22): records by id, until they are sorted.

use rufous_core::sink::{Encode, Encoded};
use rufous_core::{Error, Identified, Result};
use rufous_store_api::WrittenId;

use crate::sums::{Sorted, SpillDir, SpillFile, SpillWriter};

/// Records of one sink, each behind the bytes of its id, end to end in one buffer.
pub(super) struct Written {
    /// The sink's place in the plan.
    pub(super) sink: usize,
    name: &'static str,
    encode: Encode,
    bytes: Vec<u8>,
    /// Where each id and each record ends.
    ends: Vec<(usize, usize)>,
    encoded: Encoded,
}

impl Written {
    pub(super) fn new(sink: usize, name: &'static str, encode: Encode) -> Self {
        Self {
            sink,
            name,
            encode,
            bytes: Vec::new(),
            ends: Vec::new(),
            encoded: Encoded::default(),
        }
    }

    /// Adds what became of a chunk of a partition. What it says of source and partition is that of lanes, which may be less.
    pub(super) fn add(&mut self, chunk: &Identified, source: &str, partition: u32) -> Result<()> {
        self.encoded.clear();
        let records: &dyn std::any::Any = &*chunk.records;
        if !(self.encode)(records, &mut self.encoded) || self.encoded.len() != chunk.ids.len() {
            return Err(Error::bug(format!(
                "sink `{}` was handed records of another type",
                self.name
            )));
        }
        for (i, id) in chunk.ids.iter().enumerate() {
            WrittenId::put(source, partition, id.offset, id.number, &mut self.bytes);
            let end = self.bytes.len();
            self.bytes.extend_from_slice(self.encoded.get(i));
            self.ends.push((end, self.bytes.len()));
        }
        Ok(())
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<(usize, usize)>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn get(&self, i: usize) -> (&[u8], &[u8]) {
        let from = i
            .checked_sub(1)
            .and_then(|i| self.ends.get(i))
            .map_or(0, |(_, end)| *end);
        let (key, end) = self.ends.get(i).copied().unwrap_or((from, from));
        let of = |range| self.bytes.get(range).unwrap_or_default();
        (of(from..key), of(key..end))
    }

    /// Their places in the order of ids, which is mostly that in which they came.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.ends.len()).collect();
        order.sort_by(|a, b| self.get(*a).0.cmp(self.get(*b).0));
        order
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Takes them out as a list in memory.
    pub(super) fn sorted(&mut self) -> Sorted {
        let mut sorted = Sorted::default();
        for i in self.order() {
            let (id, record) = self.get(i);
            sorted.push(id, record);
        }
        self.clear();
        sorted
    }

    /// Takes them out as a list in a file.
    pub(super) fn spilled(&mut self, dir: &SpillDir) -> Result<SpillFile> {
        let mut writer = SpillWriter::create(dir)?;
        for i in self.order() {
            let (id, record) = self.get(i);
            writer.push(id, record)?;
        }
        self.clear();
        writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use rufous_core::RecordId;
    use rufous_core::sink::{SinkTo, each_generation};

    use super::*;
    use crate::sums::List;

    /// However records come, and whether they go to a file, their lists are in the order of ids, each with its bytes.
    #[test]
    fn records_are_sorted_by_id() {
        let encode = SinkTo::<u64>::encode(&each_generation());
        let root = tempfile::tempdir().unwrap();
        let dir = SpillDir::below(root.path());
        for file in [false, true] {
            let mut written = Written::new(0, "s", encode);
            for (source, partition, offsets) in [("b", 1, [9, 2]), ("a", 7, [256, 255]), ("b", 0, [5, 6])] {
                let ids = offsets.map(|offset| RecordId {
                    source: 0,
                    partition: 0,
                    offset,
                    number: offset % 3,
                });
                let chunk = Identified {
                    ids: ids.to_vec(),
                    records: Box::new(offsets.map(|o| o * 10).to_vec()),
                };
                written.add(&chunk, source, partition).unwrap();
            }
            let list = if file {
                List::File(written.spilled(&dir).unwrap())
            } else {
                List::Memory(written.sorted())
            };
            assert!(written.is_empty() && written.bytes() == 0);
            let got: Vec<_> = list
                .pairs()
                .unwrap()
                .into_iter()
                .map(|(id, record)| {
                    let id = WrittenId::from_bytes(&id).unwrap().to_string();
                    (id, u64::from_le_bytes(record.try_into().unwrap()))
                })
                .collect();
            let expected = [
                ("a/7/255/0", 2550),
                ("a/7/256/1", 2560),
                ("b/0/5/2", 50),
                ("b/0/6/0", 60),
                ("b/1/2/2", 20),
                ("b/1/9/0", 90),
            ];
            assert_eq!(got, expected.map(|(id, n)| (id.to_string(), n)));
        }
        let wrong = Identified {
            ids: Vec::new(),
            records: Box::new(vec![String::new()]),
        };
        assert!(Written::new(0, "s", encode).add(&wrong, "a", 0).is_err());
    }
}
