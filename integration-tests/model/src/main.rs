mod external;
mod hybrid;
mod idle;
mod operators;
mod overlay;
mod repartition;
mod sink;
mod state;
mod sums;
mod upgrade;
use hybrid::*;
use stateright::{Checker, Model};
use std::time::{Duration, Instant};

pub struct Outcome {
    pub bad: Vec<(String, usize)>,
    pub complete: bool,
}

fn run(cfg: Cfg, limit_s: u64) -> Outcome {
    let name = cfg.name;
    let mutation = cfg.mutation;
    let t = Instant::now();
    let mut b = Hybrid { cfg }
        .checker()
        .threads(2)
        .timeout(Duration::from_secs(limit_s));
    if mutation != Mutation::None {
        b = b.finish_when(stateright::HasDiscoveries::AnyFailures);
    }
    let checker = b.spawn_bfs().join();
    let complete = t.elapsed() < Duration::from_secs(limit_s);
    let mut bad = vec![];
    let mut missing = vec![];
    for prop in Model::properties(checker.model()) {
        let d = checker.discovery(prop.name);
        match prop.expectation {
            stateright::Expectation::Sometimes => {
                if d.is_none() {
                    missing.push(prop.name.to_string());
                }
            }
            _ => {
                if let Some(path) = d {
                    let acts = path.into_actions();
                    if std::env::var("TRACE").is_ok() {
                        println!("    {}: {:?}", prop.name, acts);
                    }
                    bad.push((prop.name.to_string(), acts.len()));
                }
            }
        }
    }
    println!(
        "{:<18} {:<21} {:>9} states depth {:>2} {:>6.1}s {} {}{}",
        name,
        format!("{:?}", mutation),
        checker.unique_state_count(),
        checker.max_depth(),
        t.elapsed().as_secs_f32(),
        if mutation != Mutation::None {
            ""
        } else if complete {
            "complete"
        } else {
            "CUT OFF"
        },
        if bad.is_empty() {
            "no violation".to_string()
        } else {
            format!("VIOLATED {:?}", bad)
        },
        if mutation == Mutation::None && !missing.is_empty() {
            format!(" never seen {:?}", missing)
        } else {
            String::new()
        }
    );
    Outcome { bad, complete }
}

fn scenarios() -> Vec<Cfg> {
    let mut v = vec![];
    // two processes and zombies (3 acquisitions over 2 processes), crash anywhere, lost acknowledgement
    let mut c = Cfg::base("shared-commit");
    c.max_acklost = 1;
    c.max_publishes = 1;
    v.push(c);
    // one partition, more owners: zombie wakes up after two hand-overs
    let mut c = Cfg::base("zombies");
    c.logs = vec![vec![0, 3, 1, 4], vec![]];
    c.max_acquires = 5;
    c.max_acklost = 2;
    c.max_publishes = 2;
    c.rollback = true;
    v.push(c);
    // generations: racing runs, backfill beside the live line, rollback, drop
    let mut c = Cfg::base("generations");
    c.logs = vec![vec![0, 3, 4], vec![]];
    c.max_acquires = 2;
    c.max_publishes = 3;
    c.run_slots = 2;
    c.backfill = true;
    c.rollback = true;
    c.chunk_any = false;
    c.max_label = 3;
    v.push(c);
    // archive with two workers (one may be a zombie), orphan files
    let mut c = Cfg::base("archive-workers");
    c.logs = vec![vec![0, 3, 1, 4], vec![2]];
    c.max_acquires = 2;
    c.archive_workers = 2;
    c.max_arch_starts = 4;
    c.chunk_any = false;
    v.push(c);
    // per-process shards: moves, lost disks, checkpoints of any age
    let mut c = Cfg::base("shards");
    c.mode = Mode::Shards;
    c.logs = vec![vec![0, 3, 1, 4], vec![]];
    c.max_acquires = 4;
    c.max_diskloss = 1;
    c.max_copy = 1;
    c.chunk_any = false;
    v.push(c);
    let mut c = Cfg::base("shards-rollback");
    c.mode = Mode::Shards;
    c.logs = vec![vec![0, 3, 1, 4], vec![2]];
    c.max_publishes = 3;
    c.max_diskloss = 1;
    c.rollback = true;
    c.chunk_any = false;
    v.push(c);
    // retention overtakes the job, the archive, or both
    let mut c = Cfg::base("retention");
    c.logs = vec![vec![0, 5, 1, 3, 2], vec![]];
    c.max_acquires = 3;
    c.max_publishes = 3;
    c.max_truncate = 3;
    c.chunk_any = false;
    v.push(c);
    let mut c = Cfg::base("retention-rollback");
    c.logs = vec![vec![0, 3, 1, 4], vec![]];
    c.max_acquires = 4;
    c.max_publishes = 3;
    c.max_truncate = 3;
    c.rollback = true;
    c.chunk_any = false;
    v.push(c);
    // a timestamp far ahead, each record raises the batch by one at most
    let mut c = Cfg::base("max-step");
    c.logs = vec![vec![0, 90, 1, 2, 5], vec![2]];
    c.max_step = 1;
    c.chunk_any = false;
    v.push(c);
    // shards with everything at once, small
    let mut c = Cfg::base("shards-retention");
    c.mode = Mode::Shards;
    c.logs = vec![vec![0, 3, 1, 4], vec![]];
    c.max_acquires = 3;
    c.max_publishes = 3;
    c.max_truncate = 2;
    c.max_diskloss = 1;
    c.max_copy = 1;
    c.rollback = true;
    c.chunk_any = false;
    v.push(c);
    // the same, with the far-ahead record or the cut record lost to retention
    let mut c = Cfg::base("max-step-retention");
    c.logs = vec![vec![0, 90, 1, 90, 2], vec![]];
    c.max_step = 1;
    c.max_truncate = 3;
    c.rollback = true;
    c.chunk_any = false;
    v.push(c);
    // allowed lateness > 0: batches interleave in offset order
    let mut c = Cfg::base("lateness");
    c.lateness = 1;
    c.logs = vec![vec![0, 2, 1, 4, 3], vec![2, 1]];
    c.chunk_any = false;
    v.push(c);
    v
}

fn small<M>(name: &str, model: M, must_fail: bool) -> bool
where
    M: Model + Send + Sync + 'static,
    M::State: Send + Sync + std::hash::Hash + Clone + std::fmt::Debug + PartialEq + 'static,
    M::Action: Send + Sync + Clone + std::fmt::Debug + PartialEq + 'static,
{
    let mut b = model.checker().threads(2);
    if must_fail {
        b = b.finish_when(stateright::HasDiscoveries::AnyFailures);
    }
    let c = b.spawn_bfs().join();
    let mut bad = vec![];
    for prop in Model::properties(c.model()) {
        if prop.expectation == stateright::Expectation::Sometimes {
            if !must_fail && c.discovery(prop.name).is_none() {
                println!("    never seen: {}", prop.name);
            }
            continue;
        }
        if let Some(path) = c.discovery(prop.name) {
            let acts = path.into_actions();
            if std::env::var("TRACE").is_ok() {
                println!("    {}: {:?}", prop.name, acts);
            }
            bad.push((prop.name, acts.len()));
        }
    }
    let ok = bad.is_empty() != must_fail;
    println!(
        "{:<42} {:>8} states  {}{}",
        name,
        c.unique_state_count(),
        if bad.is_empty() {
            "no violation".to_string()
        } else {
            format!("VIOLATED {bad:?}")
        },
        if ok { "" } else { "   UNEXPECTED" }
    );
    ok
}

fn smalls() -> bool {
    use upgrade::{Rule as Up, Upgrade};
    use {external::*, idle::*, repartition::*};
    let mut ok = true;
    for (place, fail) in [
        (Where::Nowhere, false),
        (Where::Marker, false),
        (Where::StoreArchiveFollows, false),
        (Where::StoreArchiveFree, true),
        (Where::ControlTopic, true),
    ] {
        ok &= small(
            &format!("idle decision: {place:?}"),
            Idle {
                place,
                script: vec![0, 0, 2],
            },
            fail,
        );
    }
    for (label, close, rep, fail) in [
        (Label::Raw, Close::Final, false, false),
        (Label::Clamped, Close::Final, false, true),
        (Label::Raw, Close::Guess, false, true),
        (Label::Raw, Close::Guess, true, false),
        (Label::Clamped, Close::Guess, true, true),
    ] {
        ok &= small(
            &format!("external warehouse: {label:?} {close:?} reported={rep}"),
            External {
                label,
                close,
                batches: vec![0, 1, 0, 2, 1],
                allow_reported: rep,
            },
            fail,
        );
    }
    for (rule, fail) in [
        (Rule::Protocol, false),
        (Rule::NoPlan, true),
        (Rule::SendBeforeReadback, true),
        (Rule::NoEmptyMessages, true),
        (Rule::NoPlanAcceptOverlap, true),
    ] {
        ok &= small(
            &format!("repartition: {rule:?}"),
            Repartition { rule, len: 3 },
            fail,
        );
    }
    for (rule, fail) in [
        (Up::Protocol, false),
        (Up::KeepSnapshot, true),
        (Up::SharedDrop, true),
        (Up::DeleteAtSwitch, false), // safe, but nothing can be rolled back any more,
        (Up::StartAtOldFrontier, true),
    ] {
        ok &= small(
            &format!("code upgrade: {rule:?}"),
            Upgrade {
                rule,
                len: 4,
                max_manifests: 5,
            },
            fail,
        );
    }
    ok
}

fn walk<M: Model>(
    model: M,
    seldom: impl Fn(&M::Action) -> bool,
    seed: u64,
    limit_s: u64,
) -> (u64, Option<(String, Vec<M::Action>)>)
where
    M::Action: Clone,
{
    let props: Vec<_> = model
        .properties()
        .into_iter()
        .filter(|p| p.expectation == stateright::Expectation::Always)
        .collect();
    let t = Instant::now();
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut rnd = move |n: usize| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 11) as usize % n
    };
    let mut states = 0;
    while t.elapsed() < Duration::from_secs(limit_s) {
        let mut s = model.init_states().remove(0);
        let mut path = vec![];
        for _ in 0..120 {
            let mut acts = vec![];
            model.actions(&s, &mut acts);
            if rnd(20) != 0 {
                acts.retain(|a| !seldom(a));
            }
            if acts.is_empty() {
                break;
            }
            let a = acts.swap_remove(rnd(acts.len()));
            let Some(n) = model.next_state(&s, a.clone()) else {
                continue;
            };
            path.push(a);
            s = n;
            states += 1;
            for p in &props {
                if !(p.condition)(&model, &s) {
                    return (states, Some((p.name.to_string(), path)));
                }
            }
        }
    }
    (states, None)
}

/// Random walks with budgets far above what can be enumerated.
fn simulate(limit_s: u64, mutation: Mutation) -> bool {
    let mut ok = true;
    for (name, mode, lateness, max_step) in [
        ("walk shared", Mode::Shared, 0, 99),
        ("walk shards", Mode::Shards, 0, 99),
        ("walk shards max-step", Mode::Shards, 0, 1),
        ("walk lateness", Mode::Shared, 1, 99),
    ] {
        let mut c = Cfg::base(name).with(mutation);
        c.mode = mode;
        c.lateness = lateness;
        c.max_step = max_step;
        c.logs = vec![vec![0, 3, 1, 5, 2], vec![2, 0, 9, 4, 6]];
        c.max_acquires = 12;
        c.max_acklost = 3;
        c.max_publishes = 7;
        c.run_slots = 2;
        c.backfill = true;
        c.rollback = true;
        c.max_truncate = if lateness == 0 { 6 } else { 0 };
        c.max_diskloss = 3;
        c.max_copy = 3;
        let walks: Vec<(u64, Option<(String, Vec<Act>)>)> = std::thread::scope(|sc| {
            let hs: Vec<_> = (1..=2u64)
                .map(|seed| {
                    let c = c.clone();
                    // a held snapshot ends the realtime side: seldom
                    sc.spawn(move || walk(Hybrid { cfg: c }, |a| *a == Act::Snap, seed, limit_s))
                })
                .collect();
            hs.into_iter().map(|h| h.join().unwrap()).collect()
        });
        let states: u64 = walks.iter().map(|w| w.0).sum();
        let bad: Vec<_> = walks.into_iter().filter_map(|w| w.1).collect();
        println!(
            "{:<24} {:>10} states: {}",
            name,
            states,
            if bad.is_empty() {
                "no violation".to_string()
            } else {
                format!("VIOLATED {bad:?}")
            }
        );
        ok &= bad.is_empty();
    }
    if mutation == Mutation::None {
        for mut cfg in operators::scenarios() {
            cfg.max_manifests = 14;
            cfg.max_losses = 8;
            let name = cfg.name;
            // files deleted, logs truncated, rebuilds and rollbacks at every step lead nowhere
            let seldom = |a: &operators::A| {
                use operators::A::*;
                matches!(
                    a,
                    Truncate | LoseShard | LoseSecond | MoveUp | Rollback(_) | DeleteFiles(_)
                )
            };
            let (states, bad) = walk(operators::Scan { cfg }, seldom, 1, limit_s.div_ceil(4));
            println!(
                "{:<24} {:>10} states: {}",
                format!("walk {name}"),
                states,
                if bad.is_some() {
                    format!("VIOLATED {bad:?}")
                } else {
                    "no violation".to_string()
                }
            );
            ok &= bad.is_none();
        }
    }
    ok
}

/// Operators with state of their own: the protocol, then one rule dropped at a time. `quick`: without the large ones.
fn operators(quick: bool) -> bool {
    use operators::{mutations, scenarios, Rule, Scan};
    use sums::*;
    let mut ok = true;
    let (large, changed) = if quick {
        (Vec::new(), Vec::new())
    } else {
        (scenarios(), mutations())
    };
    for cfg in large {
        ok &= small(cfg.name, Scan { cfg: cfg.clone() }, false);
    }
    for (rule, scen) in changed {
        let mut cfg = scenarios().into_iter().find(|c| c.name == scen).unwrap();
        cfg.rule = rule;
        let name = format!("{scen}: {rule:?}");
        if rule == Rule::StateFirst {
            assert!(cfg.separate || cfg.sink);
        }
        ok &= small(&name, Scan { cfg }, true);
    }
    for (second, spread, order, frontier, fail) in [
        (
            Second::DeltaKeySteps,
            true,
            Order::Arrival,
            Frontier::Vector,
            false,
        ),
        (
            Second::DeltaValueStep,
            false,
            Order::Arrival,
            Frontier::None,
            true,
        ),
        (
            Second::DeltaValueStep,
            false,
            Order::Log,
            Frontier::Level,
            true,
        ),
        (
            Second::Changes,
            false,
            Order::Arrival,
            Frontier::Vector,
            false,
        ),
        (
            Second::ChangesAny,
            false,
            Order::Arrival,
            Frontier::None,
            true,
        ),
        (
            Second::ChangesPerRecord,
            false,
            Order::Arrival,
            Frontier::Vector,
            false,
        ),
        (Second::Changes, true, Order::Arrival, Frontier::None, false),
        (
            Second::ChangesPerRecord,
            true,
            Order::Arrival,
            Frontier::None,
            true,
        ),
        (
            Second::Changes,
            true,
            Order::Arrival,
            Frontier::Vector,
            true,
        ),
        (Second::Changes, true, Order::Arrival, Frontier::Level, true),
        (Second::Changes, true, Order::Log, Frontier::Vector, true),
        (Second::Changes, true, Order::Log, Frontier::Level, false),
        (
            Second::ChangesPerRecord,
            true,
            Order::Log,
            Frontier::Level,
            false,
        ),
    ] {
        ok &= small(
            &format!(
                "two sums: {second:?} {} {order:?} {frontier:?}",
                if spread { "spread" } else { "keyed" }
            ),
            TwoSums {
                second,
                spread,
                order,
                frontier,
            },
            fail,
        );
    }
    for (sees, wait, fail) in [
        (Sees::Now, true, true),
        (Sees::EventTime, true, true),
        (Sees::LoggedBeforeAndEarlier, false, true),
        (Sees::LoggedBeforeAndEarlier, true, false),
    ] {
        ok &= small(
            &format!("join as of: {sees:?} wait={wait}"),
            AsOf { sees, wait },
            fail,
        );
    }
    for (pin, fail) in [
        (Pin::Exclusive, false),
        (Pin::Newest, true),
        (Pin::LoserKeepsOwn, true),
    ] {
        ok &= small(&format!("pinned versions: {pin:?}"), Pins { pin }, fail);
    }
    use sink::*;
    for (rule, fail) in [
        (SinkRule::Protocol, false),
        (SinkRule::NoFence, true),
        (SinkRule::StagedRunsAhead, true),
        (SinkRule::SwitchWithoutFence, true),
        (SinkRule::StartsAtNext, true),
    ] {
        ok &= small(&format!("sink: {rule:?}"), Sink { rule }, fail);
    }
    use overlay::*;
    for (rule, fail) in [
        (ORule::Protocol, false),
        (ORule::ForgetBelowBase, true),
        (ORule::RowsSurviveLoss, true),
        (ORule::BaseAhead, true),
        (ORule::BaseBelowRetained, true),
    ] {
        ok &= small(
            &format!("state rows over a base: {rule:?}"),
            Overlay { rule },
            fail,
        );
    }
    use state::*;
    for (rule, fail) in [
        (VRule::Protocol, false),
        (VRule::NoClamp, true),
        (VRule::FoldTooFar, true),
        (VRule::SeesItself, true),
    ] {
        ok &= small(&format!("join versions: {rule:?}"), Versions { rule }, fail);
    }
    for (remember, restart, fail) in [
        (Remember::Occurred, Restart::State, false),
        (Remember::LetThrough, Restart::State, false),
        (Remember::Occurred, Restart::Read(1), false),
        (Remember::Occurred, Restart::Read(0), true),
        (Remember::LetThrough, Restart::Read(1), true),
    ] {
        ok &= small(
            &format!("dedupe: {remember:?}, restart {restart:?}"),
            Dedupe { remember, restart },
            fail,
        );
    }
    ok
}

/// (mutation, scenario, must be caught)
fn mutations() -> Vec<(Mutation, &'static str, bool)> {
    use Mutation::*;
    vec![
        (CommitUnchecked, "shared-commit", true),
        (CommitNoEpoch, "shared-commit", true),
        (CommitNoOffset, "shared-commit", true),
        (ValuesThenOffsets, "shared-commit", true),
        (OffsetsThenValues, "shared-commit", true),
        (LabelAtFlush, "shared-commit", true),
        (LabelRaw, "shared-commit", true),
        (DropOnArchive, "shared-commit", true),
        (DropWithoutMark, "generations", true),
        (DropAtFrontier, "generations", true),
        (ReaderIgnoresRetained, "generations", true),
        (ReaderNoSnapshot, "zombies", true),
        (PublishNoCas, "generations", true),
        (BackfillRegress, "generations", true),
        (RollbackUnchecked, "generations", true),
        (RestoreAtFrontier, "shards-rollback", true),
        (RestoreNoClock, "max-step", true),
        (NoFloorFromCuts, "retention", true),
        (RestoreAtSealOffset, "lateness", true),
        (CoverOpenBatch, "shared-commit", true),
        (ArchiveNoCas, "archive-workers", true),
        (ArchiveFilesAreTruth, "archive-workers", true),
        (HoleNotRecorded, "retention", true),
        (HoleKeepsOldFloor, "retention", false),
        (DropUnaligned, "retention", false),
        (ReaderIgnoresCuts, "retention", true),
        (NoRebuildOnMisalign, "retention", true),
        (ReconcileEarly, "shared-commit", true),
    ]
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let limit: u64 = std::env::var("LIMIT_S")
        .ok()
        .and_then(|x| x.parse().ok())
        .unwrap_or(300);
    let pick = args.get(1).cloned().unwrap_or_else(|| "all".to_string());
    let mut failed = false;
    if pick == "all" || pick == "small" {
        failed |= !smalls();
    }
    if pick == "all" || pick == "operators" {
        failed |= !operators(false);
    }
    if pick == "quick" {
        failed |= !operators(true);
    }
    if pick == "simulate" {
        let want = args.get(2).cloned().unwrap_or_default();
        let mu = mutations()
            .into_iter()
            .map(|m| m.0)
            .find(|m| format!("{m:?}") == want)
            .unwrap_or(Mutation::None);
        failed |= !simulate(limit, mu);
    }
    if pick != "mutations" {
        for c in scenarios() {
            if pick == "all" || c.name == pick {
                let o = run(c, limit);
                failed |= !o.bad.is_empty();
                if !o.complete {
                    println!("    (cut off after {limit} s: no violation so far is not a proof)");
                }
            }
        }
    }
    if pick == "mutations" || pick == "all" {
        let only = args.get(2).cloned().unwrap_or_default();
        for (mu, scen, must) in mutations() {
            if !only.is_empty() && format!("{mu:?}") != only {
                continue;
            }
            let c = scenarios()
                .into_iter()
                .find(|c| c.name == scen)
                .unwrap()
                .with(mu);
            let o = run(c, limit);
            if o.bad.is_empty() && !must {
                println!("    (expected: this rule only saves rebuilds, the cut check already keeps the answer honest)");
            }
            if o.bad.is_empty() && must {
                println!("    NOT CAUGHT");
                failed = true;
            }
        }
    }
    if failed {
        std::process::exit(1);
    }
}
