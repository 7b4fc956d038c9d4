//! Records that are bytes, cut into two runs of which the second holds only records that cannot be read.

use rufous_core::{BatchId, ChunkMeta, Counter, Entry, Format, Job, RecordBatch, Source, Span, Store};

const PAYLOADS: Source<[u8]> = Source::new("payloads");
const SIZES: Store<u64, u64> = Store::new("sizes");
const SEEN: Counter = Counter::new("seen");

/// `SourceDecoder::chunk`: what is left in a chunk after `push` is unspecified, so a later range must not look into it.
#[test]
fn a_run_of_bad_records_behind_a_run_that_was_pushed() {
    let sizes = PAYLOADS
        .read()
        .counted(SEEN)
        .keyed(|payload, out| out.emit(payload.len() as u64, 1));
    let plan = Job::new("j", sizes.sum_by_key(SIZES)).plan().unwrap();
    let mut run = plan.instantiate();
    let mut records = RecordBatch::default();
    for (i, payload) in [b"a".as_slice(), b"bc"].into_iter().enumerate() {
        let span = records.push_bytes(payload);
        records.entries.push(Entry::plain(i as u64, span));
    }
    // A tombstone of the next batch; the job skips it.
    records.entries.push(Entry::plain(2, Span::NONE));
    let mut decoder = plan.sources()[0].decoder(Format::Text).unwrap();
    let (mut times, mut bad) = (Vec::new(), Vec::new());
    decoder.decode(&records, &mut times, &mut bad);
    assert_eq!(bad.len(), 1);
    for (range, batch) in [(0..2, 1), (2..3, 2)] {
        let meta = ChunkMeta {
            source: 0,
            partition: 0,
            batch: BatchId(batch),
        };
        run.push(&meta, decoder.chunk(range)).unwrap();
    }
    assert_eq!(run.take(Vec::new()).unwrap()[0].len(), 2);
}
