//! Records that are bytes: lines and payloads as they are, for logs that are not UTF-8 throughout.

use crate::data::{AnyChunk, Chunk, Data, start_of};

/// Bytes end to end.
#[derive(Clone, Debug, Default)]
pub struct BytesChunk {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl BytesChunk {
    /// Appends a record. At most 4 GiB fit into one chunk; callers cut chunks at about a thousand records.
    #[inline]
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len() as u32);
    }
}

impl Data for [u8] {
    type Chunk = BytesChunk;
}

impl AnyChunk for BytesChunk {
    fn len(&self) -> usize {
        self.ends.len()
    }
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

impl Chunk<[u8]> for BytesChunk {
    #[inline]
    fn add(&mut self, item: &[u8]) {
        self.push(item);
    }
    #[inline]
    fn iter_from(&self, from: usize) -> impl Iterator<Item = &[u8]> {
        let mut start = start_of(&self.ends, from);
        self.ends[from..].iter().map(move |&end| {
            let record = &self.bytes[start..end as usize];
            start = end as usize;
            record
        })
    }
    fn move_some(&mut self, out: &mut Self, mut keep: impl FnMut(&[u8]) -> bool) {
        self.iter().filter(|r| keep(r)).for_each(|r| out.push(r));
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::decode::{BadRecord, Format, SourceDecoder, SourceRecord};
    use crate::log::{Entry, RecordBatch, Span};
    use crate::time::Timestamp;

    /// Decodes values, `None` being a record without one.
    fn decoder(values: &[Option<&[u8]>]) -> (Box<dyn SourceDecoder>, Vec<Option<Timestamp>>, Vec<BadRecord>) {
        let mut records = RecordBatch::default();
        for (i, value) in values.iter().enumerate() {
            let span = value.map_or(Span::NONE, |v| records.push_bytes(v));
            records.entries.push(Entry::plain(i as u64, span));
        }
        let first = |record: &[u8]| Timestamp(record.first().map_or(-1, |b| i64::from(*b)));
        let mut decoder = <[u8]>::decoder(Format::Text, Some(first)).unwrap();
        let (mut times, mut bad) = (Vec::new(), Vec::new());
        decoder.decode(&records, &mut times, &mut bad);
        (decoder, times, bad)
    }

    fn chunk(decoder: &mut dyn SourceDecoder, range: Range<usize>) -> Vec<Vec<u8>> {
        let chunk = decoder.chunk(range).downcast_ref::<BytesChunk>().unwrap();
        chunk.iter().map(<[u8]>::to_vec).collect()
    }

    /// Every byte goes through as it is; only a record without a value is bad.
    #[test]
    fn bytes_as_they_are() {
        let (mut d, times, bad) = decoder(&[Some(b"\xff\x00a"), None, Some(b""), Some(b"\n")]);
        assert_eq!(
            times,
            [Some(Timestamp(255)), None, Some(Timestamp(-1)), Some(Timestamp(10))]
        );
        assert_eq!(bad.iter().map(|b| b.entry).collect::<Vec<_>>(), [1]);
        assert_eq!(chunk(&mut *d, 0..4), [b"\xff\x00a".to_vec(), vec![], b"\n".to_vec()]);
    }

    /// Ranges of entries are cut where entries are, bad ones included.
    #[test]
    fn pieces() {
        let (mut d, ..) = decoder(&[Some(b"a"), None, Some(b"bc"), Some(b"d")]);
        assert_eq!(chunk(&mut *d, 0..2), [b"a"]);
        assert_eq!(chunk(&mut *d, 2..3), [b"bc"]);
        assert_eq!(chunk(&mut *d, 3..4), [b"d"]);
    }

    /// What a chunk passes on and where it begins, as a vector does.
    #[test]
    fn a_chunk_is_a_list() {
        let all: [&[u8]; 4] = [b"a", b"", b"bcd", b"e"];
        let mut chunk = BytesChunk::default();
        all.iter().for_each(|r| chunk.add(r));
        for from in 0..=all.len() {
            assert_eq!(chunk.iter_from(from).collect::<Vec<_>>(), all[from..]);
        }
        let mut some = BytesChunk::default();
        chunk.move_some(&mut some, |r| r.len() != 1);
        assert_eq!(some.iter().collect::<Vec<_>>(), [b"".as_slice(), b"bcd"]);
        assert_eq!(some.len(), 2);
    }

    /// A struct's format is refused by name.
    #[test]
    fn json_lines_are_refused() {
        let error = <[u8]>::decoder(Format::JsonLines, None).err().unwrap();
        assert!(error.to_string().contains("[u8]"), "{error}");
    }
}
