//! The jobs, a module a family of shapes. Each states what it is for; "7.1 job n" is a job of the ancestor's
//! `TestGraphs`.

mod counters;
mod deltas;
mod domains;
mod edges;
mod forks;
mod joins;
mod keyed;
mod monoids;
mod operators;
mod order;
mod origins;
mod plain;
mod rewrites;
mod shapes;
mod sketches;
mod sources;
mod spread;
mod steps;
mod time;
mod windows;

use super::case::Case;
pub use domains::domains;
pub use spread::many_partitions;

/// All cases, the same ones in the same order each time. Their names differ.
pub fn catalogue() -> Vec<Case> {
    [
        steps::cases(),
        forks::cases(),
        sources::cases(),
        keyed::cases(),
        joins::cases(),
        rewrites::cases(),
        monoids::cases(),
        sketches::cases(),
        deltas::cases(),
        counters::cases(),
        time::cases(),
        windows::cases(),
        edges::cases(),
        order::cases(),
        operators::cases(),
        origins::cases(),
        shapes::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Case names are distinct, every job can be planned, and every source of a job is fed.
    #[test]
    fn the_catalogue_is_well_formed() {
        let cases = catalogue();
        let names: BTreeSet<_> = cases.iter().map(Case::name).collect();
        assert_eq!(names.len(), cases.len());
        assert!(cases.len() >= 30, "{}", cases.len());
        for case in &cases {
            let plan = case.job().plan().unwrap_or_else(|e| panic!("{}: {e}", case.name()));
            for face in plan.sources() {
                assert!(
                    case.input().source(face.name).is_some(),
                    "{}: {}",
                    case.name(),
                    face.name
                );
            }
            let sinks: BTreeSet<_> = case.sinks().iter().map(|s| s.name()).collect();
            assert_eq!(
                sinks,
                plan.sinks().iter().map(|(name, _)| *name).collect(),
                "{}",
                case.name()
            );
        }
    }
}
