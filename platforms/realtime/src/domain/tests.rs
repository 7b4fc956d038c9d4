//! The merge by itself, against a sort.

use rufous_core::{Batcher, Cut};

use super::*;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }
}

/// Two of one source among them.
const MEMBERS: [(&str, u32); 4] = [("b", 0), ("a", 1), ("c", 0), ("a", 0)];

/// What goes next, and how many records of it.
fn choose(members: &[((&str, u32), &Queue)]) -> (Choice, usize) {
    let mut heads = Heads::default();
    for (at, ((name, n), queue)) in members.iter().enumerate() {
        let rank = name.as_bytes()[0];
        heads.see(at, (u32::from(rank), *n), queue);
    }
    let choice = heads.choose();
    let len = match choice {
        Choice::Run(at) => heads.run(members[at].1),
        _ => 0,
    };
    (choice, len)
}

fn spec() -> CutSpec {
    CutSpec::new(Clock::Log, Batcher::of_hours(1))
}

fn row() -> Progress {
    Progress::standing_at(Cut::ORIGIN, String::new(), String::new(), String::new())
}

/// Minutes of the records of each partition, with gaps in the offsets.
fn logs(random: &mut Random) -> Vec<Vec<(u64, i64)>> {
    let log = |random: &mut Random| {
        let (mut offset, mut minute) = (0, 0);
        let one = |random: &mut Random| {
            offset += 1 + random.below(3);
            minute += [0, 0, 1, 7, 70][random.below(5) as usize];
            (offset, minute - [0, 0, 3, 90][random.below(4) as usize])
        };
        let n = random.below(40);
        std::iter::repeat_with({
            let mut one = one;
            move || one(random)
        })
        .take(n as usize)
        .collect::<Vec<_>>()
    };
    (0..MEMBERS.len()).map(|_| log(random)).collect()
}

/// Where each record stands, from the definition: source and offset, in order.
fn sorted(logs: &[Vec<(u64, i64)>]) -> Vec<(usize, u64)> {
    let mut all = Vec::new();
    for (s, log) in logs.iter().enumerate() {
        for (i, (offset, _)) in log.iter().enumerate() {
            let minutes = || log[..=i].iter().map(|(_, m)| *m);
            let hour = minutes().map(|m| m.div_euclid(60)).max().unwrap();
            let begins = minutes().position(|m| m.div_euclid(60) == hour).unwrap();
            let greatest = minutes().skip(begins).max().unwrap();
            all.push((hour, greatest, MEMBERS[s], *offset, s));
        }
    }
    all.sort_unstable();
    all.into_iter().map(|(.., offset, s)| (s, offset)).collect()
}

fn batch(log: &[(u64, i64)], next: u64) -> RecordBatch {
    let mut records = RecordBatch::default();
    for (offset, minute) in log {
        let value = records.push_bytes(format!("{offset}").as_bytes());
        records.entries.push(Entry {
            time_ms: minute * 60_000,
            ..Entry::plain(*offset, value)
        });
    }
    records.next = next;
    records
}

/// O3, O4: whatever is shown when, what is taken is a prefix of the sorted records; a record waits exactly as long as some
/// partition has shown nothing behind it; each goes with its own bytes; after a restart from what was taken it is the same.
#[test]
fn what_is_taken_is_sorted() {
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let logs = logs(&mut random);
        let expected = sorted(&logs);
        let mut rows = vec![row(); MEMBERS.len()];
        let mut taken = Vec::new();
        let mut queues: Vec<Queue> = rows.iter().map(|row| Queue::new(&spec(), row)).collect();
        let mut idle = 0;
        while idle < 300 {
            idle += 1;
            if random.below(12) == 0 {
                // Everything that was shown is forgotten; rows know what was taken.
                queues = rows.iter().map(|row| Queue::new(&spec(), row)).collect();
            }
            let s = random.below(4) as usize;
            let log = &logs[s];
            let from = log.partition_point(|(offset, _)| *offset < queues[s].next);
            let to = (from + random.below(5) as usize).min(log.len());
            let next = log.get(to).map_or(1_000, |(offset, _)| *offset);
            let mut some = batch(&log[from..to], next);
            queues[s].show(&mut some, &[]);
            loop {
                while let Some((next, _)) = queues.iter_mut().find_map(|q| q.empty()) {
                    assert!(next <= 1_000);
                }
                let members: Vec<_> = MEMBERS.into_iter().zip(&queues).collect();
                let (at, len) = match choose(&members) {
                    (Choice::Run(at), len) => (at, len),
                    (Choice::Nothing, _) => break,
                    (Choice::Apart, _) => panic!("seed {seed}: apart"),
                };
                assert!(len > 0, "seed {seed}");
                let mut records = RecordBatch::default();
                queues[at].lend(len, &mut records);
                assert_eq!(records.entries.len(), len);
                for e in &records.entries {
                    assert_eq!(records.value(e), Some(e.offset.to_string().as_bytes()));
                    taken.push((at, e.offset));
                }
                queues[at].took(records.next);
                let now = queues[at].taken;
                (rows[at].next, rows[at].batch, rows[at].running) = (records.next, now.batch, now.time);
                queues[at].give_back(&mut records);
                idle = 0;
            }
            assert!(expected.starts_with(&taken), "seed {seed}: {taken:?} of {expected:?}");
            let waits = queues.iter().any(|q| q.head().is_none());
            assert!(waits, "seed {seed}: every partition shows a record, and none is taken");
        }
        // What is left stands behind all of a partition, which may show more.
        let shown = |s: usize| taken.iter().filter(|(at, _)| *at == s).count() == logs[s].len();
        assert!((0..MEMBERS.len()).any(shown), "seed {seed}");
    }
}

/// A row that was rebuilt while the other was not is noticed at its first record.
#[test]
fn rows_that_stand_apart() {
    let spec = spec();
    let mut ahead = row();
    (ahead.batch, ahead.running) = (rufous_core::BatchId(2), Some(Timestamp(130 * 60_000)));
    let mut queues = [Queue::new(&spec, &row()), Queue::new(&spec, &ahead)];
    for (queue, minute) in queues.iter_mut().zip([125, 140]) {
        queue.show(&mut batch(&[(5, minute)], 6), &[]);
    }
    // Of two sources, and of one.
    for (one, other) in [(("a", 0), ("b", 0)), (("a", 3), ("b", 2)), (("a", 0), ("a", 1))] {
        let (choice, _) = choose(&[(one, &queues[0]), (other, &queues[1])]);
        assert_eq!(choice, Choice::Apart);
        // Also while the other has shown nothing yet.
        let silent = Queue::new(&spec, &ahead);
        assert_eq!(choose(&[(one, &queues[0]), (other, &silent)]).0, Choice::Apart);
        let mut level = Queue::new(&spec, &row());
        level.show(&mut batch(&[(5, 131)], 6), &[]);
        assert_eq!(choose(&[(one, &level), (other, &queues[1])]), (Choice::Run(0), 1));
    }
}

/// Records without times, and before the first that has one, stand at the beginning: that is no place that anybody was taken to.
#[test]
fn nothing_was_taken_at_the_beginning() {
    let mut queues = [Queue::new(&spec(), &row()), Queue::new(&spec(), &row())];
    for queue in &mut queues {
        let mut records = batch(&[(1, 0), (2, 0)], 3);
        records.entries.iter_mut().for_each(|e| e.time_ms = i64::MIN);
        queue.show(&mut records, &[]);
    }
    let [one, other] = &queues;
    assert_eq!(choose(&[(("a", 0), one), (("a", 1), other)]), (Choice::Run(0), 2));
}

/// Space is given back; positions without records wait for nobody.
#[test]
fn space_is_given_back() {
    let mut queue = Queue::new(&spec(), &row());
    queue.show(&mut batch(&[(1, 1), (2, 2)], 9), &[]);
    assert!(queue.is_shown(9) && !queue.is_shown(10));
    queue.show(&mut batch(&[(9, 3)], 10), &[]);
    queue.full = true;
    assert!(queue.is_shown(u64::MAX), "nothing more can be shown");
    assert_eq!(queue.waiting(), 3);
    let mut records = RecordBatch::default();
    for n in [1, 1, 1] {
        queue.lend(n, &mut records);
        queue.took(records.next);
        queue.give_back(&mut records);
    }
    assert_eq!((queue.waiting(), queue.bytes), (0, 0));
    queue.show(&mut batch(&[], 20), &[]);
    assert_eq!(queue.empty(), Some((20, None)));
}
