//! Row 2: killed between the acquisitions of two stores of a job. Each is acquired by itself, so one shard may be rebuilt while
//! the other stands where it stood.

mod support;

use rufous_core::{BatchId, Cut, Job, SourcePartition, Store};
use rufous_store_api::{Hole, Progress, RealtimeStore as _, Repair};
use support::{Bed, COUNTS, LINES, Rec, counted, lists, sums};

const AGAIN: Store<String, u64> = Store::new("again");

/// P42, P32: a truncated log makes the first store's shard be rebuilt, with the lost range in its row, then the process is
/// killed. The log grew again, so nothing tells of the truncation any more. The next start rebuilds the second as well: both
/// hold what the log holds, and both say what is lost.
#[test]
fn a_rebuild_of_one_store_is_finished_by_the_next_start() {
    let keyed = || LINES.read().keyed(|line, out| out.emit(line, 1));
    let ends = (keyed().sum_by_key(COUNTS), keyed().sum_by_key(AGAIN));
    let plan = Job::new("both", ends).plan().unwrap();
    let words = ["a", "b", "a", "c", "d"];
    let log = lists(vec![words.iter().map(|w| Rec::text(w)).collect()]);
    let bed = Bed::new(&plan);
    bed.run(&plan, &log).unwrap();
    let p = SourcePartition::new("lines", 0);
    let first = plan.stores()[0].name;
    let gone = Hole {
        from: 3,
        to: 5,
        reason: "truncated".into(),
    };
    bed.memory
        .acquire(first, &p, &mut |row| {
            let row = row.unwrap();
            let start = Cut {
                batch: BatchId::MIN,
                cut: 0,
                batch_before: BatchId::MIN,
            };
            Ok(Repair::Replace(Progress {
                holes: vec![gone.clone()],
                ..Progress::standing_at(
                    start,
                    row.topic_id.clone(),
                    row.cut_spec.clone(),
                    row.fingerprint.clone(),
                )
            }))
        })
        .unwrap();
    // What was cut off is written anew, with other words.
    let now = ["a", "b", "a", "x", "y", "z"];
    log.lock().unwrap()[0] = now.iter().map(|w| Rec::text(w)).collect();
    bed.run(&plan, &log).unwrap();
    for store in [COUNTS.name(), AGAIN.name()] {
        assert_eq!(sums(&bed.memory, &plan, store), counted(now), "{store}");
        let row = bed
            .memory
            .acquire(store, &p, &mut |row| Ok(Repair::Keep(row.unwrap().clone())))
            .unwrap();
        assert_eq!((row.next, row.holes), (6, vec![gone.clone()]), "{store}");
    }
}
