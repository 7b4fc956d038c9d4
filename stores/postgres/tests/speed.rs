//! How fast commits and reads are, with a server that waits for its disk. For people: nothing here fails by being slow.

mod bed;

use std::time::Instant;

use bed::{List, acquire, after, commit, counts, open, part, step};
use rufous_algebra::{Codec, Max};
use rufous_core::{Frontier, key};
use rufous_store_api::RealtimeReader;
use rufous_test_servers::postgres::Server;

#[test]
#[ignore = "a measurement: run it with --release --nocapture"]
fn commits_and_reads() {
    const CELLS: u32 = 20_000;
    let server = Server::start(&[("shared_buffers", "256MB")]).unwrap();
    let store = open(&server.database("speed").unwrap(), &counts()).unwrap();
    let p = part(0);
    let mut row = acquire(&store, &["counts"], &p);
    let mut keys = Vec::new();
    for (what, same) in [("other keys each time", false), ("the same keys", true)] {
        let mut seconds = Vec::new();
        for round in 0..12u32 {
            let base = if same { 0 } else { round * CELLS };
            let cells: Vec<_> = (base..base + CELLS)
                .map(|n| (0, 5, format!("a-key-of-a-page-{n:08}")))
                .collect();
            let cells: Vec<_> = cells.iter().map(|(p, b, k)| (*p, *b, k.as_str(), 1u64)).collect();
            let list = List::of(&cells);
            keys = list.0.iter().map(|c| c.3.clone()).collect();
            let a = step(&p, &row, 10, 5);
            let start = Instant::now();
            commit(&store, std::slice::from_ref(&a), &[("counts", &list)]).unwrap();
            seconds.push(start.elapsed().as_secs_f64());
            row = after(&row, &a);
        }
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        println!(
            "{what}: {:.0} cells/s ({:.0} ms a commit, the slowest {:.0} ms)",
            f64::from(CELLS) / median,
            median * 1e3,
            seconds[11] * 1e3
        );
    }
    // Values that the owner merges: what is there is read first.
    let greatest = open(&server.database("merged").unwrap(), &bed::stores()).unwrap();
    let mut row = acquire(&greatest, &["counts", "cents", "greatest"], &p);
    for what in ["bytes, other keys", "bytes, the same keys", "bytes, the same keys"] {
        let value = Max::of("a value of some letters".to_string()).to_bytes();
        let cells = (0..CELLS)
            .map(|n| (0, 0, 5, key::to_bytes(&n), value.clone()))
            .collect();
        let (a, list) = (step(&p, &row, 10, 5), List(cells));
        let start = Instant::now();
        commit(&greatest, std::slice::from_ref(&a), &[("greatest", &list)]).unwrap();
        println!(
            "{what}: {:.0} cells/s",
            f64::from(CELLS) / start.elapsed().as_secs_f64()
        );
        row = after(&row, &a);
    }
    let asked: Vec<_> = keys
        .iter()
        .step_by(20)
        .cloned()
        .chain([key::to_bytes("absent")])
        .collect();
    let snapshot = store.snapshot().unwrap();
    let mut seconds = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        let found = snapshot.cells("counts", &asked, &Frontier::default()).unwrap();
        seconds.push(start.elapsed().as_secs_f64());
        assert_eq!(found.iter().filter(|c| !c.is_empty()).count(), 1000);
    }
    seconds.sort_by(f64::total_cmp);
    println!("1,000 keys: {:.1} ms", seconds[10] * 1e3);
    let start = Instant::now();
    let all = bed::scanned(&*snapshot, "counts").unwrap().len();
    println!("scan: {:.0} cells/s", all as f64 / start.elapsed().as_secs_f64());
}
