//! Equation 2 for a user's own job: whole == prefix in bulk + rest live, at every split; in any order; whatever is delivered
//! twice, and wherever the process is killed.

use std::num::NonZeroU64;

use rufous_core::{BatchId, ChunkMeta, Executor, Plan, Result, Rules};

use super::layers::{Frontier, Lane, Partition, Realtime, lanes, offline};
use super::{TestRun, compare};
use crate::given::{Bound, CHUNK};
use crate::totals::Totals;

/// Splits that are tried at most, when there are more.
const SPLITS: usize = 200;
/// Realtime runs, each with other pieces, commits and crashes.
const RUNS: u64 = 3;

/// A small random generator: xorshift64* (Marsaglia 2003, Vigna 2016). The same numbers in every run.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n.max(1) as u64) as usize
    }
    fn shuffle(&mut self, items: &mut [usize]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

impl TestRun<'_, rufous_core::Anywhere> {
    /// Runs the job whole; then in chunks of 1, 3 and 1024 records, shuffled, and without the planner's rules; then with the
    /// log split between an offline and a realtime layer, at every combination of batch bounds of the partitions (of more than
    /// 200, a sample that holds the first and the last of each); the realtime layer is killed now and then and reads again
    /// what it had not committed. All must leave the same: equal bytes in stores and counters, as many records in sinks, equal
    /// ones where the test says [`compare`](Self::compare) (of the realtime layer, which writes from the start). Returns the
    /// whole run.
    ///
    /// A job in order has no such test: its answers are those of one order.
    ///
    /// # Errors
    /// As [`run`](TestRun::run); and `InvalidRequest` when two answers differ, which names store or sink, key, both values and
    /// the way that gave the other one.
    pub fn every_split(self) -> Result<Totals> {
        let Self { job, memory, script } = self;
        script.check()?;
        let whole = job.run_on(&memory)?;
        let plan = memory.plan(job, &Rules::all())?;
        let sources = memory.inputs.of(&plan, "memory")?;
        let partitions: Vec<Partition> = (0..sources.len())
            .flat_map(|s| Partition::of(&plan, s, &sources[s], &script))
            .collect();
        let lanes = lanes(&plan, &partitions);
        let mut random = Random(0x5eed);
        for (rules, name) in [(Rules::all(), "with"), (Rules::none(), "without")] {
            let plan = memory.plan(job, &rules)?;
            for chunk in [1, 3, CHUNK] {
                for shuffled in [false, true] {
                    let other = run(
                        &plan,
                        &sources,
                        &partitions,
                        &lanes,
                        chunk,
                        shuffled.then_some(&mut random),
                    )?;
                    let order = if shuffled { "shuffled" } else { "as given" };
                    let how = format!("in chunks of {chunk}, {order}, {name} the planner's rules");
                    compare::totals(&plan, &script, &whole, &other, &how)?;
                }
            }
        }
        // A plan may let equal records run once with their number: three of each, in both ways.
        let (once, thrice) = repeated(&plan, &sources)?;
        compare::totals(
            &plan,
            &script,
            &thrice,
            &once,
            "each record three times, run once for all three",
        )?;
        for n in 0..RUNS {
            let mut random = Random(0x5eed + n);
            let realtime = Realtime::run(&plan, &sources, &partitions, &lanes, &mut random, None)?;
            compare::sinks(&plan, &script, &whole, &realtime.sinks, "live, and killed now and then")?;
            for frontier in frontiers(&partitions, &lanes, &mut random) {
                let offline = offline(&plan, &sources, &partitions, &lanes, &frontier)?;
                // An operator's state is the generation's where the live part begins there.
                let later = match plan.operators() {
                    [] => None,
                    _ => Some(Realtime::run(
                        &plan,
                        &sources,
                        &partitions,
                        &lanes,
                        &mut random,
                        Some((&frontier, &offline)),
                    )?),
                };
                for (s, face) in plan.stores().iter().enumerate() {
                    let (Some(whole), Some(offline)) = (whole.bytes(face.name), offline.bytes(face.name)) else {
                        continue;
                    };
                    let answers = realtime.answers(&plan, s, offline, &frontier)?;
                    compare::stores(&plan, &script, face, whole, &answers, &show(&plan, &frontier))?;
                    if let Some(later) = &later {
                        let answers = later.answers(&plan, s, offline, &frontier)?;
                        let how = format!("{}, live from there", show(&plan, &frontier));
                        compare::stores(&plan, &script, face, whole, &answers, &how)?;
                    }
                }
            }
        }
        Ok(whole)
    }
}

fn run(
    plan: &Plan,
    sources: &[Bound<'_>],
    partitions: &[Partition],
    lanes: &[Lane],
    chunk: usize,
    mut shuffled: Option<&mut Random>,
) -> Result<Totals> {
    let mut run = plan.instantiate();
    if !plan.operators().is_empty() {
        by_lane(plan, sources, (partitions, lanes), chunk, shuffled, &mut run)?;
        let mut totals = Totals::of(plan);
        totals.add(plan, &mut run)?;
        return Ok(totals);
    }
    for (s, given) in sources.iter().enumerate() {
        let mut records: Vec<usize> = (0..given.len()).collect();
        if let Some(random) = &mut shuffled {
            random.shuffle(&mut records);
        }
        let meta = ChunkMeta {
            source: s as u32,
            partition: 0,
            batch: BatchId(0),
        };
        for some in records.chunks(chunk) {
            given.push_some(some, &meta, &mut run)?;
        }
    }
    let mut totals = Totals::of(plan);
    totals.add(plan, &mut run)?;
    Ok(totals)
}

/// Every lane in its order, one after the other or in turns.
fn by_lane(
    plan: &Plan,
    sources: &[Bound<'_>],
    (partitions, lanes): (&[Partition], &[Lane]),
    chunk: usize,
    mut shuffled: Option<&mut Random>,
    run: &mut Executor,
) -> Result<()> {
    let chunk = if plan.one_by_one() { 1 } else { chunk };
    let mut next = vec![0; lanes.len()];
    loop {
        let mut open = (0..lanes.len()).filter(|l| next[*l] < lanes[*l].order.len());
        let l = match &mut shuffled {
            Some(random) => {
                let open: Vec<usize> = open.collect();
                open.get(random.below(open.len())).copied()
            }
            None => open.next(),
        };
        let Some(l) = l else { return Ok(()) };
        let to = (next[l] + chunk).min(lanes[l].order.len());
        // Runs of one partition, as large as the order allows.
        for some in lanes[l].order[next[l]..to].chunk_by(|a, b| a.0 == b.0) {
            if let (Some(&(p, from)), Some(&(_, last))) = (some.first(), some.last()) {
                partitions[p].push(sources, from..last + 1, run)?;
            }
        }
        next[l] = to;
    }
}

/// Every record of the sources that may be read so three times, run once and run thrice.
fn repeated(plan: &Plan, sources: &[Bound<'_>]) -> Result<(Totals, Totals)> {
    let (mut once, mut thrice) = (plan.instantiate(), plan.instantiate());
    let three = NonZeroU64::MIN.saturating_add(2);
    for (s, given) in sources.iter().enumerate().filter(|(s, _)| plan.may_repeat(*s)) {
        let meta = ChunkMeta {
            source: s as u32,
            partition: 0,
            batch: BatchId(0),
        };
        for some in (0..given.len()).collect::<Vec<_>>().chunks(CHUNK) {
            given.push_repeated(some, three, &meta, &mut once)?;
            for _ in 0..three.get() {
                given.push_some(some, &meta, &mut thrice)?;
            }
        }
    }
    let totals = |mut run| {
        let mut totals = Totals::of(plan);
        totals.add(plan, &mut run)?;
        Ok(totals)
    };
    Ok((totals(once)?, totals(thrice)?))
}

/// Every combination of cuts, if they are few; else those at which all partitions stand at their n-th cut, and others drawn.
fn frontiers(partitions: &[Partition], lanes: &[Lane], random: &mut Random) -> Vec<Frontier> {
    let cuts: Vec<_> = lanes.iter().map(|lane| lane.cuts(partitions)).collect();
    let all = cuts
        .iter()
        .try_fold(1_usize, |n, c| n.checked_mul(c.len()).filter(|n| *n <= SPLITS));
    let frontier = |pick: &mut dyn FnMut(usize, usize) -> usize| -> Frontier {
        let mut all = Frontier::new();
        for (i, (lane, cuts)) in lanes.iter().zip(&cuts).enumerate() {
            let cut = &cuts[pick(i, cuts.len())];
            let named = lane
                .of
                .iter()
                .map(|p| (partitions[*p].source as u32, partitions[*p].number));
            all.extend(named.zip(cut.iter().copied()));
        }
        all
    };
    match all {
        Some(n) => (0..n)
            .map(|mut n| {
                frontier(&mut |_, len| {
                    let pick = n % len;
                    n /= len;
                    pick
                })
            })
            .collect(),
        None => {
            let most = cuts.iter().map(Vec::len).max().unwrap_or(1);
            let levels = most.min(SPLITS / 2);
            // From the first cut of every partition to the last.
            let level = (0..levels).map(|n| frontier(&mut |_, len| n * (len - 1) / (levels - 1).max(1)));
            let mut some: Vec<_> = level.collect();
            while some.len() < SPLITS {
                some.push(frontier(&mut |_, len| random.below(len)));
            }
            some
        }
    }
}

fn show(plan: &Plan, frontier: &Frontier) -> String {
    let one = |((source, partition), (cut, _)): (&(u32, u32), &(usize, BatchId))| {
        let name = plan.sources().get(*source as usize).map_or("?", |s| s.name);
        format!("{name}/{partition} at {cut}")
    };
    let all: Vec<_> = frontier.iter().map(one).collect();
    format!("split between offline and realtime ({})", all.join(", "))
}
