//! Records of all kinds, and short ways to write, commit and read them.
#![allow(dead_code, reason = "every test file takes what it needs")]

use rufous_core::{BatchId, Entry, RecordBatch, Result, Span};
use rufous_store_api::archive::INDEX_FORMAT;
use rufous_store_api::{Archive, ArchivedFile, IndexEntry};
use rufous_store_archive::ParquetArchive;

/// A record by value: offset, time, key, value, headers, heartbeat.
pub(crate) type Plain = (
    u64,
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    bool,
);

/// What a batch of records holds.
pub(crate) fn plain(r: &RecordBatch) -> Vec<Plain> {
    let own = |b: Option<&[u8]>| b.map(<[u8]>::to_vec);
    let one = |e: &Entry| {
        (
            e.offset,
            e.time().map(|t| t.0),
            own(r.key(e)),
            own(r.value(e)),
            own(r.headers(e)),
            e.heartbeat,
        )
    };
    r.entries.iter().map(one).collect()
}

/// Records of every kind at ascending offsets with gaps.
pub(crate) fn sample() -> RecordBatch {
    let mut r = RecordBatch {
        partition: 4,
        ..RecordBatch::default()
    };
    let mut push =
        |offset: u64, time_ms: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, Option<&[u8]>)]| {
            let key = key.map_or(Span::NONE, |b| r.push_bytes(b));
            let value = value.map_or(Span::NONE, |b| r.push_bytes(b));
            let (headers, heartbeat) = r.push_headers(headers.iter().copied());
            r.entries.push(Entry {
                offset,
                time_ms,
                value,
                key,
                headers,
                heartbeat,
            });
        };
    push(
        100,
        1_700_000_000_000,
        Some(b"k"),
        Some(b"value"),
        &[("h", Some(b"1")), ("null", None)],
    );
    push(101, 1_700_000_000_000, None, Some(b""), &[]);
    push(102, -1, Some(b""), None, &[]);
    push(110, i64::MIN, None, Some(&[0, 255, 128]), &[]);
    push(115, 0, None, None, &[("rufous-heartbeat", None)]);
    push(119, i64::MAX, Some("schlüssel".as_bytes()), Some(&[7; 5000]), &[]);
    r.next = 120;
    r
}

/// `n` records from offset `from` on, every offset taken.
pub(crate) fn many(from: u64, n: u64) -> RecordBatch {
    let mut r = RecordBatch::default();
    for offset in from..from + n {
        let key = r.push_bytes(format!("key-{}", offset % 97).as_bytes());
        let value = r.push_bytes(
            format!(
                "{{\"n\":{offset},\"text\":\"a value of a usual length, {}\"}}",
                offset * 7919 % 1000
            )
            .as_bytes(),
        );
        r.entries.push(Entry {
            time_ms: 1_700_000_000_000 + offset as i64,
            key,
            ..Entry::plain(offset, value)
        });
    }
    r.next = from + n;
    r
}

/// An entry of one batch throughout.
pub(crate) fn entry(from: u64, to: u64, batch: i64, files: Vec<ArchivedFile>) -> IndexEntry {
    IndexEntry {
        format: INDEX_FORMAT,
        from,
        to,
        batch_before: BatchId(batch),
        files,
        cuts: Vec::new(),
        hole: None,
        topic_id: "topic-1".into(),
        leader_epoch: -1,
        cut_spec: "cut/1 clock=log batch=1 hour max_step=168 isolation=read_committed".into(),
    }
}

/// All records of a file.
pub(crate) fn read(archive: &ParquetArchive, partition: u32, file: &ArchivedFile) -> Result<Vec<Plain>> {
    let mut all = Vec::new();
    archive.read(partition, file, &mut |r| {
        assert_eq!(r.partition, partition);
        all.extend(plain(r));
        Ok(())
    })?;
    Ok(all)
}

/// Numbers that look random, the same ones every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next one below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}
