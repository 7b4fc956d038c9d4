//! What the planner's rule `times` asks of a value, and the test kit does not look at.

use rufous_algebra::{Codec, Commutative, DecodeError, Semigroup};
use rufous_core::record::{Field, FieldType, Record, RecordError, Row};
use rufous_core::{Job, Source, Store, Text};
use rufous_platform_memory::JobTest;
use std::num::NonZeroU64;

#[derive(Clone, Debug, PartialEq)]
struct Tally(u64);
impl Semigroup for Tally {
    fn combine(&mut self, other: &Self) {
        self.0 += other.0;
    }
    /// Wrong: the user forgot the factor.
    fn times(self, _: NonZeroU64) -> Self {
        self
    }
}
impl Commutative for Tally {}
impl Codec for Tally {
    fn schema() -> String {
        "tally".into()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        u64::decode(bytes).map(Self)
    }
    fn json(&self) -> serde_json::Value {
        self.0.json()
    }
    fn magnitude(&self) -> f64 {
        self.0 as f64
    }
}

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
const TALLIES: Store<String, Tally> = Store::new("tallies");

/// `every_split`: "its answers do not depend on how it is run". In bulk this job gives 1 for 3 equal rows of a column that is
/// coded by a dictionary.
#[test]
fn a_wrong_multiple_is_found() {
    let tallies = ORIGINS.read().keyed(|o, out| out.emit(o.0.as_str(), Tally(1)));
    let job = Job::new("j", tallies.sum_by_key(TALLIES));
    assert!(job.plan().unwrap().may_repeat(0));
    let same = || Origin("ATL".into());
    assert!(
        job.test()
            .given(ORIGINS, [same(), same(), same()])
            .every_split()
            .is_err()
    );
}
