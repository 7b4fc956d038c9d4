//! Plans of one push out none of another; and who publishes between the comparison and the act is not undone.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::app::settings::Settings;
use crate::core::{Frontier, Job, Plan, Source, Store, Timestamp};
use crate::store_api::{Published, StoreGeneration};

const LINES: Source<str> = Source::new("lines");
const COUNTS: Store<String, u64> = Store::new("counts");

/// A generation of nothing: which one is current is all that counts here.
fn manifest(number: u64, line: &str) -> Manifest {
    Manifest {
        format: 1,
        number,
        job: "j".into(),
        line: line.into(),
        fingerprint: format!("code of {line}"),
        cut_specs: BTreeMap::new(),
        realtime_namespace: None,
        stores: BTreeMap::from([("counts".into(), StoreGeneration::default())]),
        frontier: Frontier::default(),
        drop_before: BTreeMap::new(),
        holes: Vec::new(),
        input: Vec::new(),
        created_at: Timestamp(number as i64),
        covered_until: number.to_string(),
        window: None,
        not_repeatable: Vec::new(),
        sinks: BTreeMap::new(),
    }
}

fn plan_of_a_job() -> Plan {
    let counts = LINES.read().keyed(|line: &str, out| out.emit(line, 1));
    Job::new("j", counts.sum_by_key(COUNTS)).plan().unwrap()
}

fn settings(data: &Path) -> Settings {
    Settings {
        data: data.into(),
        instance: "main".into(),
        ..Settings::default()
    }
}

fn publish(log: &dyn ManifestLog, number: u64, line: &str) {
    assert_eq!(log.publish(&manifest(number, line)).unwrap(), Published::Done);
}

fn newest(log: &dyn ManifestLog) -> (u64, String) {
    let m = log.newest(0).unwrap().unwrap();
    (m.number, m.line)
}

fn why(undone: Result<String, Undone>) -> String {
    match undone {
        Err(Undone::Moved(why)) => why,
        Err(Undone::Failed(e)) => panic!("it failed: {e}"),
        Ok(done) => panic!("it was done: {done}"),
    }
}

/// Somebody who plans without end pushes out plans of his own alone; one that is confirmed is gone.
#[test]
fn plans_push_out_none_of_another() {
    let plans = Plans::default();
    let rests_on = |current| RestsOn::Rollback { to: 0, current };
    let kept = plans.put(Action::Gc, rests_on(7), 0);
    let first = plans.put(Action::Gc, rests_on(0), 1);
    let others: Vec<String> = (1..1_000).map(|n| plans.put(Action::Gc, rests_on(n), 1)).collect();
    assert!(plans.0.lock().unwrap().len() <= MOST + 1);
    assert!(plans.take(&first).is_none(), "the oldest of his own");
    assert_eq!(plans.take(others.last().unwrap()).unwrap().rests_on, rests_on(999));
    assert_eq!(plans.take(&kept).unwrap().rests_on, rests_on(7));
    assert!(plans.take(&kept).is_none(), "a plan is confirmed once");
}

/// A rollback that was compared with generation 2 does not undo generation 3, which came since.
#[test]
fn a_rollback_undoes_nothing_that_came_since() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, settings) = (plan_of_a_job(), settings(dir.path()));
    let context = Context::new(&plan, &settings, "serve", false).unwrap();
    for number in 0..3 {
        publish(&*context.manifests, number, "l");
    }
    let (says, _, work) = look(&context, &Action::Rollback { to: Some(0) }).unwrap();
    assert!(says[0].contains("what generation 0 was"), "{says:?}");
    let Work::Rollback { target, current } = work else {
        panic!("a rollback is one")
    };
    publish(&*context.manifests, 3, "l");
    let said = why(rollback(&context, &target, &current));
    assert!(said.contains("a generation was published after 2"), "{said}");
    assert_eq!(newest(&*context.manifests), (3, "l".into()));
    // Nothing came since: it is done.
    let (target, current) = back_to(&context, Some(0)).unwrap();
    rollback(&context, &target, &current).unwrap();
    assert_eq!(newest(&*context.manifests).0, 4);
    assert_eq!(context.manifests.newest(0).unwrap().unwrap().covered_until, "0");
}

/// A switch that was compared with what was current and what was staged is none over what was published, or staged, since; and where what
/// was current is gone nothing is published below its number.
#[cfg(feature = "parquet")]
#[test]
fn a_switch_is_over_what_was_compared() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, settings) = (plan_of_a_job(), settings(dir.path()));
    let context = Context::new(&plan, &settings, "serve", false).unwrap();
    publish(&*context.manifests, 0, "l");
    publish(&*context.manifests, 1, "l");
    let line = format!("{}-1", plan.fingerprint());
    let of_line = |number| Manifest {
        fingerprint: plan.fingerprint().into(),
        ..manifest(number, &line)
    };
    let staged = || {
        let (_, _, work) = look(&context, &Action::Switch { behind: false }).unwrap();
        match work {
            Work::Switch { staged, base } => (staged, *base),
            _ => panic!("a switch is one"),
        }
    };
    let log = rufous_store_offline::Manifests::on(context.offline.clone(), &format!("lines/{line}/manifests"));
    assert_eq!(log.publish(&of_line(0)).unwrap(), Published::Done);

    let (to, base) = staged();
    publish(&*context.manifests, 2, "l");
    let said = why(switch(&context, &to, base));
    assert!(said.contains("another generation was published meanwhile"), "{said}");
    assert_eq!(newest(&*context.manifests), (2, "l".into()));

    let (to, base) = staged();
    assert_eq!(log.publish(&of_line(1)).unwrap(), Published::Done);
    let said = why(switch(&context, &to, base));
    assert!(said.contains("the staged line was extended meanwhile"), "{said}");
    assert_eq!(newest(&*context.manifests), (2, "l".into()));

    let (to, base) = staged();
    switch(&context, &to, base).unwrap();
    assert_eq!(newest(&*context.manifests), (3, line));
}

/// What a plan says of a line that is behind: in how many partitions, by how much, and where most.
#[cfg(feature = "parquet")]
#[test]
fn a_plan_says_how_far_a_line_is_behind() {
    let behind = |partition, reached, applied| Behind {
        p: crate::core::SourcePartition::new("lines", partition),
        reached,
        applied,
    };
    let said = back_in_time(&(vec![behind(3, 90, 100), behind(5, 0, 40), behind(9, 7, 8)], 16));
    for words in ["3 of 16 partitions", "51 offsets", "lines/5", "up to offset 0 of 40"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(back_in_time(&(Vec::new(), 16)).contains("no answer goes back"));
}
