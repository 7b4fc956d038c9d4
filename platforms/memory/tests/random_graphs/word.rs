//! The words of random jobs: what each takes and gives, and how often it is drawn.

/// What flows out of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `Producer<Rec>`.
    Records,
    /// `KeyedProducer<i64, i64>`.
    Pairs,
    /// `Summed<i64, i64>`: only deltas can be taken of it.
    Sum,
    /// `DeltaProducer<i64, i64>`.
    Deltas,
    /// Nothing that goes on.
    End,
}
use Kind::{Deltas, End, Pairs, Records, Sum};

macro_rules! words {
    ($(
        $word:ident $text:literal: $($input:ident)* => $output:ident, weight $weight:literal, times $times:literal;
    )*) => {
        /// A step of a random job.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Word { $($word),* }

        impl Word {
            pub(crate) const ALL: &[Self] = &[$(Self::$word),*];
            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$word => $text),* }
            }
            pub(crate) fn inputs(self) -> &'static [Kind] {
                match self { $(Self::$word => &[$($input),*]),* }
            }
            pub(crate) fn output(self) -> Kind {
                match self { $(Self::$word => $output),* }
            }
            /// How often it is drawn: sources and names often, as in the ancestor's random graphs.
            pub(crate) fn weight(self) -> u32 {
                match self { $(Self::$word => $weight),* }
            }
            /// At most how many come out for one that goes in.
            pub(crate) fn times(self) -> usize {
                match self { $(Self::$word => $times),* }
            }
            /// Whether it only names the step before it.
            pub(crate) fn names(self) -> bool {
                matches!(self, Self::NameRecords | Self::NamePairs | Self::NameDeltas)
            }
        }
    };
}

words! {
    Source "source": => Records, weight 12, times 1;
    Map "map": Records => Records, weight 4, times 1;
    Filter "filter": Records => Records, weight 4, times 1;
    FilterMap "filter-map": Records => Records, weight 6, times 1;
    FlatMap "flat-map": Records => Records, weight 4, times 2;
    FlatMapCounting "flat-map-counting": Records => Records, weight 2, times 2;
    NameRecords "name-records": Records => Records, weight 6, times 1;
    CountRecords "count-records": Records => Records, weight 3, times 1;
    CountRecordsBy "count-records-by": Records => Records, weight 2, times 1;
    MergeRecords "merge-records": Records Records => Records, weight 4, times 1;
    Either "either": Records Records => Records, weight 2, times 1;
    Write "write": Records => Records, weight 4, times 1;
    Keyed "keyed": Records => Pairs, weight 8, times 2;
    KeyedCounting "keyed-counting": Records => Pairs, weight 2, times 2;
    KeyBy "key-by": Records => Pairs, weight 4, times 1;
    MapKeys "map-keys": Pairs => Pairs, weight 4, times 1;
    FilterKeys "filter-keys": Pairs => Pairs, weight 3, times 1;
    FlatMapKeys "flat-map-keys": Pairs => Pairs, weight 6, times 2;
    MapValues "map-values": Pairs => Pairs, weight 3, times 1;
    FilterValues "filter-values": Pairs => Pairs, weight 3, times 1;
    FlatMapValues "flat-map-values": Pairs => Pairs, weight 3, times 2;
    FlatMapValuesCounting "flat-map-values-counting": Pairs => Pairs, weight 2, times 2;
    KeyedPairs "keyed-pairs": Pairs => Pairs, weight 3, times 2;
    KeyedPairsCounting "keyed-pairs-counting": Pairs => Pairs, weight 2, times 2;
    Swap "swap": Pairs => Pairs, weight 2, times 1;
    NamePairs "name-pairs": Pairs => Pairs, weight 6, times 1;
    CountPairs "count-pairs": Pairs => Pairs, weight 3, times 1;
    CountPairsBy "count-pairs-by": Pairs => Pairs, weight 2, times 1;
    MergePairs "merge-pairs": Pairs Pairs => Pairs, weight 4, times 1;
    Keys "keys": Pairs => Records, weight 2, times 1;
    Values "values": Pairs => Records, weight 2, times 1;
    PairsAsRecords "pairs": Pairs => Records, weight 2, times 1;
    SumByKey "sum-by-key": Pairs => Sum, weight 8, times 1;
    Aggregate "aggregate-by-key": Pairs => End, weight 3, times 1;
    TakeDeltas "deltas": Sum => Deltas, weight 5, times 1;
    DeltaMapKeys "delta-map-keys": Deltas => Deltas, weight 2, times 1;
    DeltaFilterKeys "delta-filter-keys": Deltas => Deltas, weight 2, times 1;
    DeltaFlatMapKeys "delta-flat-map-keys": Deltas => Deltas, weight 3, times 2;
    NameDeltas "name-deltas": Deltas => Deltas, weight 2, times 1;
    MergeDeltas "merge-deltas": Deltas Deltas => Deltas, weight 2, times 1;
    DeltaValuesBy "delta-map-values-by": Deltas => Deltas, weight 2, times 1;
    SumDeltas "sum-deltas": Deltas => Sum, weight 4, times 1;
}
