//! Operators with memory: what is refused and with which words, which planner rules may not fire above them, and what an
//! executor remembers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rufous_algebra::{Absorb, FloatSum, Monoid};
use rufous_core::*;

const LINES: Source<str> = Source::new("lines");
const MORE: Source<str> = Source::new("more");
const RUNNING: Store<u64, i64> = Store::new("running");
const OTHER: Store<u64, i64> = Store::new("other");
const SEEN: Store<(u64, i64), u64> = Store::new("seen");

/// `key value` a line.
fn pairs(source: Source<str>) -> KeyedProducer<u64, i64> {
    source.read().keyed(|line, out| {
        if let Some((key, value)) = line.split_once(' ') {
            out.emit(key.parse::<u64>().unwrap_or(0), value.parse().unwrap_or(0));
        }
    })
}

fn seen(totals: KeyedProducer<u64, i64>) -> Summed<(u64, i64), u64> {
    totals
        .keyed_pairs(|key: &u64, total, out| out.emit((*key, *total), 1))
        .sum_by_key(SEEN)
}

fn refusal(tails: impl Tails<Anywhere>) -> String {
    let job: Job = Job::new("job", tails);
    let error = job.plan().err().expect("this job is refused");
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    error.to_string()
}

fn plan(tails: impl Tails<Anywhere>) -> Plan {
    let job: Job = Job::new("job", tails);
    job.plan().expect("this job is accepted")
}

/// O1: what is for the right side of a join says nothing of the records of another operator, nor of a left side.
#[test]
fn broadcast_is_for_what_a_join_finds() {
    let text = refusal(seen(pairs(LINES).broadcast().scan_by_key(RUNNING)));
    assert!(
        text.contains("scan `running` (core/tests/operators.rs:")
            && text.contains("its records come from behind `.broadcast()`, which is for what a join finds")
            && text.contains("`.in_log_order()`"),
        "{text}"
    );
    let joined = pairs(LINES).broadcast().left_join(RUNNING.as_service());
    let joined = joined.map_values(|(v, _)| *v).sum_by_key(OTHER);
    let text = refusal((joined, pairs(MORE).sum_by_key(RUNNING)));
    assert!(
        text.contains("join with `running`") && text.contains("`.broadcast()`, which is for what a join finds"),
        "{text}"
    );
}

/// O1, O5: all partitions are one domain where one operator says so, and all that share a source with it are taken in that order;
/// what a join of them needs is said by both sides, or by a right side that everybody sees.
#[test]
fn domains_of_all_partitions() {
    const THIRD: Source<str> = Source::new("third");
    const THIRDS: Store<u64, i64> = Store::new("thirds");
    const SEEN_TOO: Store<(u64, i64), u64> = Store::new("seen-too");
    let joint = |plan: &Plan| -> Vec<(Vec<&'static str>, bool)> {
        let names = |g: &Joint| {
            let mut names: Vec<_> = g.sources.iter().map(|s| plan.sources()[*s].name).collect();
            names.sort_unstable();
            (names, g.spread)
        };
        plan.domains().iter().map(names).collect()
    };
    let spread = || pairs(LINES).in_log_order().scan_by_key(RUNNING);
    let one = plan(seen(spread()));
    assert_eq!(joint(&one), [(vec!["lines"], true)]);
    one.check_partitions(&[12]).expect("one order over all");
    one.check_layers().expect("both layers emit the same");
    let text = one.explain(None);
    assert!(text.contains("in one order of all partitions"), "{text}");
    assert!(
        text.contains("  lines  all partitions in one, read by one process"),
        "{text}"
    );
    // Any number of partitions of each; and the coarser of two words.
    let both = seen(
        { pairs(LINES).in_log_order() }
            .merge(pairs(MORE).within_partition())
            .scan_by_key(RUNNING),
    );
    let both = plan(both);
    assert_eq!(joint(&both), [(vec!["lines", "more"], true)]);
    both.check_partitions(&[12, 5]).expect("any number of each");
    // One that keeps its keys apart is in the order of the coarser one; its own number of partitions stays checked.
    let kept = |source| pairs(source).within_partition();
    let apart = kept(MORE).merge(kept(THIRD)).scan_by_key(THIRDS);
    let apart = apart.keyed_pairs(|key: &u64, total, out| out.emit((*key, *total), 1));
    let beside = pairs(LINES).in_log_order().merge(pairs(MORE).in_log_order());
    let shared = plan((seen(beside.scan_by_key(RUNNING)), apart.sum_by_key(SEEN_TOO)));
    assert_eq!(joint(&shared), [(vec!["lines", "more", "third"], true)]);
    let by_name = [("lines", 7), ("more", 3), ("third", 3)];
    let counts = |wrong: Option<(&str, usize)>| -> Vec<usize> {
        let n = |face: &SourceFace| {
            let said = by_name.iter().copied().find(|(name, _)| *name == face.name);
            wrong.filter(|w| w.0 == face.name).or(said).map_or(0, |(_, n)| n)
        };
        shared.sources().iter().map(n).collect()
    };
    shared.check_partitions(&counts(None)).expect("partition i of two");
    let text = shared
        .check_partitions(&counts(Some(("third", 4))))
        .expect_err("3 and 4")
        .to_string();
    assert!(text.contains("scan `thirds`"), "{text}");

    // Joins: of a left side that says nothing.
    let join = |left: KeyedProducer<u64, i64>, right: KeyedProducer<u64, i64>| {
        let found = left.left_join(RUNNING.as_service()).map_values(|(v, _)| *v);
        plan((found.sum_by_key(OTHER), right.sum_by_key(RUNNING)))
    };
    let broad = join(pairs(LINES), pairs(MORE).broadcast());
    assert_eq!(joint(&broad), [(vec!["lines", "more"], true)]);
    broad.check_partitions(&[12, 5]).expect("any number of each");
    let text = broad.explain(None);
    assert!(
        text.contains("each left partition with all right ones, run in one order of all partitions"),
        "{text}"
    );
    let unsaid = join(pairs(LINES), pairs(MORE).in_log_order());
    let text = unsaid.check_partitions(&[2, 2]).expect_err("one side only").to_string();
    assert!(
        text.contains("join with `running`") && text.contains("no common order"),
        "{text}"
    );
    let coarser = join(kept(LINES), pairs(MORE).in_log_order());
    coarser.check_partitions(&[2, 3]).expect("the coarser of two");

    // Records of several partitions have no order without times.
    const OFFSETS: Source<str> = Source::new("lines").batches(Batcher::of_offsets(100));
    let offsets = plan(seen(pairs(OFFSETS).in_log_order().scan_by_key(RUNNING)));
    let specs: Vec<_> = offsets.sources().iter().map(|face| face.cut_spec(true)).collect();
    let text = offsets.check_clocks(&specs).expect_err("no times").to_string();
    assert!(
        text.contains("`lines` has batches of offsets, which have no times"),
        "{text}"
    );
}

/// O16: deltas have no value after each record, nor have the pairs of `totals`.
#[test]
fn operators_behind_deltas_are_refused() {
    let behind = pairs(LINES).sum_by_key(RUNNING).deltas().sum_by_key(OTHER).changes();
    let text = refusal(seen(behind.map_values(|(_, after)| *after)));
    assert!(
        text.contains("deltas of `running` come in unspecified groups"),
        "{text}"
    );
    let behind = pairs(LINES)
        .sum_by_key(RUNNING)
        .totals(|key, total, out| out.emit(*key, *total))
        .sum_by_key(OTHER)
        .changes();
    let text = refusal(seen(behind.map_values(|(_, after)| *after)));
    assert!(
        text.contains("deltas of `running` come in unspecified groups"),
        "{text}"
    );
}

/// O1: several partitions have no common order; O13: layers would differ over approximate sums, and over two sources.
#[test]
fn what_runs_refuse() {
    let one = plan(seen(pairs(LINES).scan_by_key(RUNNING)));
    one.check_partitions(&[1]).expect("one partition is one order");
    let text = one.check_partitions(&[12]).expect_err("no order").to_string();
    assert!(
        text.contains("scan `running`")
            && text.contains("12 partitions of `lines`, which have no common order")
            && text.contains("else `.in_log_order()` (one process, heartbeats in every partition)"),
        "{text}"
    );
    let kept = plan(seen(pairs(LINES).within_partition().scan_by_key(RUNNING)));
    kept.check_partitions(&[12]).expect("a key stays in its partition");
    kept.check_layers().expect("both layers emit the same");
    // Both branches must say it.
    let half = pairs(LINES).within_partition().merge(pairs(LINES));
    assert!(plan(seen(half.scan_by_key(RUNNING))).check_partitions(&[2]).is_err());

    let two = plan(seen(
        pairs(LINES).merge(pairs(MORE)).within_partition().scan_by_key(RUNNING),
    ));
    two.check_layers().expect("one order");
    two.check_partitions(&[3, 3]).expect("partition i of both");
    let text = two.check_partitions(&[12, 4]).expect_err("another number").to_string();
    assert!(
        text.contains("scan `running`") && text.contains("`lines` has 12 partitions and `more` has 4"),
        "{text}"
    );

    const SUMS: Store<u64, FloatSum> = Store::new("sums");
    let sums = pairs(LINES).within_partition().map_values(|v| {
        let mut sum = FloatSum::zero();
        sum.absorb(&(*v as f64));
        sum
    });
    let floats = plan(seen(sums.scan_by_key(SUMS).map_values(|_| 0)));
    let text = floats.check_layers().expect_err("approximate").to_string();
    assert!(
        text.contains("reads `sums` (float-sum") && text.contains("the layers would emit different values"),
        "{text}"
    );
}

/// O1, O5: operators that share a source share its domains. Sources of one operator are cut alike (section 7).
#[test]
fn domains_of_several_sources() {
    const THIRD: Source<str> = Source::new("third");
    const FOURTH: Source<str> = Source::new("fourth");
    const THIRDS: Store<u64, i64> = Store::new("thirds");
    const SEEN_TOO: Store<(u64, i64), u64> = Store::new("seen-too");
    let kept = |source| pairs(source).within_partition();
    let too = |totals: KeyedProducer<u64, i64>| {
        totals
            .keyed_pairs(|key: &u64, total, out| out.emit((*key, *total), 1))
            .sum_by_key(SEEN_TOO)
    };
    let first = seen(kept(LINES).merge(kept(MORE)).scan_by_key(RUNNING));
    let alone = kept(FOURTH).scan_by_key(OTHER).map_values(|n| *n).sum_by_key(THIRDS);
    let apart = plan((first.clone(), alone.clone()));
    let names = |plan: &Plan| -> Vec<Vec<&'static str>> {
        let name = |s: &usize| plan.sources()[*s].name;
        let domains = plan.domains();
        domains.iter().map(|g| g.sources.iter().map(name).collect()).collect()
    };
    assert_eq!(
        names(&apart).concat().len(),
        2,
        "one of one source is its own: {:?}",
        names(&apart)
    );
    let second = too(kept(MORE).merge(kept(THIRD)).scan_by_key(THIRDS));
    let mut shared = names(&plan((first, second)));
    assert_eq!(shared.len(), 1, "{shared:?}");
    shared[0].sort_unstable();
    assert_eq!(shared[0], ["lines", "more", "third"]);

    const DAILY: Source<str> = Source::new("more").batches(Batcher::of_days(1));
    const OFFSETS: Source<str> = Source::new("more").batches(Batcher::of_offsets(100));
    const EVENTS: Source<str> = Source::new("more").timed_by(|_| Timestamp(0)).batch_clock(Clock::Event);
    for (other, words) in [
        (
            DAILY,
            "`lines` has batches of 1 hour and `more` of 1 day; the sources of one operator need one batcher",
        ),
        (OFFSETS, "`more` has batches of offsets, which have no times"),
        (
            EVENTS,
            "`lines` is cut by the log's time and `more` by event time; the sources of one operator need one kind of clock",
        ),
    ] {
        let plan = plan(seen(kept(LINES).merge(kept(other)).scan_by_key(RUNNING)));
        let specs: Vec<_> = plan.sources().iter().map(|face| face.cut_spec(true)).collect();
        let text = plan.check_clocks(&specs).expect_err("cut differently").to_string();
        assert!(text.contains("scan `running`") && text.contains(words), "{text}");
    }
}

/// Rules that add up, repeat or move records stay away from what an operator reads.
#[test]
fn rules_that_may_not_fire() {
    let fan = || pairs(LINES).flat_map_keys(|key: &u64, out| (0..3).for_each(|i| out.emit(key + i)));
    let fires = |text: &str, rule: &str| text.contains(&format!("  {rule}:"));
    let plain = plan(fan().sum_by_key(RUNNING)).explain(None);
    assert!(fires(&plain, "combine-before-keys"), "{plain}");
    let scanned = plan(seen(fan().scan_by_key(RUNNING))).explain(None);
    assert!(!fires(&scanned, "combine-before-keys"), "{scanned}");
    // Behind the operator they may.
    let behind = pairs(LINES)
        .scan_by_key(RUNNING)
        .flat_map_keys(|key: &u64, out| (0..3).for_each(|i| out.emit(key + i)))
        .sum_by_key(OTHER);
    let behind = plan(behind).explain(None);
    assert!(fires(&behind, "combine-before-keys"), "{behind}");
    // Where branches meet filters stay where they are: they decide where chunks end.
    let filtered = |pairs: KeyedProducer<u64, i64>| pairs.map_values(|v| v + 1).filter_keys(|key| key % 2 == 0);
    let alone = plan(seen(filtered(pairs(LINES)).scan_by_key(RUNNING)));
    assert!(fires(&alone.explain(None), "filter-keys-first") && !alone.one_by_one());
    let both = plan(seen(filtered(pairs(LINES)).merge(pairs(LINES)).scan_by_key(RUNNING)));
    let text = both.explain(None);
    assert!(both.one_by_one() && !fires(&text, "filter-keys-first"), "{text}");
    assert!(text.contains("records run one by one"), "{text}");
}

#[derive(Clone)]
struct Page(u64);
impl Record for Page {
    const FIELDS: &'static [Field] = &[Field {
        name: "page",
        ty: FieldType::Integer,
        optional: false,
    }];
    fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
        row.get(0).map(Self)
    }
}

/// Equal records may run once for all of them, unless an operator emits for each.
#[test]
fn records_are_not_repeated() {
    const PAGES: Source<Page> = Source::new("pages");
    let pages = || PAGES.read().keyed(|p, out| out.emit(p.0, 1_i64));
    assert!(plan(pages().sum_by_key(RUNNING)).may_repeat(0));
    assert!(!plan(seen(pages().scan_by_key(RUNNING))).may_repeat(0));
    assert!(!plan(seen(pages().scan_by_key(RUNNING))).operators().is_empty());
}

/// A committed store, as a platform has it, which counts what it is asked.
#[derive(Clone, Default)]
struct Kept {
    values: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
    asked: Arc<Mutex<usize>>,
}

impl OperatorState for Kept {
    fn values(&mut self, wanted: &Wanted<'_>) -> Result<Vec<Option<Vec<u8>>>> {
        *self.asked.lock().unwrap() += wanted.keys.len();
        let values = self.values.lock().unwrap();
        Ok(wanted.keys.iter().map(|key| values.get(key).cloned()).collect())
    }
}

impl Kept {
    /// What a commit does.
    fn add(&self, plan: &Plan, deltas: &dyn Deltas) {
        let face = &plan.stores()[0];
        let mut values = self.values.lock().unwrap();
        let added = deltas.for_each(&mut |d| {
            let mut sum = Vec::new();
            let before = values.get(d.key).cloned();
            let parts = before.as_deref().into_iter().chain([d.value]);
            face.value.sum(&mut parts.into_iter(), &mut sum).expect("numbers");
            values.insert(d.key.to_vec(), sum);
            Ok(())
        });
        added.expect("nothing fails");
    }
}

fn meta(partition: u32) -> ChunkMeta {
    ChunkMeta {
        source: 0,
        partition,
        batch: BatchId(0),
    }
}

fn push(run: &mut Executor, partition: u32, lines: &[String]) -> Result<()> {
    let mut chunk = TextChunk::default();
    lines.iter().for_each(|line| chunk.push(line));
    run.push(&meta(partition), &mut chunk)
}

/// Running totals over keys that are far more than are remembered, commits that are a chunk behind, and failed ones: against a
/// plain map. Wrong would be: to forget what is not committed, to keep what a failed commit took back, to never forget.
#[test]
fn what_is_not_committed_is_not_forgotten() {
    let plan = plan(seen(pairs(LINES).within_partition().scan_by_key(RUNNING)));
    let kept = Kept::default();
    let mut run = plan.instantiate();
    const LIMIT: usize = 64 << 10;
    run.remember(Box::new(kept.clone()), Some(LIMIT));
    let mut random = 7_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut lines: Vec<(u64, i64)> = (0..60_000)
        .map(|_| (next() % 20_000, (next() % 9) as i64 - 4))
        .collect();
    // Some keys all the time.
    lines.iter_mut().step_by(7).for_each(|l| l.0 %= 10);
    let mut expected: BTreeMap<(u64, i64), u64> = BTreeMap::new();
    let mut totals: BTreeMap<u64, i64> = BTreeMap::new();
    for (key, value) in &lines {
        let total = totals.entry(*key).or_default();
        *total += value;
        *expected.entry((*key, *total)).or_default() += 1;
    }
    let mut found: BTreeMap<(u64, i64), u64> = BTreeMap::new();
    // What was taken and is not committed yet, with the place up to which it was read.
    let mut flying: Option<(Vec<Box<dyn Deltas>>, usize)> = None;
    let (mut at, mut committed, mut failures, mut most) = (0, 0, 0, 0);
    while committed < lines.len() {
        let to = (at + 300).min(lines.len());
        let text: Vec<String> = lines[at..to].iter().map(|(k, v)| format!("{k} {v}")).collect();
        push(&mut run, 0, &text).expect("a run");
        at = to;
        most = most.max(run.remembered());
        // One chunk is on its way at most: it lands before the next is taken.
        if let Some((deltas, upto)) = flying.take() {
            if next() % 5 == 0 {
                failures += 1;
                run.discard().expect("discarded");
                at = committed;
                continue;
            }
            kept.add(&plan, &*deltas[0]);
            let counted = deltas[1].for_each(&mut |d| {
                let key: (u64, i64) = key::decode_all(d.key).expect("a key");
                *found.entry(key).or_default() += u64::from_le_bytes(d.value.try_into().expect("a number"));
                Ok(())
            });
            counted.expect("nothing fails");
            committed = upto;
        }
        let upto = at;
        flying = Some((run.take(Vec::new()).expect("deltas"), upto));
    }
    assert_eq!(found, expected);
    assert!(failures > 10, "{failures}");
    // Keys were forgotten and asked for again, and the limit is about kept: tables grow by doubling.
    let asked = *kept.asked.lock().unwrap();
    assert!(asked > 25_000, "{asked}");
    assert!(most < 3 * LIMIT, "{most}");
}

/// Of eight-byte keys as of others, shared chunks as of owned ones.
#[test]
fn a_partition_is_forgotten_alone() {
    let plan = plan(seen(pairs(LINES).within_partition().scan_by_key(RUNNING)));
    let kept = Kept::default();
    let mut run = plan.instantiate();
    run.remember(Box::new(kept.clone()), None);
    push(&mut run, 0, &["1 10".into(), "1 1".into()]).expect("a run");
    push(&mut run, 1, &["2 20".into()]).expect("a run");
    for deltas in run.take(Vec::new()).expect("deltas").iter().take(1) {
        kept.add(&plan, &**deltas);
    }
    run.forget(Some((0, 0)));
    // As somebody else would have left it.
    kept.values
        .lock()
        .unwrap()
        .insert(key::to_bytes(&1_u64), 100_i64.to_le_bytes().to_vec());
    kept.values
        .lock()
        .unwrap()
        .insert(key::to_bytes(&2_u64), 200_i64.to_le_bytes().to_vec());
    push(&mut run, 0, &["1 1".into()]).expect("a run");
    push(&mut run, 1, &["2 2".into()]).expect("a run");
    let mut seen = Vec::new();
    let deltas = run.take(Vec::new()).expect("deltas");
    let all = deltas[1].for_each(&mut |d| {
        seen.push(key::decode_all::<(u64, i64)>(d.key).expect("a key"));
        Ok(())
    });
    all.expect("nothing fails");
    assert_eq!(seen, [(1, 101), (2, 22)]);
}

/// O2: the error names the key and both partitions.
#[test]
fn a_key_of_two_partitions_is_an_error() {
    let plan = plan(seen(pairs(LINES).within_partition().scan_by_key(RUNNING)));
    let mut run = plan.instantiate();
    push(&mut run, 5, &["7 1".into()]).expect("a run");
    push(&mut run, 2, &["8 1".into()]).expect("a run");
    let e = push(&mut run, 2, &["7 1".into()]).expect_err("a key in two partitions");
    assert_eq!(e.kind(), ErrorKind::InvalidRequest);
    assert!(
        e.to_string()
            .starts_with("key `7` of `running` came from partitions 2 and 5, but the job says `.within_partition()`"),
        "{e}"
    );
}

/// What an operator emits rests on the records before, which a record that is tried alone does not have: nobody is blamed.
#[test]
fn records_are_not_tried_alone() {
    let pairs = || {
        LINES.read().keyed(|line, out| {
            assert!(line != "poison", "will not count it");
            out.emit(line, 1_i64);
        })
    };
    let tried = |job: Job| {
        let plan = job.plan().unwrap();
        let mut chunk = TextChunk::default();
        chunk.push("poison");
        rufous_core::Trial::new(&plan).record(0, &mut chunk, false).is_some()
    };
    const TOTALS: Store<String, i64> = Store::new("totals-of-lines");
    const ROUND: Store<String, i64> = Store::new("round");
    assert!(tried(Job::new("sum", pairs().sum_by_key(TOTALS))));
    assert!(!tried(Job::new("scan", pairs().scan_by_key(TOTALS).sum_by_key(ROUND))));
}
