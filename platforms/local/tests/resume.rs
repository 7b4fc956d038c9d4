//! From the offset of any record on, and from any `next`, the same suffix comes: an offset is all there is to remember.

mod util;

use std::time::Duration;

use rufous_core::RecordBatch;
use rufous_platform_local::LocalOptions;
use rufous_realtime::{Log, Polled};
use util::{Bed, bounded, drain, lines, sample};

#[test]
fn every_offset_gives_its_suffix() {
    let mut bytes = sample(120);
    bytes.extend_from_slice(b"end");
    let bed = Bed::new();
    bed.write("a", &bytes);
    for options in [
        LocalOptions { block: 50, ..bounded() },
        bounded(),
        LocalOptions::default(),
    ] {
        let expected = lines(&bytes, options.bounded);
        let mut log = bed.open_with(options).unwrap();
        for i in 0..expected.len() {
            log.assign(&[(0, expected[i].0)]).unwrap();
            assert_eq!(drain(&mut log).unwrap()[&0], expected[i..]);
        }
    }
}

#[test]
fn a_new_process_goes_on_at_next() {
    let bytes = sample(20_000);
    let expected = lines(&bytes, false);
    let bed = Bed::new();
    bed.write("a", &bytes);
    let (mut next, mut got) = (0, Vec::new());
    loop {
        let mut log = bed
            .open_with(LocalOptions {
                block: 8192,
                ..Default::default()
            })
            .unwrap();
        log.assign(&[(0, next)]).unwrap();
        let mut batch = RecordBatch::default();
        if log.poll(Duration::ZERO, &mut batch).unwrap() == Polled::Idle {
            break;
        }
        next = batch.next;
        got.extend(
            batch
                .entries
                .iter()
                .map(|e| (e.offset, batch.value(e).unwrap().to_vec())),
        );
    }
    assert_eq!((got, next), (expected, bytes.len() as u64));
}

/// The same assignment again changes nothing for partitions that stand where they are assigned.
#[test]
fn assigning_again_keeps_places() {
    let bed = Bed::new();
    bed.write("a", "1\n2\n");
    bed.write("b", "3\n");
    let mut log = util::from_start(bed.open().unwrap());
    drain(&mut log).unwrap();
    log.assign(&[(1, 2), (0, 2)]).unwrap();
    let got = drain(&mut log).unwrap();
    assert_eq!(got.len(), 1);
    assert_eq!(got[&0], [(2, b"2".to_vec())]);
    log.assign(&[(1, 0)]).unwrap();
    assert_eq!(
        drain(&mut log).unwrap().len(),
        1,
        "partition 0 is not assigned any more"
    );
}
