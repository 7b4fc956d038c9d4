//! How fast lines are found, by hand: `cargo test --release -p rufous-platform-local --test speed -- --ignored --nocapture`.

mod util;

use std::time::{Duration, Instant};

use rufous_core::RecordBatch;
use rufous_platform_local::LocalOptions;
use rufous_realtime::{Log, Polled};
use util::{Bed, from_start};

#[test]
#[ignore = "a measurement"]
fn reads_200_megabytes() {
    for length in [10, 40, 100, 1000] {
        let bed = Bed::new();
        let line = [vec![b'x'; length - 1], vec![b'\n']].concat();
        bed.write("a", line.repeat(200_000_000 / length));
        for round in 0..3 {
            let mut log = from_start(bed.open_with(LocalOptions::default()).unwrap());
            let mut batch = RecordBatch::default();
            let (mut records, begun) = (0, Instant::now());
            while log.poll(Duration::ZERO, &mut batch).unwrap() == Polled::Records {
                records += batch.entries.len();
            }
            let seconds = begun.elapsed().as_secs_f64();
            assert_eq!(records, 200_000_000 / length);
            println!("lines of {length} bytes, round {round}: {:.2} GB/s", 0.2 / seconds);
        }
    }
}
