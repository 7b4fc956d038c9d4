//! Joins with what the job itself built, and records once per id, against their definitions in quadratic time over plain lists
//! (O17, O18, O21).

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use rufous_algebra::Max;
use rufous_core::producer::{Buffer, LastSeen};
use rufous_core::{
    BatchId, ChunkMeta, ErrorKind, Executor, Job, KeyedProducer, Plan, Source, Store, TextChunk, Timestamp,
};
use rufous_platform_memory::{JobTest, Memory};

const HOUR: i64 = 3_600_000;

/// `time kind key value`: kind 0 asks, kind 1 adds, kind 2 does both.
const EVENTS: Source<str> = Source::new("events").timed_by(|line| Timestamp(number(line, 0)));
const TOTALS: Store<u64, i64> = Store::new("totals");
const NEWEST: Store<u64, Buffer<i64>> = Store::new("newest");
const FOUND: Store<(u64, i64, i64), u64> = Store::new("found");
const NOTHING: i64 = i64::MIN;

fn number(line: &str, i: usize) -> i64 {
    line.split(' ').nth(i).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Key and value of the events of these kinds.
fn of(kinds: &'static [i64]) -> KeyedProducer<u64, i64> {
    EVENTS
        .read()
        .filter(move |line| kinds.contains(&number(line, 1)))
        .keyed(|line, out| out.emit(number(line, 2) as u64, number(line, 3)))
        .within_partition()
}

fn found(joined: KeyedProducer<u64, (i64, Option<i64>)>) -> KeyedProducer<(u64, i64, i64), u64> {
    joined.keyed_pairs(|&key, &(value, found), out| out.emit((key, value, found.unwrap_or(NOTHING)), 1))
}

fn joins_a_store(horizon: u32) -> Job {
    let joined = of(&[0, 2]).left_join(TOTALS.as_service().horizon(horizon));
    Job::new(
        "joins-a-store",
        (found(joined).sum_by_key(FOUND), of(&[1, 2]).sum_by_key(TOTALS)),
    )
}

fn joins_a_stream(horizon: u32, valid: Option<u64>) -> Job {
    let mut newest = of(&[1, 2]).as_service(NEWEST).horizon(horizon);
    if let Some(ms) = valid {
        newest = newest.valid_for(Duration::from_millis(ms));
    }
    Job::new("joins-a-stream", found(of(&[0, 2]).left_join(newest)).sum_by_key(FOUND))
}

/// A payment counts if it does not overdraw what the account had.
fn loops() -> Job {
    let joined = of(&[0, 1, 2]).left_join(TOTALS.as_service());
    let kept = joined
        .clone()
        .filter_values(|(value, before)| before.unwrap_or(0) + value >= 0)
        .map_values(|(value, _)| *value)
        .sum_by_key(TOTALS);
    Job::new("loops", (kept, found(joined).sum_by_key(FOUND)))
}

/// An event: when it is logged, its own time against that, kind, key, value. Hours and their edges are common.
type Event = (i64, i64, i64, u64, i64);

fn event() -> impl Strategy<Value = Event> {
    let hours = (0..8_i64).prop_map(|h| h * HOUR);
    let near = prop_oneof![Just(-1_i64), Just(0), Just(1), -HOUR..HOUR];
    let off = prop_oneof![4 => Just(0_i64), 3 => -4 * HOUR..0, 1 => 0..2 * HOUR, 1 => Just(-HOUR)];
    (hours, near, off, 0..3_i64, 0..3_u64, -3..5_i64)
        .prop_map(|(h, near, off, kind, key, value)| (100 * HOUR + h + near, off, kind, key, value))
}

/// An event where it stands in the log.
struct Placed {
    partition: usize,
    /// The running batch of the partition.
    batch: i64,
    time: i64,
    kind: i64,
    key: u64,
    value: i64,
}

fn placed(events: &[Event], partitions: u32) -> Vec<Placed> {
    let mut running: BTreeMap<usize, i64> = BTreeMap::new();
    let place = |(i, &(logged, off, kind, key, value)): (usize, &Event)| {
        let partition = i % partitions as usize;
        let batch = running.entry(partition).or_insert(i64::MIN);
        *batch = (*batch).max(logged.div_euclid(HOUR));
        Placed {
            partition,
            batch: *batch,
            time: logged + off,
            kind,
            // Keys stay in their partition.
            key: key * u64::from(partitions) + partition as u64,
            value,
        }
    };
    events.iter().enumerate().map(place).collect()
}

fn lines(events: &[Event], placed: &[Placed]) -> Vec<(Timestamp, String)> {
    let line = |(e, p): (&Event, &Placed)| {
        let line = format!("{} {} {} {}", p.time, p.kind, p.key, p.value);
        (Timestamp(e.0), line)
    };
    events.iter().zip(placed).map(line).collect()
}

/// Where each record stands in the order of O3.
fn order(events: &[Event], placed: &[Placed], name: &'static str) -> Vec<(i64, i64, &'static str, usize, usize)> {
    let mut running: BTreeMap<(usize, i64), i64> = BTreeMap::new();
    let place = |(i, (event, p)): (usize, (&Event, &Placed))| {
        let greatest = running.entry((p.partition, p.batch)).or_insert(i64::MIN);
        *greatest = (*greatest).max(event.0.min((p.batch + 1) * HOUR - 1));
        (p.batch, *greatest, name, p.partition, i)
    };
    events.iter().zip(placed).enumerate().map(place).collect()
}

impl Placed {
    /// O17: `max(time(l), start of batch(l) - horizon)`.
    fn as_of(&self, horizon: u32) -> i64 {
        self.time.max((self.batch - i64::from(horizon)) * HOUR)
    }
}

/// O17: the right records of the key that stand before record `l` in the log, with times below its own.
fn rights<'a>(
    all: &'a [Placed],
    l: usize,
    kinds: &'a [i64],
    horizon: u32,
) -> impl Iterator<Item = (usize, &'a Placed)> {
    let as_of = all[l].as_of(horizon);
    let key = all[l].key;
    let before = all[..l].iter().enumerate();
    before.filter(move |(_, r)| r.key == key && kinds.contains(&r.kind) && r.time < as_of)
}

fn sorted(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(|(logged, ..)| logged / (2 * HOUR));
    events
}

type Found = BTreeMap<(u64, i64, i64), u64>;

fn every_split(job: &Job, events: &[Event], placed: &[Placed], partitions: u32) -> rufous_platform_memory::Totals {
    job.test()
        .partitions(EVENTS, partitions)
        .given_at(EVENTS, lines(events, placed))
        .every_split()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    /// O17: a store of the job, whole, live with kills, and at every split of the log between two layers; late records on both
    /// sides, equal times, edges of batches, records that ask and add at once.
    #[test]
    fn a_store_as_of_event_time(
        events in proptest::collection::vec(event(), 0..30),
        partitions in 1..3_u32,
        horizon in 0..4_u32,
    ) {
        let events = sorted(events);
        let all = placed(&events, partitions);
        let mut expected = Found::new();
        let mut totals: BTreeMap<u64, i64> = BTreeMap::new();
        for (l, left) in all.iter().enumerate() {
            if left.kind != 0 {
                *totals.entry(left.key).or_default() += left.value;
            }
            if left.kind == 1 {
                continue;
            }
            let values: Vec<i64> = rights(&all, l, &[1, 2], horizon).map(|(_, r)| r.value).collect();
            let value = if values.is_empty() { NOTHING } else { values.iter().sum() };
            *expected.entry((left.key, left.value, value)).or_default() += 1;
        }
        let run = every_split(&joins_a_store(horizon), &events, &all, partitions);
        prop_assert_eq!(run.all(FOUND).into_iter().collect::<Found>(), expected);
        prop_assert_eq!(run.all(TOTALS).into_iter().collect::<BTreeMap<_, _>>(), totals);
    }

    /// O17: a stream through a buffer: the newest by time and place; none where it is too old.
    #[test]
    fn a_stream_as_of_event_time(
        events in proptest::collection::vec(event(), 0..30),
        partitions in 1..3_u32,
        horizon in 0..4_u32,
        valid in proptest::option::of(0..3 * HOUR as u64),
    ) {
        let events = sorted(events);
        let all = placed(&events, partitions);
        let mut expected = Found::new();
        for (l, left) in all.iter().enumerate().filter(|(_, left)| left.kind != 1) {
            let newest = rights(&all, l, &[1, 2], horizon).max_by_key(|(i, r)| (r.time, *i));
            let fresh = |r: &Placed| valid.is_none_or(|ms| r.time >= left.as_of(horizon) - ms as i64);
            let value = newest.filter(|(_, r)| fresh(r)).map_or(NOTHING, |(_, r)| r.value);
            *expected.entry((left.key, left.value, value)).or_default() += 1;
        }
        let run = every_split(&joins_a_stream(horizon, valid), &events, &all, partitions);
        prop_assert_eq!(run.all(FOUND).into_iter().collect::<Found>(), expected);
    }

    /// O17 over two sources, partition i of both: "before" is the order of O3.
    #[test]
    fn a_stream_of_another_source(
        asks in proptest::collection::vec(event(), 0..20),
        rows in proptest::collection::vec(event(), 0..20),
        partitions in 1..3_u32,
        horizon in 0..4_u32,
    ) {
        const ROWS: Source<str> = Source::new("rows").timed_by(|line| Timestamp(number(line, 0)));
        let pairs = |source: Source<str>| {
            let pairs = source.read().keyed(|line, out| out.emit(number(line, 2) as u64, number(line, 3)));
            pairs.within_partition()
        };
        let (asks, rows) = (sorted(asks), sorted(rows));
        let (left, right) = (placed(&asks, partitions), placed(&rows, partitions));
        // O3: batch, running time in it, name, partition, offset.
        let (l_at, r_at) = (order(&asks, &left, "events"), order(&rows, &right, "rows"));
        let mut expected = Found::new();
        for (l, ask) in left.iter().enumerate() {
            let as_of = ask.as_of(horizon);
            let before = right.iter().enumerate().filter(|(r, row)| {
                row.partition == ask.partition && row.key == ask.key && row.time < as_of && r_at[*r] < l_at[l]
            });
            let value = before.max_by_key(|(r, row)| (row.time, *r)).map_or(NOTHING, |(_, row)| row.value);
            *expected.entry((ask.key, ask.value, value)).or_default() += 1;
        }
        let joined = pairs(EVENTS).left_join(pairs(ROWS).as_service(NEWEST).horizon(horizon));
        let run = Job::new("two-sources", found(joined).sum_by_key(FOUND))
            .test()
            .partitions(EVENTS, partitions)
            .partitions(ROWS, partitions)
            .given_at(EVENTS, lines(&asks, &left))
            .given_at(ROWS, lines(&rows, &right))
            .every_split()
            .unwrap();
        prop_assert_eq!(run.all(FOUND).into_iter().collect::<Found>(), expected);
    }

    /// O18: what is joined is built of what the join emits.
    #[test]
    fn a_store_that_depends_on_the_join(
        events in proptest::collection::vec(event(), 0..30),
        partitions in 1..3_u32,
    ) {
        let events = sorted(events);
        let all = placed(&events, partitions);
        let mut expected = Found::new();
        let mut kept: Vec<usize> = Vec::new();
        let mut totals: BTreeMap<u64, i64> = BTreeMap::new();
        for (l, left) in all.iter().enumerate() {
            let known = rights(&all, l, &[0, 1, 2], 1).filter(|(i, _)| kept.contains(i));
            let values: Vec<i64> = known.map(|(_, r)| r.value).collect();
            let before: i64 = values.iter().sum();
            let value = if values.is_empty() { NOTHING } else { before };
            *expected.entry((left.key, left.value, value)).or_default() += 1;
            if before + left.value >= 0 {
                kept.push(l);
                *totals.entry(left.key).or_default() += left.value;
            }
        }
        let run = every_split(&loops(), &events, &all, partitions);
        prop_assert_eq!(run.all(FOUND).into_iter().collect::<Found>(), expected);
        prop_assert_eq!(run.all(TOTALS).into_iter().collect::<BTreeMap<_, _>>(), totals);
    }

    /// O21: a record passes if its id did not occur before it in its partition, in its batch or the last `h` before that.
    #[test]
    fn once_per_id(
        events in proptest::collection::vec(event(), 0..30),
        partitions in 1..3_u32,
        h in 0..4_u32,
    ) {
        const IDS: Store<(u32, u64), LastSeen> = Store::new("ids");
        const PASSED: Store<(u64, i64), u64> = Store::new("passed");
        let events = sorted(events);
        let all = placed(&events, partitions);
        let mut expected: BTreeMap<(u64, i64), u64> = BTreeMap::new();
        let mut seen: BTreeMap<(u32, u64), i64> = BTreeMap::new();
        for (l, record) in all.iter().enumerate() {
            // Ids are shared by partitions, and apart.
            let id = record.key / u64::from(partitions);
            let same = |r: &&Placed| r.partition == record.partition && r.key == record.key;
            let occurred = all[..l].iter().filter(same).any(|r| r.batch >= record.batch - i64::from(h));
            if !occurred {
                *expected.entry((id, record.value)).or_default() += 1;
            }
            let last = seen.entry((record.partition as u32, id)).or_insert(record.batch);
            *last = record.batch.max(*last);
        }
        let once = EVENTS
            .read()
            .dedupe_by(IDS, h, move |line| number(line, 2) as u64 / u64::from(partitions))
            .keyed(move |line, out| out.emit((number(line, 2) as u64 / u64::from(partitions), number(line, 3)), 1));
        let run = every_split(&Job::new("once", once.sum_by_key(PASSED)), &events, &all, partitions);
        prop_assert_eq!(run.all(PASSED).into_iter().collect::<BTreeMap<_, _>>(), expected);
        let last = run.all(IDS).into_iter().map(|(key, last)| (key, *last.get().unwrap()));
        prop_assert_eq!(last.collect::<BTreeMap<_, _>>(), seen);
    }
}

/// Section 7: what a join cannot read is refused when the job is planned, with the repair.
#[test]
fn refusals() {
    let refused = |job: Job, words: &[&str]| {
        let e = job.plan().err().expect("this is refused");
        assert_eq!(e.kind(), ErrorKind::InvalidRequest);
        let text = e.to_string();
        assert!(words.iter().all(|w| text.contains(w)), "{text}");
    };
    let joined = || of(&[0]).left_join(TOTALS.as_service());
    refused(
        Job::new("nothing-sums", found(joined()).sum_by_key(FOUND)),
        &["join with `totals`", "this job sums nothing into `totals`"],
    );
    let moved = joined().map_values(|(v, _)| *v).map_keys(|k| k + 1).sum_by_key(TOTALS);
    refused(
        Job::new("moved", moved),
        &[
            "store `totals` depends on it through step `map-keys`",
            "only value steps may lie between",
        ],
    );
    let two = found(joined())
        .merge(found(of(&[1]).left_join(TOTALS.as_service().horizon(3))))
        .sum_by_key(FOUND);
    refused(
        Job::new("two-horizons", (two, of(&[1]).sum_by_key(TOTALS))),
        &["look 1 and 3 batches back", "say the same"],
    );
    const OF_TOTALS: Store<u64, i64> = Store::new("totals-as-of");
    refused(
        Job::new(
            "name-taken",
            (
                found(joined()).sum_by_key(FOUND),
                of(&[1]).sum_by_key(TOTALS),
                of(&[2]).sum_by_key(OF_TOTALS),
            ),
        ),
        &["this name is kept for the versions of `totals`", "choose another"],
    );
    const TEXTS: Store<u64, u64> = Store::new("totals");
    refused(
        Job::new(
            "two-types",
            (
                found(joined()).sum_by_key(FOUND),
                of(&[1]).map_values(|v| *v as u64).sum_by_key(TEXTS),
            ),
        ),
        &["declared twice with different types"],
    );
    let newest = of(&[1]).as_service(NEWEST);
    refused(
        Job::new(
            "broadcast",
            found(of(&[0]).broadcast().left_join(newest)).sum_by_key(FOUND),
        ),
        &["its records come from behind `.broadcast()`", "else `.in_log_order()`"],
    );
    const COUNTS: Store<u64, i64> = Store::new("counts");
    let deltas = of(&[1]).sum_by_key(COUNTS).deltas().sum_by_key(TOTALS);
    refused(
        Job::new("deltas", (found(joined()).sum_by_key(FOUND), deltas)),
        &["built of deltas of `counts`", "no time of their own"],
    );
}

/// A record without a time has nothing to be joined as of.
#[test]
fn no_time_no_join() {
    const PLAIN: Source<str> = Source::new("plain");
    let pairs = || PLAIN.read().keyed(|line, out| out.emit(line.len() as u64, 1_i64));
    let joined = found(pairs().left_join(TOTALS.as_service())).sum_by_key(FOUND);
    let job = Job::new("no-time", (joined, pairs().sum_by_key(TOTALS)));
    let e = job.run_on(&Memory::new().source(PLAIN, ["a", "b"])).err().unwrap();
    assert!(e.to_string().contains("say `.timed_by(..)` of its source"), "{e}");
}

/// A store that absorbs records is joined like one that adds values; several joins of one store share its versions.
#[test]
fn a_store_that_absorbs() {
    const LARGEST: Store<u64, Max<i64>> = Store::new("largest");
    let pairs = || {
        EVENTS
            .read()
            .keyed(|line, out| out.emit(number(line, 2) as u64, number(line, 3)))
    };
    let was = |joined: KeyedProducer<u64, (i64, Max<i64>)>| {
        joined.keyed_pairs(|&key, (value, was), out| out.emit((key, *value, was.get().copied().unwrap_or(NOTHING)), 1))
    };
    let twice = was(pairs().join(LARGEST.as_service()))
        .merge(was(pairs().filter_values(|v| *v > 3).join(LARGEST.as_service())))
        .sum_by_key(FOUND);
    let job = Job::new("absorbs", (pairs().aggregate_by_key(LARGEST), twice));
    let lines = [(1, 5), (2, 3), (3, 9), (4, 4)];
    let given = lines.map(|(hour, value)| (Timestamp(hour * HOUR), format!("{} 0 7 {value}", hour * HOUR)));
    let run = job.test().given_at(EVENTS, given).every_split().unwrap();
    let got: BTreeMap<_, _> = run.all(FOUND).into_iter().collect();
    // The first finds nothing and is left out; 9 and 4 are more than 3.
    assert_eq!(got, BTreeMap::from([((7, 3, 5), 1), ((7, 9, 5), 2), ((7, 4, 9), 2)]));
    assert_eq!(job.plan().unwrap().stores().len(), 3);
}

/// Pushes one line by itself.
fn push(run: &mut Executor, source: u32, offset: u64, line: &str) {
    push_all(run, source, offset, &[line]);
}

/// Pushes lines together, the first of which stands at this offset.
fn push_all(run: &mut Executor, source: u32, offset: u64, lines: &[&str]) {
    let meta = ChunkMeta {
        source,
        partition: 0,
        batch: BatchId(0),
    };
    let mut chunk = TextChunk::default();
    lines.iter().for_each(|line| chunk.push(line));
    if let Some(origins) = run.origins(source) {
        origins.begin(0, BatchId(0));
        let times = lines.iter().map(|line| Some(Timestamp(number(line, 0))));
        times.zip(offset..).for_each(|(t, o)| origins.add(t, o));
    }
    run.push(&meta, &mut chunk).unwrap();
}

/// What was added to a store of numbers.
fn taken(plan: &Plan, run: &mut Executor, store: &str) -> i64 {
    let at = plan.stores().iter().position(|s| s.name == store).unwrap();
    let deltas = run.take(Vec::new()).unwrap();
    let mut sum = 0;
    deltas[at]
        .for_each(&mut |d| {
            sum += i64::from_le_bytes(d.value.try_into().unwrap());
            Ok(())
        })
        .unwrap();
    sum
}

/// O18: files of a bounded run have offsets of their own, from 0 on: a record of another file is another record.
#[test]
fn a_record_is_known_by_its_push() {
    let plan = loops().plan().unwrap();
    let mut run = plan.instantiate();
    push(&mut run, 0, 0, "10 2 7 100");
    push(&mut run, 0, 0, "20 2 7 -50");
    push(&mut run, 0, 0, "30 2 7 -60");
    assert_eq!(
        taken(&plan, &mut run, "totals"),
        50,
        "the second counts, the third would overdraw"
    );
}

/// O18: a record does not see what it added itself, however many pairs it makes, of one key or of several; those behind it do,
/// whether they come with it or later.
#[test]
fn a_record_with_many_pairs_does_not_see_itself() {
    // Two steps: what one closure emits is never divided.
    let many = EVENTS.read().flat_map(|line, out| {
        for i in 0..number(line, 3) {
            out.emit(i);
        }
    });
    let pairs = many.keyed(|i, out| out.emit((i % 3) as u64, 1_i64));
    let joined = pairs.within_partition().left_join(TOTALS.as_service());
    let kept = joined.map_values(|(one, before)| one + before.unwrap_or(0) % 1_000);
    let plan = Job::new("many", kept.sum_by_key(TOTALS)).plan().unwrap();
    assert!(!plan.one_by_one(), "records come to the join in one way");
    let many = [2, 2_500, 5, 1, 1_300, 4_000, 7];
    // So late that they are asked about as of the horizon: what is of a time before is seen there, but for their own.
    let late = -100 * HOUR;
    let lines: Vec<String> = (late..).zip(many).map(|(t, n)| format!("{t} 0 7 {n}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut totals = [0_i64; 3];
    for n in many {
        let before = totals;
        (0..n as usize).for_each(|i| totals[i % 3] += 1 + before[i % 3] % 1_000);
    }
    for together in 1..=lines.len() {
        let mut run = plan.instantiate();
        for (i, lines) in lines.chunks(together).enumerate() {
            push_all(&mut run, 0, (i * together) as u64, lines);
        }
        let sum: i64 = totals.iter().sum();
        assert_eq!(taken(&plan, &mut run, "totals"), sum, "{together} records at once");
    }
}

/// O10: one source of a joint domain is read anew, and with it what the other has just added.
#[test]
fn a_domain_is_forgotten_as_a_whole() {
    const ROWS: Source<str> = Source::new("rows").timed_by(|line| Timestamp(number(line, 0)));
    let pairs = |source: Source<str>| {
        let pairs = source
            .read()
            .keyed(|line, out| out.emit(number(line, 2) as u64, number(line, 3)));
        pairs.within_partition()
    };
    let joined = pairs(EVENTS).left_join(TOTALS.as_service());
    let kept = joined.map_values(|(value, before)| value + before.unwrap_or(0) / 10);
    let plan = Job::new("joint", kept.merge(pairs(ROWS)).sum_by_key(TOTALS))
        .plan()
        .unwrap();
    let of = |name: &str| plan.sources().iter().position(|s| s.name == name).unwrap() as u32;
    let mut run = plan.instantiate();
    push(&mut run, of("events"), 0, "10 0 7 100");
    run.forget(Some((of("rows"), 0)));
    // Nothing is known of the domain now, so the record begins anew: it does not meet what was under way.
    push(&mut run, of("events"), 1, "20 0 7 5");
    assert_eq!(taken(&plan, &mut run, "totals"), 105);
}

/// O10: a partition of a source that an operator does not read is given, or read anew: what the operator knows is not committed yet,
/// and stays.
#[test]
fn what_others_read_is_not_forgotten() {
    const ROWS: Source<str> = Source::new("rows").timed_by(|line| Timestamp(number(line, 0)));
    let pairs = |source: Source<str>| {
        source
            .read()
            .keyed(|line, out| out.emit(number(line, 2) as u64, number(line, 3)))
    };
    for spread in [true, false] {
        let events = pairs(EVENTS);
        let events = if spread {
            events.in_log_order()
        } else {
            events.within_partition()
        };
        let running = events.scan_by_key(TOTALS).map_values(|n| *n);
        let others = pairs(ROWS).sum_by_key(Store::<u64, i64>::new("others"));
        let job = Job::new("beside", (running.sum_by_key(Store::<u64, i64>::new("sums")), others));
        let plan = job.plan().unwrap();
        let of = |name: &str| plan.sources().iter().position(|s| s.name == name).unwrap() as u32;
        let mut run = plan.instantiate();
        push(&mut run, of("events"), 0, "10 0 7 100");
        run.forget(Some((of("rows"), 0)));
        push(&mut run, of("events"), 1, "20 0 7 5");
        assert_eq!(taken(&plan, &mut run, "sums"), 100 + 105, "spread: {spread}");
    }
}

/// A stream's buffer is a store like others: joined as one, too, it has versions of its own.
#[test]
fn a_buffer_joined_as_a_store() {
    let newest = of(&[1]).as_service(NEWEST);
    let as_stream = of(&[0]).left_join(newest).map_values(|(_, found)| found.unwrap_or(-1));
    let as_store = of(&[0]).left_join(NEWEST.as_service());
    let as_store = as_store.map_values(|(_, found)| match found {
        Some(buffer) => buffer.total().and_then(|last| last.get().copied()).unwrap_or(-2),
        None => -1,
    });
    for stream_first in [true, false] {
        let pairs = |p: KeyedProducer<u64, i64>| p.keyed_pairs(|&key, &found, out| out.emit((key, 0_i64, found), 1));
        let (a, b) = (pairs(as_stream.clone()), pairs(as_store.clone()));
        let both = if stream_first { a.merge(b) } else { b.merge(a) };
        let job = Job::new("both", both.sum_by_key(FOUND));
        let lines = [(1, 0, 0), (2, 1, 4), (3, 0, 0), (4, 1, 9), (5, 0, 0)];
        let given =
            lines.map(|(hour, kind, value)| (Timestamp(hour * HOUR), format!("{} {kind} 7 {value}", hour * HOUR)));
        let run = job.test().given_at(EVENTS, given).every_split().unwrap();
        let got: Found = run.all(FOUND).into_iter().collect();
        assert_eq!(got, Found::from([((7, 0, -1), 2), ((7, 0, 4), 2), ((7, 0, 9), 2)]));
    }
}

/// O21, O1: ids of a partition promise nothing of the keys behind them.
#[test]
fn ids_promise_nothing_of_other_keys() {
    const IDS: Store<(u32, u64), LastSeen> = Store::new("ids");
    let job = |promised: bool| {
        let once = EVENTS.read().dedupe_by(IDS, 3, |line| number(line, 3) as u64);
        let pairs = once.keyed(|line, out| out.emit(number(line, 2) as u64, 1_i64));
        let pairs = if promised { pairs.within_partition() } else { pairs };
        Job::new(
            "once",
            pairs
                .scan_by_key(TOTALS)
                .map_values(|n| *n)
                .sum_by_key(Store::new("sums")),
        )
    };
    assert!(job(true).plan().unwrap().check_partitions(&[2]).is_ok());
    let e = job(false)
        .plan()
        .unwrap()
        .check_partitions(&[2])
        .unwrap_err()
        .to_string();
    assert!(e.contains("scan `totals`") && e.contains("no common order"), "{e}");
}
