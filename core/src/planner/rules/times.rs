//! `read(P).steps.sum = distinct(read(P)).steps.times(n).sum`.
//!
//! Precondition: the record has a single field, so that an entry of a dictionary-coded column is a record; no sum is in
//! order; no operator stands behind the source, and no step asks where its records come from. The rule only allows it: a
//! platform that finds the column coded so runs each different record once, with the number
//! of times that it stands in the input; sums add `value.times(n)`, counters count n, sinks receive n copies. Steps see no
//! difference: closures are pure.

use super::Rule;
use crate::planner::graph::{Kind, PlanGraph};
use crate::planner::operators;

pub(super) struct Times;

impl Rule for Times {
    fn name(&self) -> &'static str {
        "times"
    }
    fn apply(&self, graph: &mut PlanGraph) -> Vec<String> {
        if graph.in_order {
            return Vec::new();
        }
        let mut changes = Vec::new();
        // An operator emits for each record.
        let above = operators::above(graph);
        let traced = graph.traced(false);
        let nodes = graph.nodes.iter_mut().zip(traced).zip(above);
        for ((node, traced), above) in nodes.filter(|((n, _), _)| !n.gone) {
            if let Kind::Source { face, repeats } = &mut node.kind
                && let Some([field]) = face.fields
                && !(traced || above)
            {
                *repeats = true;
                changes.push(format!(
                    "a record of source `{}` is its field `{}` alone: where that column is coded by a dictionary, each entry runs \
                     once and counts as often as it occurs",
                    face.name, field.name
                ));
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use crate::*;

    #[derive(Clone)]
    struct Origin(Text);
    impl Record for Origin {
        const FIELDS: &'static [Field] = &[Field {
            name: "origin",
            ty: FieldType::Text,
            optional: false,
        }];
        fn from_row(row: &Row<'_>) -> Result<Self, RecordError> {
            row.get(0).map(Self)
        }
    }
    const ORIGINS: Source<Origin> = Source::new("origins");
    const COUNTS: Store<String, u64> = Store::new("counts");
    const LARGEST: Store<String, rufous_algebra::Max<u64>> = Store::new("largest");
    const ORIGIN: Sink<String> = Sink::new("origin");
    const SEEN: Counter = Counter::new("seen");

    /// A record pushed once with its number, and pushed as often: the same in stores, sinks and counters.
    #[test]
    fn times_n_is_n_times() {
        let origins = ORIGINS.read().counted(SEEN);
        let pairs = origins.clone().keyed(|o, out| {
            out.emit(o.0.as_str(), 3_u64);
            out.emit("all", 1);
        });
        let largest = origins
            .clone()
            .keyed(|o, out| out.emit(o.0.as_str(), 5_u64))
            .aggregate_by_key(LARGEST);
        let written = origins.map(|o| o.0.to_string()).write(ORIGIN);
        let job = Job::new("j", (pairs.sum_by_key(COUNTS), largest, written));
        let plan = job.plan().unwrap();
        assert!(plan.may_repeat(0) && !job.plan_with(&Rules::none()).unwrap().may_repeat(0));
        let meta = ChunkMeta {
            source: 0,
            partition: 0,
            batch: BatchId(0),
        };
        let finish = |mut run: Executor| {
            let mut cells = Vec::new();
            for deltas in run.take(Vec::new()).unwrap() {
                let mut add = |d: Delta<'_>| {
                    cells.push((d.key.to_vec(), d.value.to_vec()));
                    Ok(())
                };
                deltas.for_each(&mut add).unwrap();
            }
            let written: Box<dyn std::any::Any> = run.take_written(0).unwrap();
            let mut written = *written.downcast::<Vec<String>>().unwrap();
            written.sort();
            (cells, written)
        };
        let (mut once, mut often) = (plan.instantiate(), plan.instantiate());
        for (origin, n) in [("ATL", 1), ("LAX", 7), ("SFO", 64)] {
            let chunk = vec![Origin(origin.into())];
            once.push_repeated(&meta, NonZeroU64::new(n).unwrap(), &mut chunk.clone())
                .unwrap();
            (0..n).for_each(|_| often.push(&meta, &mut chunk.clone()).unwrap());
        }
        let (once, often) = (finish(once), finish(often));
        assert_eq!(once, often);
        assert_eq!(once.1.len(), 72);
    }

    #[test]
    fn not_for_jobs_in_order() {
        let lists: Store<String, Vec<u64>> = Store::new("lists");
        let all = ORIGINS
            .read()
            .in_order()
            .keyed(|o, out| out.emit(o.0.as_str(), vec![1_u64]));
        assert!(!Job::new("j", all.sum_by_key(lists)).plan().unwrap().may_repeat(0));
    }
}
